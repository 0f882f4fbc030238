//! Tests of the reader on logs of several segments, damaged ones included.

use proptest::prelude::*;

use crate::host::fs;
use crate::logs::reader::*;
use crate::logs::store::{SEGMENT, STORAGE, Writer};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
}

fn line(pid: u32, ms: i64, tag: char, text: &str) -> String {
    let stamp = Stamp::of(at(ms));
    format!("[{pid:08}] {stamp} {tag} {text}\n")
}

/// Returns the records from `from` on, and the number of torn lines.
fn read(folder: &Path, from: i64) -> (Vec<String>, u64) {
    let mut reader = Reader::open(folder, at(from), None).unwrap();
    let mut records = Vec::new();
    while let Some(head) = reader.peek().unwrap() {
        if head.stamp >= Stamp::of(at(from)) {
            records.push(String::from_utf8_lossy(reader.text()).into_owned());
        }
        reader.advance();
    }
    (records, reader.torn(true))
}

#[test]
fn record_includes_continuations_of_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Writer::new(folder.path().to_owned(), STORAGE);
    let lines = [
        line(1, 0, '^', "one"),
        line(1, 0, '|', "goes on"),
        line(2, 0, '|', "of another"),
        line(1, 1, '^', "two"),
    ];
    log.append(lines.concat().as_bytes(), at(0)).unwrap();
    let (records, torn) = read(folder.path(), 0);
    let expected = [lines[..2].concat(), lines[2].clone(), lines[3].clone()];
    assert_eq!((records, torn), (expected.to_vec(), 0));
}

#[test]
fn torn_lines_are_skipped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let whole = line(1, 0, '^', "whole");
    for torn in ["[0000", "[00000001] 2023-11-14T22:13:20.0"] {
        let mut log = Writer::new(folder.path().to_owned(), STORAGE);
        log.append(format!("{whole}{torn}").as_bytes(), at(0))
            .unwrap();
    }
    let (records, torn) = read(folder.path(), 0);
    assert_eq!((records, torn), (vec![whole.clone(), whole], 2));
    assert_eq!(read(&folder.path().join("nowhere"), 0), (Vec::new(), 0));
}

#[test]
fn reader_follows_writer() {
    let folder = tempfile::tempdir().unwrap();
    let role = folder.path().join("x-0");
    let mut reader = Reader::open(&role, at(0), None).unwrap();
    assert_eq!(reader.peek().unwrap(), None);
    fs::make_private_folders(&role).unwrap();
    let mut log = Writer::new(role, STORAGE);
    let filler = "x".repeat(1 << 19);
    for number in 0..9 {
        log.append(line(1, number, '^', &filler).as_bytes(), at(number))
            .unwrap();
        let head = reader.peek().unwrap().unwrap();
        assert_eq!(head.stamp, Stamp::of(at(number)));
        reader.advance();
        assert_eq!(reader.peek().unwrap(), None);
    }
    assert!(log.segment.unwrap().size() < 9 * SEGMENT / 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A query returns exactly the lines in its range, in the order of writing,
    /// for all line lengths and beginnings.
    #[test]
    fn range_is_found_for_any_beginning(
        steps in prop::collection::vec((-300_i64..2000, 1..3000_usize), 1..1500),
        from in 0.0..1.2_f64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Writer::new(folder.path().to_owned(), STORAGE);
        let (mut now, mut all) = (0, Vec::new());
        let mut latest = 0;
        for (step, length) in steps {
            // A line is older than a previous one by less than `DISORDER`.
            now = (now + step).max(latest - 900);
            latest = latest.max(now);
            let text = line(1, now, '^', &"x".repeat(length));
            log.append(text.as_bytes(), at(latest)).unwrap();
            all.push((now, text));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss,
            reason = "a time somewhere in the log")]
        let from = (from * latest as f64) as i64;
        let expected: Vec<String> =
            all.into_iter().filter(|(at, _)| *at >= from).map(|(_, text)| text).collect();
        let (records, torn) = read(folder.path(), from);
        prop_assert_eq!(torn, 0);
        prop_assert!(records == expected, "{} of {}", records.len(), expected.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A query returns every line in its range in storage order, even if the
    /// clock was set back.
    #[test]
    fn range_is_found_after_clock_changes(
        steps in prop::collection::vec(
            (prop_oneof![20 => 0..2000_i64, 1 => -3_600_000..3_600_000_i64], 1..3000_usize, 0..100),
            1..1500,
        ),
        from in -1.0..1.0_f64,
        span in 0..4_000_000_i64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Writer::new(folder.path().to_owned(), STORAGE);
        let (mut now, mut all) = (0, Vec::new());
        for (step, length, other) in steps {
            now += step;
            if other == 0 {
                // A new writer knows only what is stored.
                log = Writer::new(folder.path().to_owned(), STORAGE);
            }
            let text = line(1, now, '^', &"x".repeat(length));
            log.append(text.as_bytes(), at(now)).unwrap();
            all.push((now, text));
        }
        let latest = all.iter().map(|(at, _)| *at).max().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss,
            reason = "a time somewhere in the log")]
        let from = (from * latest as f64) as i64;
        let is_within = |time: i64| (from..from + span).contains(&time);
        let expected: Vec<&String> =
            all.iter().filter(|(at, _)| is_within(*at)).map(|(_, text)| text).collect();
        let (early, late) = (at(from), at(from + span));
        let mut reader = Reader::open(folder.path(), early, Some(late)).unwrap();
        let mut found = Vec::new();
        while let Some(head) = reader.peek().unwrap() {
            if head.stamp >= Stamp::of(early) && head.stamp < Stamp::of(late) {
                found.push(String::from_utf8_lossy(reader.text()).into_owned());
            }
            reader.advance();
        }
        prop_assert!(found.iter().eq(expected.iter().copied()), "{} of {}", found.len(), expected.len());
    }
}
