//! A plan as lines: each step with its reason.

use std::path::Path;

use ansar_contract::layout::Area;
use serde::Serialize;
use serde_json::Value;

use crate::deploy::plan::Plan;
use crate::deploy::roles::RoleStep;
use crate::deploy::source::Folder;
use crate::host::fs;
use crate::model::name::RoleName;
use crate::sync::path::RelPath;
use crate::sync::plan as delta;
use crate::sync::plan::{Action, Reason, Why};
use crate::sync::text;

/// A step of a plan, or a conflict that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Kind of the step.
    pub step: Step,
    /// Path in the home or name of a role.
    pub what: String,
    /// Reason for the step.
    pub why: String,
    /// Change of a text file, as a unified diff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// Kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A role is created, changed or retired.
    Role,
    /// An executable is put in place.
    Executable,
    /// A file of a resource or model is placed, changed or removed.
    Material,
    /// The settings of a role change.
    Settings,
    /// The input of a role changes.
    Input,
    /// Both sides changed a file, and it is left alone.
    Conflict,
    /// Both sides changed a file, and one side was chosen.
    Settled,
    /// A running role is restarted.
    Restart,
}

/// Size in bytes above which a text is not shown.
const LARGEST_TEXT: u64 = 1 << 20;

/// Returns the steps of `plan`. `running` names the affected roles that run.
pub fn lines(plan: &Plan, running: &[(RoleName, String)]) -> Vec<Line> {
    let mut lines = Vec::new();
    for step in &plan.roles {
        let why = match step {
            RoleStep::Set(..) => "described",
            RoleStep::Retire(_) => "no longer described",
        };
        lines.push(line(Step::Role, step.role().to_string(), why, None));
    }
    for step in &plan.executables {
        let why = step.why.to_string();
        lines.push(line(Step::Executable, step.name.to_string(), why, None));
    }
    for step in &plan.folders {
        let Folder {
            name,
            source,
            target,
            ..
        } = &step.folder;
        let folder = Compared {
            name,
            source,
            target,
            direction: Direction::In,
        };
        lines.extend(folder.lines(&step.plan));
    }
    for resolved in &plan.settings {
        for change in &resolved.changes {
            let (kind, area) = match change.area {
                Area::Input => (Step::Input, "input"),
                _ => (Step::Settings, "settings"),
            };
            let why = match (&change.before, &change.after) {
                (None, _) => "new",
                (_, None) => "takes none",
                _ => "changed",
            };
            let what = format!("{area}/{}.json", resolved.role);
            let diff = value_diff(change.before.as_ref(), change.after.as_ref());
            lines.push(line(kind, what, why, Some(diff)));
        }
    }
    lines.extend(restarts(running));
    lines
}

fn line(step: Step, what: String, why: impl Into<String>, diff: Option<String>) -> Line {
    Line {
        step,
        what,
        why: why.into(),
        diff,
    }
}

/// Returns the restarts of running roles.
pub fn restarts(running: &[(RoleName, String)]) -> impl Iterator<Item = Line> {
    running.iter().map(|(role, pid)| Line {
        step: Step::Restart,
        what: role.to_string(),
        why: match pid.trim() {
            "" => "stopped, and started again".to_owned(),
            pid => format!("stopped, and started again (process {pid})"),
        },
        diff: None,
    })
}

/// Returns the change of a JSON value as a unified diff.
pub fn value_diff(before: Option<&Value>, after: Option<&Value>) -> String {
    text::diff(&pretty(before), &pretty(after))
}

/// Direction of a transfer of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a snapshot into the home.
    In,
    /// From the home into a snapshot.
    Out,
}

/// A folder that a plan is about.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// Its name for users.
    pub name: &'a str,
    /// Folder that files come from.
    pub source: &'a Path,
    /// Folder that files go to.
    pub target: &'a Path,
    /// Direction of the transfer.
    pub direction: Direction,
}

impl Compared<'_> {
    /// Returns the steps of its plan.
    pub fn lines(&self, plan: &delta::Plan) -> Vec<Line> {
        let line = |step, path: &RelPath, why, diff| Line {
            step,
            what: format!("{}/{path}", self.name),
            why,
            diff,
        };
        let mut lines = Vec::new();
        for one in &plan.steps {
            let is_own =
                matches!(one.action, Action::Clear | Action::Keep) || one.reason == Reason::Opened;
            if is_own {
                continue;
            }
            let (from, to) = (one.path.under(self.target), one.path.under(self.source));
            let diff = match &one.action {
                Action::Place { .. } => json_diff(Some(&from), Some(&to)),
                Action::Remove { .. } => json_diff(Some(&from), None),
                _ => None,
            };
            let why = reason(one.reason, self.direction);
            lines.push(line(Step::Material, &one.path, why, diff));
        }
        let left = plan.conflicts.iter().map(|one| (Step::Conflict, one));
        let settled = plan.settled.iter().map(|one| (Step::Settled, one));
        for (step, conflict) in left.chain(settled) {
            let why = conflict_why(conflict.why, self.direction);
            lines.push(line(step, &conflict.path, why, None));
        }
        lines
    }
}

fn reason(reason: Reason, direction: Direction) -> String {
    let (here, there) = match direction {
        Direction::In => ("snapshot", "home"),
        Direction::Out => ("home", "snapshot"),
    };
    match reason {
        Reason::New => format!("new in the {here}"),
        Reason::Bytes | Reason::Target | Reason::Kind => format!("changed in the {here}"),
        Reason::Mode => format!("mode changed in the {here}"),
        Reason::RemovedFromSnapshot => format!("removed from the {here}"),
        Reason::TakesSnapshot => format!("the {here} was taken"),
        Reason::RemovedFromHome => {
            format!("removed from the {there}, and the {here} was taken")
        }
        Reason::Needed => format!("removed from the {there}, and needed again"),
        Reason::ReplacedByOtherKind | Reason::Leftover | Reason::Opened => reason.to_string(),
    }
}

/// Describes how both sides changed a path.
pub fn conflict_why(why: Why, direction: Direction) -> String {
    match (why, direction) {
        (Why::RemovedFromSnapshot, Direction::Out) => {
            "removed from the home and changed in the snapshot".to_owned()
        }
        (Why::FolderReplaced, Direction::Out) => {
            "a folder in the home, replaced in the snapshot".to_owned()
        }
        (Why::FolderHoldsOwn, Direction::Out) => {
            "a folder in the snapshot with files of its own, replaced in the home".to_owned()
        }
        _ => why.to_string(),
    }
}

fn pretty(value: Option<&Value>) -> String {
    let text = value.and_then(|value| serde_json::to_string_pretty(value).ok());
    text.map_or_else(String::new, |text| text + "\n")
}

/// Returns the change of a JSON file, unless it is too large.
fn json_diff(from: Option<&Path>, to: Option<&Path>) -> Option<String> {
    let either = to.or(from)?;
    if either.extension()? != "json" {
        return None;
    }
    let text = |path: Option<&Path>| match path.map(|path| (path, fs::stat(path))) {
        None => Some(String::new()),
        Some((_, Err(error))) => error.is_not_found().then(String::new),
        Some((path, Ok(stat))) if stat.fingerprint.size <= LARGEST_TEXT => {
            String::from_utf8(fs::read(path).ok()?).ok()
        }
        Some(_) => None,
    };
    Some(text::diff(&text(from)?, &text(to)?))
}
