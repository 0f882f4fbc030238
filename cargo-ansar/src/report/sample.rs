//! A sample run with every kind of failure, for tests of the output formats.

use ansar_contract::lifecycle::Ack;
use jiff::{Timestamp, ToSpan};

use crate::events::{DeployEvent, Event, Kind, RoleEvent, RunEvent, StopReason};
use crate::home::last_run::LastRun;
use crate::model::outcome::{Cause, RoleOutcome};
use crate::model::run_report::{Excerpt, Failure, LogRecord, Row, RunReport, Standing, Try, Which};

/// Returns the report of the sample run.
pub(super) fn run() -> RunReport {
    let row = |role: &str, passed, failed, standing| Row {
        role: role.parse().unwrap(),
        passed,
        failed,
        cut: 0,
        ignored: 0,
        unfinished: Vec::new(),
        tests: Vec::new(),
        standing,
        tries: 1,
        elapsed: Some(0.25),
    };
    let twice = |row: Row| Row { tries: 2, ..row };
    let failure = |role: &str, source: &str, line, column, text: &str| Failure {
        role: role.parse().unwrap(),
        executable: Some("client".parse().unwrap()),
        source: source.to_owned(),
        line,
        column,
        test: None,
        text: text.to_owned(),
        at: at(1500),
        context: vec![LogRecord {
            role: "server-0".parse().unwrap(),
            text: "[00004711] 2026-11-22T10:00:01.400 ^ <00000001>server - <b>Accepted</b>".into(),
        }],
    };
    RunReport {
        command: "test".to_owned(),
        partition: None,
        exit: 100,
        interrupted: false,
        killed: false,
        elapsed: 2.5,
        passed: 4,
        failed: 2,
        roles: vec![
            row("test-a", 2, 2, Standing::Failed),
            twice(row("test-b", 0, 0, Standing::Unreported)),
            row("test-c", 1, 0, Standing::Passed),
            twice(row("test-d", 1, 0, Standing::Passed)),
        ],
        failures: vec![
            failure(
                "test-a",
                "/ws/src/a.rs",
                7,
                Some(5),
                "expected <x>\n- x\n+ y",
            ),
            failure(
                "test-a",
                "/ws/src/a.rs",
                9,
                None,
                "& 100%, <script>alert(1)</script>",
            ),
            failure("test-b", "/ws/Cargo.toml", 3, None, "test-b: timed out"),
            failure(
                "server-0",
                "/ws/Cargo.toml",
                5,
                None,
                "server-0: killed by SIGSEGV",
            ),
        ],
        tries: vec![
            Try {
                role: "test-b".parse().unwrap(),
                nth: 1,
                standing: Standing::Unreported,
                failures: vec![failure(
                    "test-b",
                    "/ws/Cargo.toml",
                    3,
                    None,
                    "test-b: killed by SIGSEGV",
                )],
            },
            Try {
                role: "test-d".parse().unwrap(),
                nth: 1,
                standing: Standing::Failed,
                failures: vec![failure("test-d", "/ws/src/a.rs", 11, Some(9), "expected y")],
            },
        ],
        excerpts: vec![Excerpt {
            role: "test-b".parse().unwrap(),
            which: Which::Last,
            lines: vec!["[00004712] 2026-11-22T10:00:01.500 ^ <00000001>b - </script>".into()],
        }],
        result: None,
    }
}

/// Returns the sample run with its events.
pub(super) fn last() -> LastRun {
    let mut events = vec![
        event(0, DeployEvent::Building {}),
        event(800, DeployEvent::Built {}),
        event(
            900,
            DeployEvent::Deployed {
                changed: vec!["client".to_owned()],
                executables: 2,
                relinked: 1,
                affected: 3,
            },
        ),
        event(
            1000,
            RunEvent::Testing {
                tests: 4,
                operational: 1,
                roles: Vec::new(),
            },
        ),
    ];
    for (role, executable, begun) in [
        ("server-0", "server", 1000),
        ("test-a", "client", 1100),
        ("test-b", "client", 1100),
        ("test-c", "client", 1200),
    ] {
        let role: crate::model::name::RoleName = role.parse().unwrap();
        events.push(event(
            begun,
            RoleEvent::Started {
                role: role.clone(),
                executable: executable.parse().unwrap(),
                pid: 4711,
                awaits: (executable == "server").then(|| "log line `ready`".to_owned()),
            },
        ));
        events.push(event(begun + 50, RoleEvent::Ready { role: role.clone() }));
        let outcome = RoleOutcome::of(&Ack {}, Cause::Returned);
        events.push(event(begun + 1000, RoleEvent::Ended { role, outcome }));
    }
    let why = StopReason::Finished;
    events.push(event(2200, RunEvent::Stopping { roles: 1, why }));
    events.sort_by_key(|event| event.at);
    LastRun {
        events,
        at: at(2300),
        report: run(),
    }
}

fn event(milliseconds: i64, kind: impl Into<Kind>) -> Event {
    Event {
        at: at(milliseconds),
        kind: kind.into(),
    }
}

fn at(milliseconds: i64) -> Timestamp {
    let begun: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    begun.checked_add(milliseconds.milliseconds()).unwrap()
}
