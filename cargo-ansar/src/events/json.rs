//! Events as lines of JSON: what `--format json` prints and the home keeps.
//!
//! `docs/src/reference/json.md` is the contract. A line of this version is read for ever;
//! what is unknown in a line, and a line that is unknown, is passed over.

use serde::{Deserialize, Serialize};

use crate::events::Event;

/// The version of every line.
pub const VERSION: u32 = 1;

/// A line.
#[derive(Serialize, Deserialize)]
struct Line<E> {
    version: u32,
    #[serde(flatten)]
    event: E,
}

/// An event as a line, without its end.
pub fn line(event: &Event) -> String {
    let version = VERSION;
    // Plain data, which always can be encoded.
    serde_json::to_string(&Line { version, event }).unwrap_or_default()
}

/// The event of a line; none where it is not one that is known here.
pub fn read(line: &[u8]) -> Option<Event> {
    let line: Line<Event> = serde_json::from_slice(line).ok()?;
    (line.version == VERSION).then_some(line.event)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::events::Kind;

    const CONTRACT: &str = include_str!("../../../docs/src/reference/json.md");

    /// The lines of the blocks of JSON that tell events.
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

    /// Every event that there is, by the name it has in a line.
    fn all() -> BTreeSet<String> {
        let error = serde_json::from_str::<Kind>(r#"{"event":"?"}"#).unwrap_err();
        let error = error.to_string();
        let (_, names) = error.split_once("expected one of ").unwrap();
        let names = names.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    }

    #[test]
    fn every_example_is_read_and_told_again_as_it_was() {
        for example in examples() {
            let event = read(example.as_bytes()).unwrap_or_else(|| panic!("not read: {example}"));
            let told: Value = serde_json::from_str(&line(&event)).unwrap();
            assert_eq!(told, serde_json::from_str::<Value>(example).unwrap());
        }
    }

    /// Lines as the first tools wrote them, which are read for ever.
    const FIRST: &str = include_str!("first.jsonl");

    #[test]
    fn what_was_told_by_the_first_tools_is_read() {
        let read: Vec<_> = FIRST.lines().filter_map(|it| read(it.as_bytes())).collect();
        assert_eq!(read.len(), FIRST.lines().count());
        let verdict = read.iter().find_map(|event| match &event.kind {
            Kind::Verdict(run) => Some(run),
            _ => None,
        });
        let verdict = verdict.unwrap();
        assert_eq!((verdict.roles[0].tries, verdict.tries.len()), (1, 0));
        let report = read.iter().find_map(|event| match &event.kind {
            Kind::Ended { outcome, .. } => outcome.report(),
            _ => None,
        });
        assert_eq!(report.unwrap().passed, 3);
    }

    #[test]
    fn every_event_has_an_example() {
        let shown = examples().into_iter().map(|example| {
            let line: Value = serde_json::from_str(example).unwrap();
            line["event"].as_str().unwrap().to_owned()
        });
        assert_eq!(shown.collect::<BTreeSet<_>>(), all());
    }

    #[test]
    fn what_is_unknown_is_passed_over() {
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
        fn a_torn_or_spoilt_line_is_no_panic(at in 0..200_usize, byte: u8, cut in 0..400_usize) {
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
