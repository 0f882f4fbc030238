//! Text about events, while they happen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::events::{
    Author, DeployEvent, Event, Kind, LogEvent, Phase, RoleEvent, RunEvent, SourceEvent,
    StopReason, Until,
};
use crate::home::shell_quoted;
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::report::human::{NAMES, count, failure_text, some_of, some_roles};
use crate::report::shell::{Shell, Verbosity};

/// Returns true if an event is shown at this verbosity.
pub fn is_told(kind: &Kind, verbosity: Verbosity) -> bool {
    match kind {
        Kind::Role(event) => is_role_told(event, verbosity),
        Kind::Run(event) => match event {
            // Shown as progress, or at the end of the run.
            RunEvent::Awaiting { .. }
            | RunEvent::Placed { .. }
            | RunEvent::Result { .. }
            | RunEvent::Verdict(_) => false,
            RunEvent::Placing { .. }
            | RunEvent::ShardLost { .. }
            | RunEvent::Running { .. }
            | RunEvent::Testing { .. }
            | RunEvent::Analyzing { .. }
            | RunEvent::Stopping { .. }
            | RunEvent::Waiting { .. }
            | RunEvent::Orphans { .. }
            | RunEvent::CleanedUp { .. }
            | RunEvent::Unkept { .. } => true,
        },
        Kind::Deploy(event) => match event {
            // Shown as progress, or by Cargo itself.
            DeployEvent::Building {} | DeployEvent::Built {} | DeployEvent::Transferring { .. } => {
                false
            }
            DeployEvent::Blocked { .. }
            | DeployEvent::HomeCreated { .. }
            | DeployEvent::Phase { .. }
            | DeployEvent::Retired { .. }
            | DeployEvent::PortMoved { .. }
            | DeployEvent::Conflict { .. }
            | DeployEvent::Passed { .. }
            | DeployEvent::Hidden { .. }
            | DeployEvent::Deployed { .. }
            | DeployEvent::Suspending { .. }
            | DeployEvent::Restored { .. }
            | DeployEvent::Unrestored { .. } => true,
        },
        Kind::Log(_) | Kind::Source(_) => true,
    }
}

fn is_role_told(event: &RoleEvent, verbosity: Verbosity) -> bool {
    match event {
        RoleEvent::Started { .. } | RoleEvent::Ready { .. } | RoleEvent::Retrying { .. } => {
            verbosity >= Verbosity::Verbose
        }
        RoleEvent::Check { passed, .. } => !passed && verbosity >= Verbosity::Normal,
        RoleEvent::Ended { outcome, .. } => {
            verbosity >= Verbosity::Verbose || outcome.cause == Cause::Killed
        }
        RoleEvent::Unhealthy { .. }
        | RoleEvent::Healthy { .. }
        | RoleEvent::Rerunning { .. }
        | RoleEvent::Slow { .. }
        | RoleEvent::Restarting { .. }
        | RoleEvent::Unkillable { .. }
        | RoleEvent::Unrecorded { .. } => true,
    }
}

/// Shows an event for which [`is_told`] returns true.
pub fn event(shell: &mut Shell, event: &Event) {
    match &event.kind {
        Kind::Log(event) => log(shell, event),
        Kind::Role(event) => life(shell, event),
        Kind::Run(event) => run(shell, event),
        Kind::Deploy(event) => deploy(shell, event),
        Kind::Source(event) => watching(shell, event),
    }
}

fn log(shell: &mut Shell, event: &LogEvent) {
    match event {
        LogEvent::Line { role, text, .. } => shell.line(role, text),
        LogEvent::Lost {
            role,
            count: lost,
            is_over,
            why,
        } => shell.warn(&if *is_over {
            let lost = count(*lost, "log line");
            format!("{lost} of role `{role}` lost in all")
        } else {
            format!("log lines of role `{role}` are lost: {why}")
        }),
    }
}

