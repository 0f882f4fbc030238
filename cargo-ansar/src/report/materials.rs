//! Text about deploys, snapshots and their effects.

use serde::Serialize;

use crate::commands::deploy::Outcome;
use crate::commands::snapshot;
use crate::commands::why;
use crate::commands::why::Because;
use crate::deploy::preview::{Line, Step};
use crate::home::history::Kind;
use crate::home::restart_reason::{ChangeCause, Source};
use crate::model::duration::HumanDuration;
use crate::report::human::count;
use crate::report::shell::Shell;

/// Version of the JSON lines.
const VERSION: u32 = 1;

/// Shows the outcome of a deploy, or the plan for a dry run.
pub fn deployed(shell: &mut Shell, outcome: &Outcome) {
    if let Some(done) = &outcome.done {
        if !done.changed {
            shell.status("Nothing", "to deploy");
        }
        return;
    }
    planned(shell, &outcome.lines);
    if outcome.lines.is_empty() {
        shell.status("Nothing", "to deploy");
    }
}

fn planned(shell: &mut Shell, lines: &[Line]) {
    for line in lines {
        let about = match line.step {
            Step::Role => "role ",
            Step::Conflict => "left alone: ",
            Step::Settled => "overruled: ",
            _ => "",
        };
        shell.data(&format!("{about}{}: {}", line.what, line.why));
        for text in line.diff.iter().flat_map(|diff| diff.lines()) {
            shell.data(&format!("    {text}"));
        }
    }
    shell.flush();
}

/// A step as JSON.
#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    line: &'a Line,
}

/// Shows steps as JSON, one object per step.
pub fn steps_as_json(shell: &mut Shell, lines: &[Line]) {
    for line in lines {
        let line = Versioned {
            version: VERSION,
            line,
        };
        // Encoding plain data cannot fail.
        shell.json(&serde_json::to_string(&line).unwrap_or_default());
    }
}

/// Shows the outcome of a snapshot.
pub fn taken(shell: &mut Shell, outcome: &snapshot::Outcome) {
    let folder = outcome.folder.display();
    if outcome.is_planned {
        planned(shell, &outcome.lines);
        if outcome.changed.is_empty() {
            shell.status("Nothing", &format!("to copy to `{folder}`"));
        }
        return;
    }
    if outcome.changed.is_empty() {
        shell.status("Nothing", &format!("to copy to `{folder}`"));
    } else {
        let changed = count(outcome.changed.len(), "material");
        shell.status("Copied", &format!("{changed} to `{folder}`"));
    }
    if outcome.conflicts > 0 {
        shell.hint("choose the side that wins with `--take home` or `--take snapshot`");
    }
}

/// Shows why a role was last restarted.
pub fn why(shell: &mut Shell, outcome: &why::Outcome) {
    let ago = |at| {
        let span = outcome.now.duration_since(at);
        HumanDuration(span.try_into().unwrap_or_default())
    };
    let role = &outcome.role;
    let (Some(change), Some(because)) = (&outcome.change, outcome.because()) else {
        let started = outcome.start.as_ref();
        let started = started.map_or_else(
            || "has not run yet".to_owned(),
            |start| {
                format!(
                    "was started {} ago by `{}`",
                    ago(start.at),
                    command(start.kind)
                )
            },
        );
        shell.data(&format!(
            "{role} {started}; no deploy recorded what changed before"
        ));
        return;
    };
    let deployed = ago(change.at);
    shell.data(&match because {
        Because::Restarted => {
            format!("{role} was restarted {deployed} ago, by a deploy that changed")
        }
        Because::Later(kind) => {
            format!(
                "{role} was started by `{}`, after a deploy {deployed} ago that changed",
                command(kind)
            )
        }
        Because::NotYet => {
            format!("{role} was not started since a deploy {deployed} ago that changed")
        }
        Because::NeverRan => {
            format!("{role} has not run yet; a deploy {deployed} ago changed")
        }
    });
    for cause in &change.causes {
        self::cause(shell, cause);
    }
}

fn command(kind: Kind) -> &'static str {
    match kind {
        Kind::Start => "start",
        Kind::Run => "run",
        Kind::Test => "test",
        Kind::With => "with",
    }
}

fn cause(shell: &mut Shell, cause: &ChangeCause) {
    let text = match cause {
        ChangeCause::Added => "the role: it was added".to_owned(),
        ChangeCause::Executable {
            executable, why, ..
        } => format!("executable `{executable}`: {why}"),
        ChangeCause::Runs { before } => format!("what it runs: it was `{before}`"),
        ChangeCause::Environment => "its environment".to_owned(),
        ChangeCause::Arguments => "its arguments".to_owned(),
        ChangeCause::Properties { names } => format!("its properties: {}", names.join(", ")),
        ChangeCause::Program { path } => format!("its program: {}", path.display()),
        ChangeCause::Watched { paths } => format!("files that it watches: {}", paths.join(", ")),
        ChangeCause::Resource { paths } => format!("its resources: {}", paths.join(", ")),
        ChangeCause::Model { paths } => format!("its model: {}", paths.join(", ")),
        ChangeCause::Settings { fields } => format!("its settings: {}", fields.join(", ")),
        ChangeCause::Input => "its input".to_owned(),
    };
    shell.data(&format!("  {text}"));
    if let ChangeCause::Executable {
        sources, compiled, ..
    } = cause
    {
        origin(
            shell,
            sources.as_deref(),
            &compiled.iter().cloned().collect::<Vec<_>>(),
        );
    }
}

/// Shows the sources that caused a new executable, as far as they are known.
fn origin(shell: &mut Shell, sources: Option<&[Source]>, compiled: &[String]) {
    let known = sources.unwrap_or_default();
    for Source { path, package } in known {
        let of = match package {
            Some(package) => format!(" of package `{package}`"),
            None => String::new(),
        };
        shell.data(&format!("    {}{of}", path.display()));
    }
    if !compiled.is_empty() {
        shell.data(&format!(
            "    compiled right before: {}",
            compiled.join(", ")
        ));
    }
    let unknown = match (sources, compiled) {
        (None, _) => "its sources or the build before are not recorded",
        (Some([]), []) => {
            "no source is newer than the build before, and nothing was compiled for this deploy: \
             it was built separately, or with other options"
        }
        (Some([]), _) => {
            "no source is newer than the build before: it was built with other options or by \
             another compiler"
        }
        _ => return,
    };
    shell.data(&format!("    source unknown: {unknown}"));
}
