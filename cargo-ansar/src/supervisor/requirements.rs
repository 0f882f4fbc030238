//! The parts of the system that running roles needs, as decisions about data.

use crate::host::limits::{Limits, Services};
use crate::model::finding::{Finding, State};
use crate::supervisor::launcher::needed_descriptors;

/// Processes and threads that a role may need, with Cargo's among them.
const PROCESSES: u64 = 4;
/// Processes and threads of commands and of Cargo.
const OWN_PROCESSES: u64 = 64;

/// Checks the limits for this number of roles.
pub fn limits(limits: &Limits, roles: usize) -> [Finding; 2] {
    [descriptors(limits, roles), processes(limits, roles)]
}

fn descriptors(limits: &Limits, roles: usize) -> Finding {
    const CHECK: &str = "open-files";
    let (least, needed) = needed_descriptors(roles);
    let Some(limit) = limits.descriptors else {
        return Finding::ok(CHECK, "not limited");
    };
    let state = match limit {
        limit if limit < least => State::Error,
        limit if limit < needed => State::Warning,
        _ => return Finding::ok(CHECK, format!("{limit} per process")),
    };
    let text = format!("{limit} per process, and the roles need up to {needed}");
    let hint = format!(
        "raise the hard limit, as root: `ulimit -Hn {}`",
        needed.max(4096)
    );
    Finding::new(CHECK, state, text, hint)
}

fn processes(limits: &Limits, roles: usize) -> Finding {
    const CHECK: &str = "processes";
    let Some((limit, used)) = limits.processes else {
        return Finding::ok(CHECK, "not limited");
    };
    let needed = roles as u64 * PROCESSES + OWN_PROCESSES;
    let free = limit.saturating_sub(used);
    if free >= needed {
        return Finding::ok(CHECK, format!("{limit} allowed, {free} free"));
    }
    let text = format!("{limit} allowed, {free} free, and the roles need up to {needed}");
    let hint = format!("allow more with `ulimit -u {}`", used + needed);
    let state = if free < roles as u64 {
        State::Error
    } else {
        State::Warning
    };
    Finding::new(CHECK, state, text, hint)
}

/// Checks the services of the kernel.
pub fn services(services: &Services) -> [Finding; 3] {
    let finding = |check, missing: &Option<String>, state, without: &str, hint: &str| match missing
    {
        None => Finding::ok(check, "available"),
        Some(why) => Finding::new(
            check,
            state,
            format!("not available, {without}: {why}"),
            hint,
        ),
    };
    [
        finding(
            "orphans",
            &services.subreaper,
            State::Error,
            "processes that roles leave behind are not found",
            "use Linux 3.4 or newer",
        ),
        finding(
            "process-handles",
            &services.pidfd,
            State::Error,
            "leftovers of killed engines are not ended",
            "use Linux 5.3 or newer, and a seccomp profile that allows `pidfd_open`",
        ),
        finding(
            "listening-sockets",
            &services.sockets,
            State::Warning,
            "probes connect to ports instead",
            "load the kernel module with `modprobe inet_diag`",
        ),
    ]
}

/// Checks the namespaces. `missing` is the error of creating a network, and
/// `is_needed` is true if a role of the workspace needs one.
pub fn namespaces(missing: Option<&str>, is_needed: bool) -> Finding {
    const CHECK: &str = "namespaces";
    let Some(why) = missing else {
        return Finding::ok(CHECK, "a home can have a network of its own");
    };
    let state = if is_needed {
        State::Error
    } else {
        State::Warning
    };
    let text = format!("`network = \"own\"` and `unprivileged` do not work: {why}");
    let setting = why
        .strip_prefix('`')
        .and_then(|rest| rest.split_once("` is "));
    let hint = match setting {
        Some((name, value)) => {
            let wanted = match value {
                "0" if name.starts_with("user.") => "1000",
                "0" => "1",
                _ => "0",
            };
            format!("allow them with `sudo sysctl {name}={wanted}`")
        }
        None => "in Docker, allow them with `--security-opt seccomp=unconfined`".to_owned(),
    };
    Finding::new(CHECK, state, text, hint)
}

/// Checks the engines of a home: those that were killed, and those that do not
/// answer.
pub fn engines(stale: &[u32], silent: &[u32], live: usize) -> Finding {
    const CHECK: &str = "engines";
    let list = |pids: &[u32]| {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        pids.join(" ")
    };
    if !silent.is_empty() {
        let pids = list(silent);
        let text = format!("no answer from the engine with process id {pids}");
        return Finding::new(
            CHECK,
            State::Error,
            text,
            format!("end it with `kill {pids}`"),
        );
    }
    if !stale.is_empty() {
        let text = format!(
            "the engine with process id {} was killed, and its processes may still run",
            list(stale)
        );
        let hint = "clean up with `cargo ansar status`";
        return Finding::new(CHECK, State::Warning, text, hint);
    }
    match live {
        0 => Finding::ok(CHECK, "none is running"),
        live => Finding::ok(CHECK, format!("{live} running")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_compared_with_the_roles() {
        let states = |descriptors, processes, roles| {
            let limits = Limits {
                descriptors,
                processes,
                ..Limits::default()
            };
            super::limits(&limits, roles).map(|finding| finding.state)
        };
        assert_eq!(states(None, None, 1000), [State::Ok, State::Ok]);
        assert_eq!(states(Some(1024), Some((4096, 96)), 100), [State::Ok; 2]);
        let few = states(Some(800), Some((1000, 800)), 100);
        assert_eq!(few, [State::Warning, State::Warning]);
        let none = states(Some(256), Some((1000, 1000)), 100);
        assert_eq!(none, [State::Error, State::Error]);
    }

    #[test]
    fn forbidden_namespaces_are_an_error_if_needed() {
        assert_eq!(namespaces(None, true).state, State::Ok);
        for (why, hint) in [
            ("`user.b` is 0", "allow them with `sudo sysctl user.b=1000`"),
            ("`a.b` is 0", "allow them with `sudo sysctl a.b=1`"),
            ("`a.b` is 1", "allow them with `sudo sysctl a.b=0`"),
            (
                "EPERM",
                "in Docker, allow them with `--security-opt seccomp=unconfined`",
            ),
        ] {
            let found = namespaces(Some(why), true);
            assert_eq!(found.state, State::Error);
            assert_eq!(found.hint.as_deref(), Some(hint));
            assert_eq!(namespaces(Some(why), false).state, State::Warning);
        }
    }

    #[test]
    fn a_missing_service_has_its_reason() {
        let found = services(&Services {
            subreaper: None,
            pidfd: Some("EPERM".to_owned()),
            sockets: Some("ENOENT".to_owned()),
        });
        assert_eq!(found[0].state, State::Ok);
        assert_eq!(
            (found[1].state, found[1].text.as_str()),
            (
                State::Error,
                "not available, leftovers of killed engines are not ended: EPERM"
            )
        );
        assert_eq!(found[2].state, State::Warning);
    }
}
