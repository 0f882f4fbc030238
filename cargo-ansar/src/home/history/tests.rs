//! Tests of the journal of a role: starts, exits, and damaged records.

use ansar_contract::lifecycle::{Ack, Faulted};
use proptest::prelude::*;

use crate::home::history::*;
use crate::host::fs;

/// Creates a journal in a new home.
fn journal() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    fs::replace(&folder.path().join(HOME_FILE), b"{}", 0o600).unwrap();
    let journal = Journal {
        path: folder.path().join("history/x-0"),
        executable: "x".parse().unwrap(),
        kind: Kind::Run,
        engine: Engine::this(),
        open: None,
    };
    (folder, journal)
}

fn kept(journal: &Journal) -> History {
    History::parse(&fs::read(&journal.path).unwrap())
}

fn ack() -> RoleOutcome {
    RoleOutcome::of(&Ack {}, Cause::Returned)
}

#[test]
fn starts_and_exits_round_trip() {
    let (_folder, mut journal) = journal();
    journal.started(7, clock::now()).unwrap();
    journal.ended(&ack(), Some(2)).unwrap();
    journal.started(8, clock::now()).unwrap();
    let history = kept(&journal);
    assert_eq!((history.runs.len(), history.skipped), (2, 0));
    let end = history.runs[0].end.clone().unwrap();
    assert_eq!(
        (end.cause, end.attempts),
        (RecordedCause::Returned, Some(2))
    );
    assert_eq!(end.result, Some(ack().result));
    assert!(!history.runs[0].is_open() && history.runs[1].is_open());
    // An exit without a start is not recorded.
    journal.open = None;
    journal.ended(&ack(), None).unwrap();
    assert_eq!(kept(&journal), history);
}

#[test]
fn a_start_whose_engine_is_gone_is_not_open() {
    let (_folder, mut journal) = journal();
    journal.engine.started = journal.engine.started.map(|started| started + 1);
    journal.started(7, clock::now()).unwrap();
    assert!(!kept(&journal).runs[0].is_open());
}

#[test]
fn an_exit_of_a_lost_start_is_skipped() {
    let (_folder, mut journal) = journal();
    journal.started(7, clock::now()).unwrap();
    let mut other = journal.clone();
    other.started(8, clock::now()).unwrap();
    journal.ended(&ack(), None).unwrap();
    let history = kept(&journal);
    assert!(history.runs.iter().all(|run| run.end.is_none()));
    assert_eq!(history.skipped, 1);
}

#[test]
fn of_a_large_result_only_the_size_is_stored() {
    let (_folder, mut journal) = journal();
    let large = Faulted::new("x".repeat(LARGEST_RESULT), "");
    journal.started(7, clock::now()).unwrap();
    journal
        .ended(&RoleOutcome::of(&large, Cause::Returned), None)
        .unwrap();
    let end = kept(&journal).runs.remove(0).end.unwrap();
    assert_eq!(end.result, None);
    assert!(end.size > LARGEST_RESULT && end.name.ends_with("Faulted"));
}

#[test]
fn a_journal_is_bounded_and_the_newest_runs_stay() {
    for (length, least) in [(10, KEPT_RUNS), (LARGEST_RESULT - 1000, 3)] {
        let (_folder, mut journal) = journal();
        let outcome = RoleOutcome::of(&Faulted::new("x".repeat(length), ""), Cause::Returned);
        let mut pid = 0;
        let mut shrank = 0;
        let mut before = 0;
        while shrank < 2 {
            pid += 1;
            journal.started(pid, clock::now()).unwrap();
            journal.ended(&outcome, None).unwrap();
            let size = fs::stat(&journal.path).unwrap().fingerprint.size;
            assert!(size < LARGEST + 2 * LARGEST_RESULT as u64);
            shrank += u32::from(size < before);
            before = size;
        }
        let history = kept(&journal);
        let pids: Vec<_> = history.runs.iter().map(|run| run.start.pid).collect();
        assert!(pids.len() >= least, "{} of {least}", pids.len());
        let first = pid + 1 - u32::try_from(pids.len()).unwrap();
        assert_eq!(pids, (first..=pid).collect::<Vec<_>>());
        assert_eq!(history.skipped, 0);
    }
}

proptest! {
    /// Intact records are read and damaged ones are counted.
    #[test]
    fn damage_affects_only_damaged_records(
        at in 0.0..1.0_f64,
        garbage: Vec<u8>,
        tear: bool,
    ) {
        let (_folder, mut journal) = journal();
        for pid in 0..4 {
            journal.started(pid, clock::now()).unwrap();
            journal.ended(&ack(), None).unwrap();
        }
        let mut bytes = fs::read(&journal.path).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss,
            clippy::cast_precision_loss, reason = "a place somewhere in the file")]
        let at = (at * bytes.len() as f64) as usize;
        if tear {
            bytes.truncate(at);
        } else {
            let end = (at + garbage.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&garbage[..end - at]);
        }
        fs::replace(&journal.path, &bytes, 0o600).unwrap();
        journal.started(9, clock::now()).unwrap();
        journal.ended(&ack(), None).unwrap();
        let history = kept(&journal);
        let last = history.runs.last().unwrap();
        prop_assert!(last.start.pid == 9 && last.end.is_some());
        prop_assert!(!tear || history.skipped <= 1);
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        let history = History::parse(&bytes);
        prop_assert!(history.runs.is_empty());
    }
}

#[test]
fn history_of_a_removed_home_is_not_recreated() {
    let (folder, mut journal) = journal();
    journal.started(7, clock::now()).unwrap();
    fs::remove_file(&folder.path().join(HOME_FILE)).unwrap();
    fs::remove_tree(&folder.path().join("history")).unwrap();
    assert!(journal.ended(&ack(), None).is_err());
    assert!(fs::names(folder.path()).unwrap().is_empty());
}
