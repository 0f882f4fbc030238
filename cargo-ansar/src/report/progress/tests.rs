use ansar_contract::lifecycle::Faulted;
use ansar_contract::test::TestReport;
use jiff::ToSpan;

use super::*;
use crate::events::{DeployEvent, RoleEvent, RunEvent, StopReason};

/// A command whose events come at chosen seconds.
#[derive(Default)]
struct Scene(Progress);

impl Scene {
    fn at(&mut self, second: i64, kind: impl Into<Kind>) -> bool {
        let (at, kind) = (time(second), kind.into());
        self.0.read(&Event { at, kind })
    }

    fn started(&mut self, second: i64, name: &str, awaits: Option<&str>) -> bool {
        let kind = RoleEvent::Started {
            role: role(name),
            executable: "x".parse().unwrap(),
            pid: 7,
            awaits: awaits.map(str::to_owned),
        };
        self.at(second, kind)
    }

    fn ended(&mut self, second: i64, name: &str, passed: u64, failed: u64) {
        let report = TestReport {
            passed,
            failed,
            ..TestReport::default()
        };
        let outcome = RoleOutcome::of(&report, Cause::Returned);
        let role = role(name);
        self.at(second, RoleEvent::Ended { role, outcome });
    }

    /// Returns the line that is shown at a second.
    fn line(&self, second: i64) -> Option<String> {
        let line = self.0.line(time(second))?;
        Some(format!("{} {}", line.verb, line.plain()))
    }
}

fn time(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(second.seconds()).unwrap()
}

fn role(name: &str) -> RoleName {
    name.parse().unwrap()
}

fn testing(names: &[&str]) -> RunEvent {
    RunEvent::Testing {
        tests: names.len(),
        operational: 1,
        roles: names.iter().map(|name| role(name)).collect(),
    }
}

#[test]
fn a_run_of_tests_from_beginning_to_end() {
    let mut scene = Scene::default();
    assert!(!scene.at(0, DeployEvent::Building {}));
    assert_eq!(scene.line(9), None, "Cargo has the terminal");
    scene.at(10, DeployEvent::Built {});
    assert!(scene.at(10, testing(&["test-a", "test-b", "test-c"])));
    scene.started(10, "db-0", Some("log line `ready`"));
    let waiting = "Waiting [00:00:03] for db-0 (3 s): log line `ready`";
    assert_eq!(scene.line(13).unwrap(), waiting);
    scene.at(14, RoleEvent::Ready { role: role("db-0") });
    scene.started(14, "test-b", None);
    scene.started(15, "test-a", None);
    let running = "Testing [00:00:07] 0/3 roles: test-b (3 s), test-a (2 s)";
    assert_eq!(scene.line(17).unwrap(), running);
    scene.ended(18, "test-b", 41, 1);
    let running = "Testing [01:00:00] 1/3 roles, 41 checks passed, 1 failed: test-a (3595 s)";
    assert_eq!(scene.line(3610).unwrap(), running);
    scene.ended(3610, "test-a", 1, 0);
    let why = StopReason::Finished;
    assert!(scene.at(3611, RunEvent::Stopping { roles: 1, why }));
    let stopping = "Stopping [00:00:02] 1 role: db-0 (3603 s)";
    assert_eq!(scene.line(3613).unwrap(), stopping);
    scene.ended(3614, "db-0", 0, 0);
    assert_eq!(scene.line(3614), None);
}

#[test]
fn a_role_without_a_report_counts_as_a_failure() {
    let mut scene = Scene::default();
    scene.at(0, testing(&["test-a", "test-b"]));
    scene.started(0, "test-a", None);
    let fault = RoleOutcome::of(&Faulted::new("it crashed", ""), Cause::Signal(11));
    let ended = |outcome: &RoleOutcome| RoleEvent::Ended {
        role: role("test-a"),
        outcome: outcome.clone(),
    };
    scene.at(1, ended(&fault));
    assert_eq!(
        scene.line(1).unwrap(),
        "Testing [00:00:01] 1/2 roles, 1 failed"
    );
    // The next try begins anew.
    let rerunning = RoleEvent::Rerunning {
        role: role("test-a"),
        nth: 2,
        of: 2,
    };
    scene.at(2, rerunning);
    assert_eq!(scene.line(2).unwrap(), "Testing [00:00:02] 0/2 roles");
}

#[test]
fn preparation_ends_with_the_next_event() {
    let mut scene = Scene::default();
    let home = "/h".into();
    assert!(scene.at(0, DeployEvent::Blocked { home }));
    let blocked = "Blocking [00:00:05] waiting for another command in `/h`";
    assert_eq!(scene.line(5).unwrap(), blocked);
    let copying = |done| DeployEvent::Transferring {
        done,
        total: 2_500_000_000,
    };
    assert!(scene.at(6, copying(0)));
    scene.at(7, copying(800_000_000));
    let text = "Deploying [00:00:02] 800 MB of 2.5 GB";
    assert_eq!(scene.line(8).unwrap(), text);
    scene.at(9, copying(2_500_000_000));
    assert_eq!(scene.line(9), None);
}

#[test]
fn roles_are_awaited_until_all_are_ready() {
    let mut scene = Scene::default();
    assert!(scene.started(0, "a-0", Some("GET http://h/health")));
    assert!(!scene.started(1, "b-0", Some("its announcement")));
    let why = None;
    scene.at(
        1,
        RunEvent::Awaiting {
            role: role("c-0"),
            why,
        },
    );
    let both = "Waiting [00:00:02] for a-0 (2 s): GET http://h/health; \
                b-0 (1 s): its announcement; c-0 (1 s)";
    assert_eq!(scene.line(2).unwrap(), both);
    for name in ["a-0", "b-0", "c-0"] {
        assert!(scene.line(2).is_some());
        scene.at(2, RoleEvent::Ready { role: role(name) });
    }
    assert_eq!(scene.line(2), None, "a role that runs is no progress");
}

#[test]
fn a_line_fits_into_its_columns() {
    let mut scene = Scene::default();
    scene.at(0, testing(&["test-a", "test-b", "test-c", "test-d"]));
    scene.started(0, "test-a", None);
    scene.ended(1, "test-a", 3, 0);
    scene.started(1, "test-b", None);
    let line = scene.0.line(time(7)).unwrap();
    let full = "[00:00:07] █████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ 1/4 roles, 3 checks passed: test-b (6 s)";
    assert_eq!(line.bar(100), full);
    assert_eq!(
        line.bar(50),
        "[00:00:07] ██▒▒▒▒▒▒▒▒ 1/4 roles, 3 checks passed:…"
    );
    assert_eq!(line.bar(20), "[00:00:07] 1/4 role…");
    assert_eq!(line.bar(0), "…");
    for columns in 1..100 {
        let width = unicode_width::UnicodeWidthStr::width(&*line.bar(columns));
        assert!(width <= columns, "{columns}");
    }
    let mut wide = "ab漢字".to_owned();
    cut(&mut wide, 5);
    assert_eq!(wide, "ab漢…");
}

#[test]
fn many_roles_are_counted() {
    let names: Vec<String> = (0..500).map(|nth| format!("test-{nth:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = Scene::default();
    scene.at(0, testing(&names));
    for name in &names {
        scene.started(0, name, None);
    }
    let line = scene.line(1).unwrap();
    assert!(
        line.starts_with("Testing [00:00:01] 0/500 roles: test-000 (1 s), "),
        "{line}"
    );
    assert!(line.ends_with("test-007 (1 s) and 492 more"), "{line}");
}