fn run(shell: &mut Shell, event: &RunEvent) {
    match event {
        RunEvent::Running { roles } => shell.status("Running", &count(*roles, "role")),
        RunEvent::Testing {
            tests, operational, ..
        } => {
            let against = match operational {
                0 => String::new(),
                _ => format!(" against {}", count(*operational, "operational role")),
            };
            shell.status("Testing", &format!("{}{against}", count(*tests, "role")));
        }
        RunEvent::Analyzing {
            reports,
            executable,
        } => {
            let reports = count(*reports, "report");
            shell.status("Analyzing", &format!("{reports} with `{executable}`"));
        }
        RunEvent::Stopping { roles, why } => stopping(shell, *roles, *why),
        RunEvent::Waiting { roles, until, why } => waiting(shell, roles, *until, why),
        RunEvent::Orphans { count: left } => shell.warn(&format!(
            "ended {} that roles had orphaned",
            count(*left, "process")
        )),
        RunEvent::CleanedUp { count: left } => shell.warn(&format!(
            "an earlier command was killed; ended {} that it had orphaned",
            count(*left, "process")
        )),
        RunEvent::Unkept { why } => {
            shell.warn(&format!("cannot save the run for `report`: {why}"));
        }
        RunEvent::Placing { on, shards } => {
            shell.status("Placing", &format!("{} on {on}", count(*shards, "shard")));
        }
        RunEvent::ShardLost {
            shard,
            node,
            why,
            roles,
        } => {
            let node = node.as_ref().map(|node| format!(" (node {node})"));
            let node = node.unwrap_or_default();
            let roles = count(*roles, "role");
            shell.warn(&format!(
                "shard {shard}{node} is lost, {roles} without an outcome: {why}"
            ));
        }
        RunEvent::Awaiting { .. }
        | RunEvent::Placed { .. }
        | RunEvent::Result { .. }
        | RunEvent::Verdict(_) => {}
    }
}

fn deploy(shell: &mut Shell, event: &DeployEvent) {
    match event {
        DeployEvent::Building {} | DeployEvent::Built {} | DeployEvent::Transferring { .. } => {}
        DeployEvent::Phase { phase } => shell.status("Phase", phase_text(*phase)),
        DeployEvent::Blocked { home } => shell.status(
            "Blocking",
            &format!("waiting for another command in `{}`", home.display()),
        ),
        DeployEvent::HomeCreated { home } => {
            shell.status("Created", &format!("home `{}`", home.display()));
        }
        DeployEvent::Retired { role } => shell.status(
            "Retired",
            &format!("role `{role}`, which is no longer described"),
        ),
        DeployEvent::PortMoved {
            role,
            before,
            after,
        } => shell.warn(&format!(
            "port {before} of role `{role}` is used by another program; it gets port {after}"
        )),
        DeployEvent::Conflict { path, why } => {
            shell.warn(&format!("`{}` is left alone: {why}", path.display()));
        }
        DeployEvent::Passed { path, why } => {
            shell.warn(&format!("`{}` is not deployed: {why}", path.display()));
        }
        DeployEvent::Hidden { role, setting } => shell.warn(&format!(
            "setting `{setting}` of role `{role}` was set by hand, which overrides the manifest"
        )),
        DeployEvent::Deployed {
            changed,
            executables,
            relinked,
            affected,
        } => {
            let of = match relinked {
                0 => String::new(),
                _ => format!(" ({relinked} of {})", count(*executables, "executable")),
            };
            let affected = count(*affected, "role");
            let text = format!("{}{of}, {affected} affected", some_of(changed));
            shell.status("Deploying", &text);
        }
        DeployEvent::Suspending { roles } => shell.status("Stopping", &some_roles(roles)),
        DeployEvent::Restored { roles } => shell.status("Restored", &some_roles(roles)),
        DeployEvent::Unrestored { roles } => {
            shell.warn(&format!("restarted, but not ready: {}", some_roles(roles)));
        }
    }
}

fn waiting(shell: &mut Shell, roles: &[RoleName], until: Until, why: &BTreeMap<RoleName, String>) {
    let until = match until {
        Until::Stopped => "to stop",
        Until::Ready => "to be ready",
    };
    let mut text = format!("for {} {until}", some_roles(roles));
    let why = why.iter().take(NAMES);
    let why: Vec<String> = match roles {
        [_] => why.map(|(_, why)| why.clone()).collect(),
        _ => why.map(|(role, why)| format!("{role}: {why}")).collect(),
    };
    if !why.is_empty() {
        let _ = write!(text, ": {}", why.join("; "));
    }
    shell.status("Waiting", &text);
}

fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Locked => "the home is locked",
        Phase::Build => "build with Cargo",
        Phase::Plan => "compare the home with its sources",
        Phase::Apply => "apply the changes",
    }
}

