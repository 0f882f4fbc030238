//! Journals of a home: the history of a role, and the results of a test target.
#![no_main]

use cargo_ansar::harness::journal::LastResults;
use cargo_ansar::home::history::{History, Run, sealed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = History::parse(bytes);
    let _ = LastResults::parse(bytes);

    // Records with a right checksum, which a damaged file does not have.
    let text = String::from_utf8_lossy(bytes);
    let records: String = text.lines().map(sealed).collect();
    let history = History::parse(records.as_bytes());
    assert!(history.runs.len() + history.skipped <= text.lines().count());
    // What is read can be written and read again.
    let written: String = history.runs.iter().map(Run::records).collect();
    let again = History::parse(written.as_bytes());
    assert_eq!((again.runs.len(), again.skipped), (history.runs.len(), 0));
});
