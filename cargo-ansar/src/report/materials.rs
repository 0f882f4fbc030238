//! What goes into a home and comes out of it, as lines.

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

/// The version of the lines for programs.
const VERSION: u32 = 1;

/// What came of a deploy; where only the plan was wanted, that.
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
            Step::Settled => "gives way: ",
            _ => "",
        };
        shell.data(&format!("{about}{}: {}", line.what, line.why));
        for text in line.diff.iter().flat_map(|diff| diff.lines()) {
            shell.data(&format!("    {text}"));
        }
    }
    shell.flush();
}

/// A step, for programs.
#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    line: &'a Line,
}

/// One JSON object per step.
pub fn steps_as_json(shell: &mut Shell, lines: &[Line]) {
    for line in lines {
        let line = Versioned {
            version: VERSION,
            line,
        };
        // Plain data, which always can be encoded.
        shell.json(&serde_json::to_string(&line).unwrap_or_default());
    }
}

/// What came of a snapshot.
pub fn taken(shell: &mut Shell, outcome: &snapshot::Outcome) {
    let folder = outcome.folder.display();
    if outcome.is_planned {
        planned(shell, &outcome.lines);
        if outcome.changed.is_empty() {
            shell.status("Nothing", &format!("to take into `{folder}`"));
        }
        return;
    }
    if outcome.changed.is_empty() {
        shell.status("Nothing", &format!("to take into `{folder}`"));
    } else {
        let changed = count(outcome.changed.len(), "material");
        shell.status("Took", &format!("{changed} into `{folder}`"));
    }
    if outcome.conflicts > 0 {
        shell.hint("say which side wins with `--take home` or `--take snapshot`");
    }
}

/// Why a role was last started again.
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
            "{role} {started}; it is not known what changed before that: no deploy wrote it down"
        ));
        return;
    };
    let deployed = ago(change.at);
    shell.data(&match because {
        Because::Restarted => {
            format!("{role} was started again {deployed} ago, by a deploy that changed")
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

/// From which source that comes, as far as it is known.
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
        (None, _) => "there is no account of its sources, or none of the build before",
        (Some([]), []) => {
            "no source of it is newer than the build before, and nothing was compiled right \
             before: somebody else has built it, or it was built otherwise"
        }
        (Some([]), _) => {
            "no source of it is newer than the build before: it was built otherwise, or by \
             another compiler"
        }
        _ => return,
    };
    shell.data(&format!("    from which source is not known: {unknown}"));
}
