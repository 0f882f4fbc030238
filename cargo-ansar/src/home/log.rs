//! The stored log of a role: text lines in segments, oldest deleted first.
//!
//! A segment is named by the time of its first line, so that segments sort by
//! age and a query finds where to look by name. Owns the bound on what a role
//! stores. Does not know what a line says, beyond its time stamp.

pub mod head;
pub mod read;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::host::files::{self, Appender, Error};
use crate::model::description::LEAST_STORAGE;

/// How large a segment may grow before the next is begun, in bytes.
pub const SEGMENT: u64 = 1 << 20;
/// How much a role stores where nothing else is said, in bytes.
pub const STORAGE: u64 = 16 * SEGMENT;
/// The least that a role can be told to store.
pub const LEAST: u64 = LEAST_STORAGE;
/// What is stored is deleted in parts, of which there are so many at least.
const PARTS: u64 = 16;

/// The time in the name of a segment, UTC.
const NAME_FORMAT: &str = "%Y-%m-%dT%H-%M-%S%.6f";

/// Appends to the log of one role, of which there is one writer at a time.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    /// The most that is stored, give or take what is appended at once.
    storage: u64,
    segment: Option<Appender>,
}

impl Writer {
    /// A writer for the log in `folder`, which is there, of at most `storage`
    /// bytes.
    pub fn new(folder: PathBuf, storage: u64) -> Self {
        Self {
            folder,
            storage,
            segment: None,
        }
    }

    /// Appends whole lines. After an error the lines are lost, and the next
    /// call tries anew.
    pub fn append(&mut self, lines: &[u8], now: Timestamp) -> Result<(), Error> {
        let mut segment = match self.segment.take() {
            Some(segment) if segment.size() < self.segment_size() => segment,
            _ => self.next_segment(now)?,
        };
        segment.append(lines)?;
        self.segment = Some(segment);
        Ok(())
    }

    /// Moves whole lines, which are at the front of `pipe`, from there to the
    /// end. After an error, says how many bytes were taken from the pipe; whole
    /// lines of them are stored.
    pub fn take(
        &mut self,
        pipe: impl AsFd,
        lines: &[u8],
        now: Timestamp,
    ) -> Result<(), (usize, Error)> {
        let mut segment = match self.segment.take() {
            Some(segment) if segment.size() < self.segment_size() => segment,
            _ => self.next_segment(now).map_err(|error| (0, error))?,
        };
        segment.take(pipe, lines)?;
        self.segment = Some(segment);
        Ok(())
    }

    /// Puts whole lines into a segment of their own, all or none: also where
    /// somebody else writes to this log by now.
    pub fn add(&self, lines: &[u8], now: Timestamp) -> Result<(), Error> {
        let name = name(now, segments(&self.folder)?.last());
        files::create_whole(&self.folder.join(name), lines)
    }

    fn segment_size(&self) -> u64 {
        SEGMENT.min(self.storage / PARTS)
    }

    /// The newest segment while it has room, or a new one in place of the
    /// oldest.
    fn next_segment(&self, now: Timestamp) -> Result<Appender, Error> {
        let segments = segments(&self.folder)?;
        if let Some(newest) = segments.last() {
            let mut segment = Appender::open(newest)?;
            if segment.size() < self.segment_size() {
                // A line that a crash tore must not swallow the next one.
                if !segment.is_whole()? {
                    segment.append(b"\n")?;
                }
                return Ok(segment);
            }
        }
        let mut room = self.storage.saturating_sub(self.segment_size());
        let mut first = segments.len();
        while first > 0 {
            let size = files::stat(&segments[first - 1])?.identity.size;
            if size > room {
                break;
            }
            room -= size;
            first -= 1;
        }
        // The oldest first: whoever is killed in between leaves no gap.
        for oldest in &segments[..first] {
            files::remove_file(oldest)?;
        }
        Appender::open(&self.folder.join(name(now, segments.last())))
    }
}

/// The name of a segment that is begun now; behind that of the newest, also
/// where the clock was set back.
fn name(now: Timestamp, newest: Option<&PathBuf>) -> String {
    let newest = newest.and_then(|path| path.file_stem()?.to_str());
    let newest = newest.and_then(|stem| DateTime::strptime(NAME_FORMAT, stem).ok());
    let newest = newest.and_then(|newest| TimeZone::UTC.to_timestamp(newest).ok());
    let next = newest.and_then(|newest| newest.checked_add(1.microsecond()).ok());
    let begun = next.map_or(now, |next| next.max(now));
    begun.strftime(&format!("{NAME_FORMAT}.log")).to_string()
}

