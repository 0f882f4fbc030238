//! Procfiles: a line `NAME: COMMAND` for each process.

use crate::manifest::import::command::{Line, run};
use crate::manifest::import::draft::{Draft, Names, Rendered, render};
use crate::manifest::import::{ImportError, Input, MOST_SERVICES};
use crate::model::role_properties::EnvFile;

/// A line of a Procfile.
struct Process<'a> {
    line: u32,
    name: &'a str,
    command: &'a str,
}

/// Translates a Procfile.
///
/// # Errors
///
/// Returns an error for a line that is neither a process nor a comment.
pub(super) fn translate(input: &Input<'_>) -> Result<Rendered, ImportError> {
    let mut processes = Vec::new();
    for (line, text) in (1..).zip(input.text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
        let process = text
            .split_once(':')
            .filter(|(name, _)| !name.is_empty() && name.chars().all(is_name));
        let Some((name, command)) = process else {
            let reason = "expected `NAME: COMMAND`".to_owned();
            return Err(ImportError::new(line, reason));
        };
        if processes.len() == MOST_SERVICES {
            let reason = format!("more than {MOST_SERVICES} processes");
            return Err(ImportError::new(line, reason));
        }
        let other = processes
            .iter()
            .find(|other: &&Process<'_>| other.name == name);
        if let Some(other) = other {
            let reason = format!("process `{name}` is in line {} already", other.line);
            return Err(ImportError::new(line, reason));
        }
        processes.push(Process {
            line,
            name,
            command: command.trim(),
        });
    }
    if processes.is_empty() {
        return Err(ImportError::new(
            1,
            "no process, expected `NAME: COMMAND`".to_owned(),
        ));
    }
    let names = Names::of(processes.iter().map(|process| process.name));
    let drafts = processes.iter().filter_map(|process| {
        let role = names.role(process.name)?.clone();
        Some(draft(
            process,
            Draft::new(role, process.name, process.line),
            input,
        ))
    });
    Ok(render(drafts.collect(), input.tests))
}

fn draft(process: &Process<'_>, mut draft: Draft, input: &Input<'_>) -> Draft {
    let line = Line::read(process.command, true);
    // Without a variable, only the process `web` expects to be told its port.
    if process.command.contains("$PORT")
        || process.command.contains("${PORT")
        || process.name == "web"
    {
        draft.variable("PORT", "{port}".to_owned(), process.line);
    }
    run(&mut draft, line, "sh", input, process.line);
    if input.has_dot_env {
        draft.env_files.push(EnvFile {
            path: ".env".to_owned(),
            optional: true,
        });
    }
    draft
}
