//! Printing and writing of texts that come from elsewhere.
#![no_main]

use cargo_ansar::home::last_run::LastRun;
use cargo_ansar::model::quoted::is_unseen;
use cargo_ansar::model::run_report::{Failure, RunReport};
use cargo_ansar::report::html::page;
use cargo_ansar::report::junit::junit;
use cargo_ansar::report::untrusted::Filter;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, &[u8])| {
    let (runner, bytes) = input;
    if let Some(last) = LastRun::of(bytes) {
        is_written(&last);
    }
    let filter = Filter { colors: false, runner };
    let shown = filter.lines(bytes);
    assert!(!shown.chars().any(|c| c != '\n' && c != '\t' && is_unseen(c)));
    assert!(!runner || !shown.lines().any(|line| line.trim_start().starts_with("::")));

    let text = String::from_utf8_lossy(bytes);
    let line = filter.line(&text);
    assert!(!line.chars().any(|c| c != '\t' && is_unseen(c)));
    let Ok(json) = serde_json::to_string(&*text) else {
        return;
    };
    let shown: Result<String, _> = serde_json::from_str(&filter.json(&json));
    assert_eq!(shown.ok().as_deref(), Some(&*text));

    is_written(&LastRun {
        events: Vec::new(),
        at: Timestamp::UNIX_EPOCH,
        report: RunReport {
            command: text.clone().into_owned(),
            failures: vec![failure(&text)],
            ..RunReport::default()
        },
    });
});

fn failure(text: &str) -> Failure {
    Failure {
        role: "role-0".parse().expect("it is a name"),
        executable: None,
        source: text.to_owned(),
        line: 1,
        column: None,
        test: None,
        text: text.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        context: Vec::new(),
    }
}

/// Asserts that the files of a run are what they claim to be.
fn is_written(last: &LastRun) {
    let _ = page(last, &[]);
    let file = junit(&last.report);
    let mut reader = quick_xml::Reader::from_reader(&*file);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => break,
            Ok(_) => {}
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&file)),
        }
    }
}