/// The segments of a role's log, oldest first; none where there is no log.
fn segments(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut names = files::names(folder)?;
    names.retain(|name| {
        Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "log")
    });
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// The last lines of a role's log that `chosen` accepts, at most `count` of
/// them, oldest first. Looks at the last `reach` bytes only.
pub fn last_lines(
    folder: &Path,
    reach: u64,
    count: usize,
    mut chosen: impl FnMut(&str) -> bool,
) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let mut left = reach;
    for segment in segments(folder)?.iter().rev() {
        let size = files::stat(segment)?.identity.size;
        let from = size.saturating_sub(left);
        let text = files::read_from(segment, from)?;
        let text = String::from_utf8_lossy(&text);
        // The first line of a part is a part of a line.
        let skipped = usize::from(from > 0);
        let whole: Vec<&str> = text.lines().skip(skipped).collect();
        for line in whole.into_iter().rev() {
            if chosen(line) {
                lines.push(line.to_owned());
            }
            if lines.len() == count {
                break;
            }
        }
        left -= size - from;
        if left == 0 || lines.len() == count {
            break;
        }
    }
    lines.reverse();
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn all(folder: &Path) -> Vec<String> {
        last_lines(folder, u64::MAX, usize::MAX, |_| true).unwrap()
    }

    #[test]
    fn lines_of_later_writers_follow_those_of_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        for second in 0..3 {
            let mut log = Writer::new(folder.path().to_owned(), STORAGE);
            log.append(format!("a{second}\nb{second}\n").as_bytes(), at(second))
                .unwrap();
        }
        assert_eq!(all(folder.path()), ["a0", "b0", "a1", "b1", "a2", "b2"]);
        assert_eq!(segments(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Writer::new(folder.path().to_owned(), STORAGE);
        log.append(b"whole\ntorn", at(0)).unwrap();
        let mut log = Writer::new(folder.path().to_owned(), STORAGE);
        log.append(b"next\n", at(1)).unwrap();
        assert_eq!(all(folder.path()), ["whole", "torn", "next"]);
    }

    #[test]
    fn the_store_is_bounded_and_the_newest_lines_stay() {
        for storage in [STORAGE, 10 * LEAST, LEAST] {
            let folder = tempfile::tempdir().unwrap();
            let mut log = Writer::new(folder.path().to_owned(), storage);
            let block = "x".repeat(usize::try_from(storage / PARTS / 4).unwrap()) + "\n";
            let blocks = i64::try_from(PARTS * 8).unwrap();
            for second in 0..blocks {
                log.append(format!("{second} {block}").as_bytes(), at(second))
                    .unwrap();
            }
            let sizes = segments(folder.path()).unwrap().into_iter();
            let stored: u64 = sizes
                .map(|segment| files::stat(&segment).unwrap().identity.size)
                .sum();
            assert!(
                (storage * 3 / 4..storage + storage / PARTS).contains(&stored),
                "{stored} of {storage}"
            );
            let last = last_lines(folder.path(), 1 << 19, 1, |_| true).unwrap();
            assert!(last[0].starts_with(&format!("{} x", blocks - 1)));
        }
    }

    #[test]
    fn a_bound_that_was_lowered_holds_from_the_next_segment_on() {
        let folder = tempfile::tempdir().unwrap();
        let line = "x".repeat(4000) + "\n";
        for (storage, first) in [(STORAGE, 0), (LEAST, 1000)] {
            let mut log = Writer::new(folder.path().to_owned(), storage);
            for second in first..first + 300 {
                log.append(line.as_bytes(), at(second)).unwrap();
            }
        }
        let stored: usize = all(folder.path()).iter().map(|line| line.len() + 1).sum();
        assert!(stored <= usize::try_from(LEAST).unwrap() + 4096, "{stored}");
    }

    #[test]
    fn a_reach_shorter_than_the_log_gives_whole_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Writer::new(folder.path().to_owned(), STORAGE);
        log.append(b"first\nsecond\nthird\n", at(0)).unwrap();
        assert_eq!(
            last_lines(folder.path(), 10, 9, |_| true).unwrap(),
            ["third"]
        );
        assert_eq!(
            last_lines(folder.path(), 99, 2, |line| line.contains('i')).unwrap(),
            ["first", "third"]
        );
        assert!(all(&folder.path().join("nothing")).is_empty());
    }
}
