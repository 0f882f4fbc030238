//! A plan as lines: what each step does, and why.

use std::path::Path;

use ansar_runtime::contract::layout::Area;
use serde::Serialize;
use serde_json::Value;

use super::describe::RoleStep;
use super::folder::FolderStep;
use super::plan::Plan;
use crate::delta::plan::{Action, Reason};
use crate::delta::text;
use crate::host::files;
use crate::model::name::RoleName;

/// One step, or one thing that is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Of what kind.
    pub step: Step,
    /// What it is about: a path in the home, or a role.
    pub what: String,
    /// Why.
    pub why: String,
    /// What becomes of a text, as a unified diff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// What kind of a step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A role is made, changed or retired.
    Role,
    /// An executable is put in place.
    Executable,
    /// A file of a resource or model is placed, changed or removed.
    Material,
    /// A role is told something else.
    Settings,
    /// A role works on something else.
    Input,
    /// Both sides changed a file, and it is left alone.
    Conflict,
    /// Both sides changed a file, and one of them gives way.
    Settled,
    /// A role that runs is stopped and started again.
    Restart,
}

/// How large a text may be that is shown.
const LARGEST_TEXT: u64 = 1 << 20;

/// The steps of `plan`; `running` are the affected roles that run.
pub fn lines(plan: &Plan, running: &[(RoleName, String)]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |step, what: String, why: String, diff| {
        lines.push(Line {
            step,
            what,
            why,
            diff,
        });
    };
    for step in &plan.roles {
        let why = match step {
            RoleStep::Set(..) => "described",
            RoleStep::Retire(_) => "no longer described",
        };
        add(Step::Role, step.role().to_string(), why.to_owned(), None);
    }
    for step in &plan.executables {
        let why = step.why.to_string();
        add(Step::Executable, step.name.to_string(), why, None);
    }
    for step in &plan.folders {
        for (kind, line) in of_folder(step) {
            add(kind, line.0, line.1, line.2);
        }
    }
    for settled in &plan.told {
        for told in &settled.changes {
            let (kind, area) = match told.area {
                Area::Input => (Step::Input, "input"),
                _ => (Step::Settings, "settings"),
            };
            let why = match (&told.before, &told.after) {
                (None, _) => "new",
                (_, None) => "takes none",
                _ => "changed",
            };
            let what = format!("{area}/{}.json", settled.role);
            let diff = text::diff(&pretty(told.before.as_ref()), &pretty(told.after.as_ref()));
            add(kind, what, why.to_owned(), Some(diff));
        }
    }
    for (role, pid) in running {
        let why = match pid.trim() {
            "" => "stopped, and started again".to_owned(),
            pid => format!("stopped, and started again (process {pid})"),
        };
        add(Step::Restart, role.to_string(), why, None);
    }
    lines
}

type Parts = (String, String, Option<String>);

fn of_folder(step: &FolderStep) -> Vec<(Step, Parts)> {
    let folder = &step.folder;
    let name = |path: &dyn std::fmt::Display| format!("{}/{path}", folder.name);
    let mut lines = Vec::new();
    for one in &step.plan.steps {
        let is_own =
            matches!(one.action, Action::Clear | Action::Keep) || one.reason == Reason::Opened;
        if is_own {
            continue;
        }
        let (from, to) = (
            one.path.under(&folder.target),
            one.path.under(&folder.source),
        );
        let diff = match &one.action {
            Action::Place { .. } => json_diff(Some(&from), Some(&to)),
            Action::Remove { .. } => json_diff(Some(&from), None),
            _ => None,
        };
        let why = reason(one.reason);
        lines.push((Step::Material, (name(&one.path), why, diff)));
    }
    for conflict in &step.plan.conflicts {
        let why = conflict.why.to_string();
        lines.push((Step::Conflict, (name(&conflict.path), why, None)));
    }
    for settled in &step.plan.settled {
        let why = settled.why.to_string();
        lines.push((Step::Settled, (name(&settled.path), why, None)));
    }
    lines
}

fn reason(reason: Reason) -> String {
    match reason {
        Reason::New => "new in the snapshot".to_owned(),
        Reason::Bytes | Reason::Target | Reason::Kind => "changed in the snapshot".to_owned(),
        Reason::Mode => "mode changed in the snapshot".to_owned(),
        other => other.to_string(),
    }
}

fn pretty(value: Option<&Value>) -> String {
    let text = value.and_then(|value| serde_json::to_string_pretty(value).ok());
    text.map_or_else(String::new, |text| text + "\n")
}

/// What becomes of a file of JSON that is not too large to be read.
fn json_diff(from: Option<&Path>, to: Option<&Path>) -> Option<String> {
    let either = to.or(from)?;
    if either.extension()? != "json" {
        return None;
    }
    let text = |path: Option<&Path>| match path.map(|path| (path, files::stat(path))) {
        None => Some(String::new()),
        Some((_, Err(error))) => error.is_not_found().then(String::new),
        Some((path, Ok(stat))) if stat.identity.size <= LARGEST_TEXT => {
            String::from_utf8(files::read(path).ok()?).ok()
        }
        Some(_) => None,
    };
    Some(text::diff(&text(from)?, &text(to)?))
}
