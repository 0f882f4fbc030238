//! Files of process-compose: a process is a command line for a shell.

use std::time::Duration;

use crate::manifest::import::command::{Line, run, run_words};
use crate::manifest::import::compose::{duration, entries, is_path, signal};
use crate::manifest::import::draft::{Draft, Names, Rendered, literal, remark, render};
use crate::manifest::import::yaml::{Entry, Value, Yaml};
use crate::manifest::import::{ImportError, Input};
use crate::model::name_template::MOST_ROLES;
use crate::model::readiness::{Health, Probe};
use crate::model::role_properties::EnvFile;

/// Translates a file of process-compose.
///
/// # Errors
///
/// Returns an error if `processes` is not a mapping of mappings.
pub(super) fn translate(root: &Yaml, input: &Input<'_>) -> Result<Rendered, ImportError> {
    let entries = entries(root, "processes")?;
    let names = Names::of(entries.iter().map(|entry| entry.key.as_str()));
    let completed: Vec<&str> = entries
        .iter()
        .flat_map(|entry| completed(&entry.value))
        .collect();
    let shell = root
        .get("shell")
        .and_then(|shell| shell.text_of("shell_command"));
    let mut drafts = Vec::new();
    for entry in entries {
        if !matches!(entry.value.value, Value::Map(_)) {
            let reason = format!("process `{}` is not a mapping", entry.key);
            return Err(ImportError::new(entry.line, reason));
        }
        let Some(role) = names.role(&entry.key) else {
            continue;
        };
        let mut draft = Draft::new(role.clone(), &entry.key, entry.line);
        environment(root, &mut draft);
        command(&entry.value, shell.unwrap_or("bash"), input, &mut draft);
        environment(&entry.value, &mut draft);
        for key in entry.value.entries() {
            process_key(key, &names, &mut draft);
        }
        if completed.contains(&entry.key.as_str()) {
            draft.ready = Some(Probe::Done);
        }
        replicas(&entry.value, &names, &mut draft);
        drafts.push(draft);
    }
    let mut rendered = render(drafts, input.tests);
    let known = ["processes", "version", "environment", "shell"];
    let others = root.entries().iter().rev();
    for entry in others.filter(|entry| !known.contains(&entry.key.as_str())) {
        let reason = "it is about process-compose itself";
        let line = remark(&format!("`{}`", entry.key), entry.line, reason);
        rendered.text.insert_str(0, &format!("{line}\n"));
        rendered.remarks += 1;
    }
    Ok(rendered)
}

/// Returns the processes whose completion a process waits for.
fn completed(process: &Yaml) -> impl Iterator<Item = &str> {
    let entries = process.get("depends_on").map_or(&[][..], Yaml::entries);
    let completed = entries.iter().filter(|entry| {
        let condition = entry.value.text_of("condition");
        condition.is_some_and(|condition| condition.starts_with("process_completed"))
    });
    completed.map(|entry| entry.key.as_str())
}

fn command(process: &Yaml, shell: &str, input: &Input<'_>, draft: &mut Draft) {
    if let Some(line) = process.get("command") {
        let text = line.text().unwrap_or_default().trim();
        if !text.is_empty() && !text.contains('\0') {
            run(draft, Line::read(text, false), shell, input, line.line);
        }
    } else if let Some(entrypoint) = process.get("entrypoint") {
        let words = entrypoint.elements().iter().filter_map(Yaml::text);
        let words: Vec<String> = words.map(str::to_owned).collect();
        run_words(draft, &words, input, entrypoint.line);
    }
}

fn environment(node: &Yaml, draft: &mut Draft) {
    for element in node.get("environment").map_or(&[][..], Yaml::elements) {
        let text = element.text().unwrap_or_default();
        match text.split_once('=') {
            Some((name, value)) => draft.variable(name, literal(value), element.line),
            None => draft.remark("`environment`", element.line, "expected `NAME=VALUE`"),
        }
    }
}

fn process_key(entry: &Entry, names: &Names, draft: &mut Draft) {
    let (key, line) = (entry.key.as_str(), entry.line);
    let what = format!("`{key}`");
    let node = &entry.value;
    let text = node.text().unwrap_or_default();
    match key {
        "command" | "entrypoint" | "environment" | "replicas" => {}
        "description" => draft.comment(text),
        "working_dir" => draft.folder(&what, text, line),
        "env_file" if is_path(text) => draft.env_files.push(EnvFile {
            path: text.to_owned(),
            optional: false,
        }),
        "namespace" => draft.tag(&what, text, line),
        "disabled" => draft.disabled = text == "true",
        "depends_on" => {
            for other in node.entries() {
                match names.role(&other.key) {
                    Some(role) => draft.after.push((role.clone(), other.line)),
                    None => {
                        let reason = format!("there is no process `{}`", other.key);
                        draft.remark(&what, other.line, &reason);
                    }
                }
            }
        }
        "ready_log_line" if !text.is_empty() => {
            draft.ready = Some(Probe::Log(regex::escape(text)));
        }
        "readiness_probe" => {
            if let Some(probe) = probe(node, &what, draft) {
                draft.ready = Some(probe);
            }
        }
        "liveness_probe" => {
            if let Some(probe) = probe(node, &what, draft) {
                draft.health = Some(health(node, probe));
            }
        }
        "availability" => availability(node, draft),
        "shutdown" => shutdown(node, draft),
        _ => draft.remark(&what, line, "it has no counterpart"),
    }
}