fn life(shell: &mut Shell, event: &RoleEvent) {
    match event {
        RoleEvent::Check {
            role,
            file,
            line,
            column,
            text,
            ..
        } => {
            let column = column.map(|column| format!(":{column}"));
            let place = format!("{file}:{line}{}", column.unwrap_or_default());
            shell.bad_status("Fail", &failure_text(role, text, &place));
        }
        RoleEvent::Started {
            role,
            executable,
            pid,
            ..
        } => shell.status("Started", &format!("{role} ({executable}, process {pid})")),
        RoleEvent::Ready { role } => shell.status("Ready", role.as_str()),
        RoleEvent::Unhealthy { role, why } => {
            shell.warn(&format!("role `{role}` is unhealthy: {why}"));
        }
        RoleEvent::Healthy { role } => shell.status("Healthy", role.as_str()),
        RoleEvent::Ended { role, outcome } => ended(shell, role, outcome),
        RoleEvent::Unkillable { role, pid, why } => shell.warn(&format!(
            "role `{role}` cannot be killed: process {pid}: {why}"
        )),
        RoleEvent::Retrying { role, delay } => {
            shell.status("Retrying", &format!("{role} in {}", ShortDuration(*delay)));
        }
        RoleEvent::Restarting { role, delay } => {
            shell.status(
                "Restarting",
                &format!("{role} in {}", ShortDuration(*delay)),
            );
        }
        RoleEvent::Rerunning { role, nth, of } => {
            shell.odd_status("Rerunning", &format!("{role}, try {nth} of {of}"));
        }
        RoleEvent::Slow {
            role,
            elapsed,
            test,
        } => {
            let test = test.as_ref().map(|test| format!("::{test}"));
            let test = test.unwrap_or_default();
            let elapsed = ShortDuration(*elapsed);
            shell.odd_status("Slow", &format!("{role}{test}, {elapsed}"));
        }
        RoleEvent::Unrecorded { role, why } => {
            shell.warn(&format!("the history of role `{role}` has a gap: {why}"));
        }
    }
}

fn watching(shell: &mut Shell, event: &SourceEvent) {
    let named = |files: &[PathBuf]| {
        let names: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        some_of(&names)
    };
    match event {
        SourceEvent::Watching { files } => {
            shell.status(
                "Watching",
                &format!("{}, until Control-C", count(*files, "file")),
            );
        }
        SourceEvent::Polling { limit } => shell.warn(&format!(
            "inotify limit reached, polling for changes every 500 ms; raise `sysctl {limit}`"
        )),
        SourceEvent::Changed { files } => shell.status("Changed", &named(files)),
        SourceEvent::Rewritten { files } => shell.status(
            "Unchanged",
            &format!("{}, saved without changes", named(files)),
        ),
        SourceEvent::Written { files, by } => {
            let (by, when) = match by {
                Author::Build => ("every build writes", "while nothing is built"),
                Author::Roles => ("roles write", "while no role runs"),
            };
            shell.warn(&format!(
                "{by} {}: not counted as a change until it is saved {when}",
                named(files)
            ));
        }
        SourceEvent::Uncompiled { files } => {
            shell.warn(&format!(
                "{} changed but was not compiled: its date is older than the last build",
                named(files)
            ));
            let words: Vec<String> = files.iter().map(|file| shell_quoted(file)).collect();
            shell.hint(&format!("`touch {}`", words.join(" ")));
        }
        SourceEvent::Untold {
            folder,
            filesystem,
            interval,
        } => shell.status(
            "Polling",
            &format!(
                "every {} ms: {filesystem} does not report all changes in `{}`",
                interval.as_millis(),
                folder.display()
            ),
        ),
    }
}

fn stopping(shell: &mut Shell, roles: usize, why: StopReason) {
    let why = match why {
        StopReason::Finished if !shell.tells(Verbosity::Verbose) => return,
        StopReason::Finished => "",
        StopReason::Interrupted => "; interrupt again to kill at once",
        StopReason::FailFast => " after the first failure",
        StopReason::Broken => ", because an operational role failed",
    };
    shell.status("Stopping", &format!("{}{why}", count(roles, "role")));
}

fn ended(shell: &mut Shell, role: &RoleName, outcome: &RoleOutcome) {
    if outcome.cause == Cause::Killed {
        shell.warn(&format!(
            "role `{role}` did not stop in time and was killed"
        ));
    } else {
        let how = match (outcome.success(), outcome.fault()) {
            (Success::No, Some(fault)) => fault.to_string(),
            _ => outcome.result.name.clone(),
        };
        shell.status("Ended", &format!("{role}: {how}"));
    }
}
