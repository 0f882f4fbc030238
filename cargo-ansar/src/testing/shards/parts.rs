//! One outcome of a role of which every shard has run a part.

use std::path::PathBuf;

use ansar_contract::test::TestReport;
use jiff::Timestamp;

use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::supervisor::judge::{self, with_failures};

/// Returns the outcome of a role whose parts have these outcomes, by shard.
///
/// Reports are added up. A part that has failed otherwise, such as with its node, is
/// a failed check of the role at the line that describes it, unless no part has
/// reported: then it is the outcome. The tests of a part that did not run are named
/// by its shard.
pub(super) fn merged(
    parts: &[(usize, &RoleOutcome)],
    role: &RoleName,
    described: &(PathBuf, u32),
    at: Timestamp,
) -> RoleOutcome {
    let mut report = TestReport::default();
    let mut cause = None;
    let mut failures = Vec::new();
    let mut others = Vec::new();
    for (shard, outcome) in parts {
        if let Some(part) = outcome.report() {
            cause = cause
                .filter(|cause| *cause != Cause::Returned)
                .or(Some(outcome.cause));
            report.passed += part.passed;
            report.failed += part.failed;
            report.ignored += part.ignored;
            report.tested.extend(part.tested);
            report.unfinished.extend(part.unfinished);
            continue;
        }
        others.push(*outcome);
        let failure = outcome.reason();
        if outcome.success() != Success::No {
            report
                .unfinished
                .push(format!("the tests of shard {}", shard + 1));
        } else if !failures.contains(&failure) {
            failures.push(failure);
        }
    }
    let Some(cause) = cause else {
        let failed = others.iter().find(|it| it.success() == Success::No);
        let first = failed.or(others.first());
        return first.map_or_else(judge::skipped, |it| (*it).clone());
    };
    report
        .tested
        .sort_by(|one, other| one.name.cmp(&other.name));
    let outcome = RoleOutcome::of(&report, cause);
    with_failures(outcome, &failures, (role, Some(described)), at)
}

#[cfg(test)]
mod tests {
    use ansar_contract::lifecycle::Faulted;
    use ansar_contract::test::Check;

    use super::*;

    fn report(passed: &[&str], failed: &[&str]) -> RoleOutcome {
        let check = |name: &&str, condition| Check {
            condition,
            line: 7,
            column: None,
            name: (*name).to_owned(),
            source: "src/a.rs".to_owned(),
            stamp: String::new(),
            text: String::new(),
            elapsed_us: None,
        };
        let passed = passed.iter().map(|name| check(name, true));
        let failed = failed.iter().map(|name| check(name, false));
        let report = TestReport {
            passed: passed.len() as u64,
            failed: failed.len() as u64,
            tested: passed.chain(failed).collect(),
            ignored: 1,
            unfinished: Vec::new(),
        };
        RoleOutcome::of(&report, Cause::Returned)
    }

    fn lost(node: &str) -> RoleOutcome {
        let fault = Faulted::new(format!("lost with node {node}"), "nothing heard for 10.0 s");
        RoleOutcome::of(&fault, Cause::Lost)
    }

    fn merge(parts: &[RoleOutcome]) -> RoleOutcome {
        let parts: Vec<_> = parts.iter().enumerate().collect();
        let (role, described) = ("test-api".parse().unwrap(), ("/ws/Cargo.toml".into(), 12));
        merged(&parts, &role, &described, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn reports_are_added_up() {
        let merged = merge(&[
            report(&["c"], &["a"]),
            report(&["b"], &[]),
            report(&[], &[]),
        ]);
        let report = merged.report().unwrap();
        assert_eq!((report.passed, report.failed, report.ignored), (2, 1, 3));
        let names: Vec<_> = report.tested.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(merged.cause, Cause::Returned);
    }

    #[test]
    fn lost_parts_are_failed_checks() {
        let outcome = merge(&[report(&["a"], &[]), lost("n2"), lost("n2")]);
        let report = outcome.report().unwrap();
        assert_eq!((report.passed, report.failed), (1, 1));
        let failed = report.tested.iter().find(|check| !check.condition).unwrap();
        assert_eq!((&*failed.source, failed.line), ("/ws/Cargo.toml", 12));
        assert_eq!(
            failed.text,
            "test-api: lost with node n2, nothing heard for 10.0 s"
        );
    }

    #[test]
    fn parts_that_did_not_run_are_unfinished() {
        let outcome = merge(&[report(&["a"], &[]), judge::skipped()]);
        assert_eq!(
            outcome.report().unwrap().unfinished,
            ["the tests of shard 2"]
        );
    }

    #[test]
    fn a_role_without_any_report_has_its_fault() {
        assert_eq!(merge(&[judge::skipped(), lost("n2")]), lost("n2"));
        assert_eq!(merge(&[judge::skipped()]), judge::skipped());
    }
}