/// Returns a probe, or says in a comment why it is none.
fn probe(node: &Yaml, what: &str, draft: &mut Draft) -> Option<Probe<String>> {
    if let Some(get) = node.get("http_get") {
        let scheme = get.text_of("scheme").unwrap_or("http");
        if !scheme.eq_ignore_ascii_case("http") {
            draft.remark(what, get.line, "only `http` is probed");
            return None;
        }
        let host = get.text_of("host").unwrap_or("127.0.0.1");
        let path = get.text_of("path").unwrap_or("/").trim_start_matches('/');
        let port: Option<u16> = get
            .text_of("port")
            .map_or(Some(80), |port| port.parse().ok());
        let is_host =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '[' | ']' | ':');
        let port = port.filter(|port| *port > 0);
        let Some(port) = port.filter(|_| !host.is_empty() && host.chars().all(is_host)) else {
            draft.remark(what, get.line, "its host or its port is not known");
            return None;
        };
        let local = ["localhost", "127.0.0.1", "0.0.0.0"].contains(&host);
        let address = if local && draft.replace_port(port) {
            "{address}".to_owned()
        } else {
            format!("{host}:{port}")
        };
        let status = get
            .text_of("status_code")
            .and_then(|code| code.parse().ok());
        return Some(Probe::Http {
            url: format!("http://{address}/{}", literal(path)),
            status: status
                .filter(|code| (100..600).contains(code))
                .into_iter()
                .collect(),
        });
    }
    let exec = node.get("exec");
    let command = exec
        .and_then(|exec| exec.text_of("command"))
        .unwrap_or_default();
    match Line::read(command, false) {
        _ if command.trim().is_empty() || command.contains('\0') => {
            draft.remark(
                what,
                node.line,
                "expected `http_get` or `exec` with a command",
            );
            None
        }
        Line::Words { variables, words } if variables.is_empty() && !words.is_empty() => {
            Some(Probe::Command {
                command: words.iter().map(|word| literal(word)).collect(),
                says: None,
            })
        }
        Line::Words { .. } | Line::Shell(_) => Some(Probe::Command {
            command: vec!["sh".to_owned(), "-c".to_owned(), literal(command)],
            says: None,
        }),
    }
}

fn health(node: &Yaml, probe: Probe<String>) -> Health<String> {
    let number = |key: &str, default: u64| {
        let number = node.text_of(key).and_then(|number| number.parse().ok());
        number
            .filter(|number| (1..=86_400).contains(number))
            .unwrap_or(default)
    };
    Health {
        probe,
        every: Duration::from_secs(number("period_seconds", 10)),
        failures: u32::try_from(number("failure_threshold", 3)).unwrap_or(3),
    }
}

fn availability(node: &Yaml, draft: &mut Draft) {
    for entry in node.entries() {
        let what = format!("`availability.{}`", entry.key);
        match (entry.key.as_str(), entry.value.text().unwrap_or_default()) {
            ("restart", "always") => draft.restart = Some("always"),
            ("restart", "on_failure") => draft.restart = Some("on-failure"),
            ("restart", "no") => {}
            ("restart", _) => {
                draft.remark(&what, entry.line, "expected `always`, `on_failure` or `no`");
            }
            ("backoff_seconds" | "max_restarts", _) => {
                draft.remark(
                    &what,
                    entry.line,
                    "restarts have no limit, their delays grow",
                );
            }
            _ => draft.remark(&what, entry.line, "it has no counterpart"),
        }
    }
}

fn shutdown(node: &Yaml, draft: &mut Draft) {
    for entry in node.entries() {
        let what = format!("`shutdown.{}`", entry.key);
        let text = entry.value.text().unwrap_or_default();
        match entry.key.as_str() {
            "signal" => match signal(text) {
                Some(signal) => draft.stop_signal = Some(signal),
                None => draft.remark(&what, entry.line, "no role is stopped with this signal"),
            },
            "timeout_seconds" => match duration(text) {
                Some(grace) => draft.stop_grace = Some(grace),
                None => draft.remark(&what, entry.line, "it is not a duration of more than zero"),
            },
            _ => draft.remark(&what, entry.line, "a role is stopped by a signal"),
        }
    }
}

/// Makes a series of a process with replicas.
fn replicas(process: &Yaml, names: &Names, draft: &mut Draft) {
    let Some(node) = process.get("replicas") else {
        return;
    };
    let count = node.text().and_then(|count| count.parse::<u32>().ok());
    let name = draft.name.as_str();
    let stem = name.rsplit_once('-').map_or(name, |(stem, _)| stem);
    match count {
        Some(1) => {}
        Some(count)
            if (2..=100).contains(&count)
                && name.ends_with("-0")
                && (1..count).all(|nth| !names.is_taken(&format!("{stem}-{nth}"))) =>
        {
            draft.count = Some(count);
        }
        _ => {
            let reason = format!("expected 1 to 100 (a group has at most {MOST_ROLES} roles)");
            draft.remark("`replicas`", node.line, &reason);
        }
    }
}
