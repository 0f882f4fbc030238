//! Events as lines of JSON, as `--format json` prints and a home stores them.
//!
//! `docs/src/reference/json.md` specifies the format. Later versions must read
//! lines of this version. Unknown fields and events are ignored.

use serde::{Deserialize, Serialize};

use crate::events::Event;

/// Version of the format, contained in every line.
pub const VERSION: u32 = 1;

/// A line of JSON.
#[derive(Serialize, Deserialize)]
struct Line<E> {
    version: u32,
    #[serde(flatten)]
    event: E,
}

/// Formats an event as a line, without a line break.
pub fn line(event: &Event) -> String {
    let version = VERSION;
    // Plain data always encodes.
    serde_json::to_string(&Line { version, event }).unwrap_or_default()
}

/// Parses the event of a line; returns `None` if it is unknown or invalid.
pub fn read(line: &[u8]) -> Option<Event> {
    let line: Line<Event> = serde_json::from_slice(line).ok()?;
    (line.version == VERSION).then_some(line.event)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;
    use crate::events::{DeployEvent, Kind, LogEvent, RoleEvent, RunEvent, SourceEvent};

    const CONTRACT: &str = include_str!("../../../docs/src/reference/json.md");

    /// Returns the events in the JSON blocks of the document.
    fn examples() -> Vec<&'static str> {
        let mut inside = false;
        let lines = CONTRACT.lines().filter(|line| {
            let fence = line.starts_with("```");
            if fence {
                inside = *line == "```json";
            }
            inside && !fence
        });
        lines.filter(|line| line.contains("\"event\":")).collect()
    }

    /// Returns the names of the events of a group.
    fn names<E: DeserializeOwned>() -> Vec<String> {
        let error = serde_json::from_str::<E>(r#"{"event":"?"}"#).err().unwrap();
        let error = error.to_string();
        let (_, names) = error.split_once("expected ").unwrap();
        let names = names.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    }

    /// Returns the names of all events.
    fn all() -> Vec<String> {
        let groups = [
            names::<DeployEvent>(),
            names::<LogEvent>(),
            names::<RoleEvent>(),
            names::<RunEvent>(),
            names::<SourceEvent>(),
        ];
        groups.concat()
    }

    /// Returns the name of the event of a line.
    fn name(line: &str) -> String {
        let line: Value = serde_json::from_str(line).unwrap();
        line["event"].as_str().unwrap().to_owned()
    }

    /// A line of every event, with all of its fields, and without those that may
    /// be missing.
    const EVERY: &str = include_str!("every.jsonl");

    #[test]
    fn every_event_keeps_its_bytes() {
        for expected in EVERY.lines() {
            let event = read(expected.as_bytes()).unwrap_or_else(|| panic!("{expected}"));
            assert_eq!(line(&event), expected);
        }
        let mut shown = EVERY.lines().map(name).collect::<Vec<_>>();
        shown.sort();
        shown.dedup();
        // A name in two groups would be here twice.
        let mut all = all();
        all.sort();
        assert_eq!(shown, all);
    }

    #[test]
    fn examples_round_trip() {
        for example in examples() {
            let event = read(example.as_bytes()).unwrap_or_else(|| panic!("not read: {example}"));
            let again: Value = serde_json::from_str(&line(&event)).unwrap();
            assert_eq!(again, serde_json::from_str::<Value>(example).unwrap());
        }
    }

    /// Lines of the first version of the tool, which must stay readable.
    const FIRST: &str = include_str!("first.jsonl");

    #[test]
    fn lines_of_the_first_version_are_read() {
        let read: Vec<_> = FIRST.lines().filter_map(|it| read(it.as_bytes())).collect();
        assert_eq!(read.len(), FIRST.lines().count());
        let verdict = read.iter().find_map(|event| match &event.kind {
            Kind::Run(RunEvent::Verdict(run)) => Some(run),
            _ => None,
        });
        let verdict = verdict.unwrap();
        assert_eq!((verdict.roles[0].tries, verdict.tries.len()), (1, 0));
        let report = read.iter().find_map(|event| match &event.kind {
            Kind::Role(RoleEvent::Ended { outcome, .. }) => outcome.report(),
            _ => None,
        });
        assert_eq!(report.unwrap().passed, 3);
    }

    #[test]
    fn every_event_has_an_example() {
        let shown: BTreeSet<_> = examples().into_iter().map(name).collect();
        assert_eq!(shown, all().into_iter().collect());
    }

    #[test]
    fn unknown_events_are_ignored() {
        let known = r#"{"version":1,"at":"2026-11-22T10:00:00Z","event":"ready","role":"a-0","colour":"red"}"#;
        assert!(read(known.as_bytes()).is_some());
        for unknown in [
            known.replace(":1,", ":2,"),
            known.replace("ready", "dancing"),
            known.replace("a-0", "a 0"),
            known.replace("\"version\":1,", ""),
            known[..40].to_owned(),
            "[".repeat(100_000),
            String::new(),
        ] {
            assert!(read(unknown.as_bytes()).is_none());
        }
    }

    proptest! {
        #[test]
        fn damaged_lines_do_not_panic(at in 0..200_usize, byte: u8, cut in 0..400_usize) {
            for example in examples() {
                let mut bytes = example.as_bytes().to_vec();
                if let Some(spoilt) = bytes.get_mut(at) {
                    *spoilt = byte;
                }
                bytes.truncate(cut);
                let _ = read(&bytes);
            }
        }
    }
}
