//! Text about roles in the background.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use serde::Serialize;

use crate::commands::start::Outcome;
use crate::commands::status::Status;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::placeholder::DEFAULT_PORT;
use crate::protocol::{Host, State};
use crate::report::human::{excerpt, roles};
use crate::report::json;
use crate::report::shell::Shell;

/// Shows the outcome of `start`.
pub fn started(shell: &mut Shell, outcome: &Outcome, hint: Option<&str>) {
    if let [first, others @ ..] = &*outcome.newer {
        let first = first.display();
        let sources = match others.len() {
            0 => format!("`{first}` is newer"),
            more => format!("`{first}` and {more} more are newer"),
        };
        shell.warn(&format!("{sources} than what is deployed"));
        shell.hint("build, deploy and restart affected roles with `cargo ansar deploy -f`");
    }
    if !outcome.up.is_empty() {
        let verb = if outcome.is_unknown {
            "Starting"
        } else {
            "Started"
        };
        shell.status(verb, &named(&outcome.up));
    }
    if !outcome.done.is_empty() {
        shell.status("Ended", &format!("{} already", named(&outcome.done)));
    }
    if !outcome.failed.is_empty() {
        let failed = outcome.failed.iter();
        let failed = failed.map(|(role, why)| format!("`{role}` ({why})"));
        let failed: Vec<String> = failed.collect();
        shell.error(&format!("not started: {}", failed.join(", ")));
        for lines in &outcome.excerpts {
            excerpt(shell, lines);
        }
        if let Some(hint) = hint {
            shell.hint(hint);
        }
    }
    if outcome.up.is_empty() && outcome.done.is_empty() && outcome.failed.is_empty() {
        shell.status("Started", "nothing");
    }
}

/// Shows the outcome of `stop`.
pub fn stopped(shell: &mut Shell, stopped: &BTreeSet<RoleName>) {
    let names: Vec<RoleName> = stopped.iter().cloned().collect();
    let text = if names.is_empty() {
        "nothing: no role runs".to_owned()
    } else {
        named(&names)
    };
    shell.status("Stopped", &text);
}

fn named(names: &[RoleName]) -> String {
    match names {
        [] => String::new(),
        [name] => format!("`{name}`"),
        _ => roles(names),
    }
}

/// Shows the names of running roles.
pub fn status(shell: &mut Shell, status: &[Status]) {
    for role in status {
        shell.data(&role.role);
    }
}

/// Shows all details of running roles.
pub fn status_in_full(shell: &mut Shell, status: &[Status]) {
    let width = |text: fn(&Status) -> String| {
        status
            .iter()
            .map(|status| text(status).len())
            .max()
            .unwrap_or(0)
    };
    let (names, pids, times) = (width(name), width(pid), width(uptime));
    for role in status {
        let head = format!(
            "{:names$} {:pids$} {:>times$} {:10}",
            name(role),
            pid(role),
            uptime(role),
            state(role),
        );
        let line = format!("{head} {}", remarks(role));
        shell.data(line.trim_end());
    }
}

fn name(status: &Status) -> String {
    status.role.clone()
}

fn pid(status: &Status) -> String {
    status
        .pid
        .map_or_else(|| "<>".to_owned(), |pid| format!("<{pid}>"))
}

fn uptime(status: &Status) -> String {
    short(status.uptime)
}

fn state(status: &Status) -> String {
    match status.state {
        Some(state) => state.to_string(),
        None if status.called => "called".to_owned(),
        None if status.by_hand => "by hand".to_owned(),
        None => "no answer".to_owned(),
    }
}

fn remarks(status: &Status) -> String {
    let mut remarks = Vec::new();
    if let Some(usage) = status.usage {
        remarks.push(format!("cpu {}", short(usage.cpu)));
        #[expect(clippy::cast_precision_loss, reason = "the output shows one digit")]
        let megabytes = usage.memory as f64 / 1e6;
        remarks.push(format!("memory {megabytes:.1} MB"));
    }
    for (port, address) in &status.ports {
        remarks.push(match port.as_str() {
            DEFAULT_PORT => format!("address {address}"),
            port => format!("{port} {address}"),
        });
    }
    if status.attempt > 1 {
        remarks.push(format!("attempt {}", status.attempt));
    }
    if status.restarts > 0 {
        remarks.push(format!("restarts {}", status.restarts));
    }
    if status.lost > 0 {
        remarks.push(format!("lost log lines {}", status.lost));
    }
    if let Some(why) = &status.unkillable {
        remarks.push(format!("cannot be killed, {why}"));
    }
    if let Some(why) = &status.unready {
        remarks.push(format!("not ready: {why}"));
    }
    if let Some(why) = &status.unhealthy {
        remarks.push(format!("unhealthy: {why}"));
    }
    if let Some((_, Host::Foreground | Host::Attached)) = status.engine {
        remarks.push("in the foreground".to_owned());
    }
    remarks.join(", ")
}

/// Formats a duration with few digits: `17.2s`, `1m46.3s`, `7h30m`, `3d2h`.
pub fn short(span: Duration) -> String {
    let tenths = span.as_millis() / 100;
    let (seconds, tenth) = (tenths / 10, tenths % 10);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match hours {
        0 if minutes == 0 => format!("{seconds}.{tenth}s"),
        0 => format!("{minutes}m{}.{tenth}s", seconds % 60),
        1..24 => format!("{hours}h{}m", minutes % 60),
        _ => format!("{}d{}h", hours / 24, hours % 24),
    }
}

/// A running role as JSON.
#[derive(Serialize)]
struct Line<'a> {
    role: &'a str,
    executable: Option<&'a ExecutableName>,
    pid: Option<u32>,
    /// In seconds.
    uptime: f64,
    state: Option<State>,
    attempt: u32,
    restarts: u32,
    lost: u64,
    /// True if a role called the process.
    called: bool,
    /// True if the component was started by hand, without an engine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    by_hand: bool,
    engine: Option<u32>,
    host: Option<Host>,
    /// In seconds of processor time.
    cpu: Option<f64>,
    /// In bytes.
    memory: Option<u64>,
    /// Addresses by the name of the port.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    addresses: BTreeMap<&'a str, SocketAddrV4>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unkillable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unready: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unhealthy: Option<&'a str>,
}

/// Shows running roles as JSON, one object per role.
pub fn status_as_json(shell: &mut Shell, status: &[Status]) {
    for role in status {
        let line = Line {
            role: &role.role,
            executable: role.executable.as_ref(),
            pid: role.pid,
            uptime: role.uptime.as_secs_f64(),
            state: role.state,
            attempt: role.attempt,
            restarts: role.restarts,
            lost: role.lost,
            called: role.called,
            by_hand: role.by_hand,
            engine: role.engine.map(|(pid, _)| pid),
            host: role.engine.map(|(_, host)| host),
            cpu: role.usage.map(|usage| usage.cpu.as_secs_f64()),
            memory: role.usage.map(|usage| usage.memory),
            addresses: role
                .ports
                .iter()
                .map(|(name, address)| (name.as_str(), *address))
                .collect(),
            unkillable: role.unkillable.as_deref(),
            unready: role.unready.as_deref(),
            unhealthy: role.unhealthy.as_deref(),
        };
        json::item(shell, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [
            (0.04, "0.0s"),
            (17.25, "17.2s"),
            (59.99, "59.9s"),
            (106.3, "1m46.3s"),
            (27_000.0, "7h30m"),
            (266_400.0, "3d2h"),
        ] {
            assert_eq!(short(Duration::from_secs_f64(seconds)), text);
        }
    }
}
