//! Stores the log of a role as text lines in segments.
//!
//! A segment is named after the time of its first line, so segments sort by age
//! and a query finds its beginning by name. When the log exceeds its storage,
//! the oldest segments are deleted. Lines are opaque here, except for their
//! time stamps.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use ansar_contract::layout::HOME_FILE;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::host::fs;
use crate::host::fs::{Appender, Error, Reading};
use crate::logs::header::Head;

/// Size at which the next segment begins, in bytes.
pub const SEGMENT: u64 = 1 << 20;
/// Default storage of a role, in bytes.
pub const STORAGE: u64 = 16 * SEGMENT;
/// Minimum storage of a role, in bytes.
pub const LEAST_STORAGE: u64 = 64 << 10;
/// Minimum number of segments that the storage is divided into.
const PARTS: u64 = 16;

/// Maximum time by which a line may be older than a previous one if the clock
/// was not set back: lines of several processes, or lines that waited in a
/// pipe.
pub const DISORDER: SignedDuration = SignedDuration::from_secs(1);
/// Number of bytes first read, and at most read, to find the last line of a
/// segment. An engine writes no longer lines.
const LAST: u64 = 4 << 10;
const LAST_AT_MOST: u64 = 128 << 10;

/// Format of the UTC time in the name of a segment.
pub(crate) const NAME_FORMAT: &str = "%Y-%m-%dT%H-%M-%S%.6f";

/// Appends to the log of a role. A log has one writer at a time.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    /// `home.json`, if the folder is in a home.
    home_file: Option<PathBuf>,
    /// Maximum size of the log, in bytes. One append may exceed it.
    storage: u64,
    pub(super) segment: Option<Appender>,
    /// Time of the last append.
    last: Timestamp,
    /// The latest known time of an append; later than `last` if the clock was
    /// set back.
    latest: Timestamp,
}

impl Writer {
    /// Returns a writer for the log in `folder`, which must exist, of at most
    /// `storage` bytes.
    pub fn new(folder: PathBuf, storage: u64) -> Self {
        Self {
            home_file: home_file(&folder),
            folder,
            storage,
            segment: None,
            last: Timestamp::MIN,
            latest: Timestamp::MIN,
        }
    }

    /// Appends whole lines.
    ///
    /// # Errors
    ///
    /// Returns the number of bytes stored, and the cause. The remaining lines
    /// are lost; the next call tries again.
    pub fn append(&mut self, lines: &[u8], now: Timestamp) -> Result<(), (usize, Error)> {
        let mut stored = 0;
        while stored < lines.len() {
            let failed = |error| (stored, error);
            let mut segment = self.segment(now).map_err(failed)?;
            let part = self.part(&segment, &lines[stored..]);
            segment.append(part).map_err(failed)?;
            self.keep(segment, part, now).map_err(failed)?;
            stored += part.len();
        }
        Ok(())
    }

    /// Moves `lines`, the whole lines at the front of `pipe`, to the log.
    ///
    /// # Errors
    ///
    /// Returns the number of bytes taken from the pipe, and the cause. Whole
    /// lines among them are stored.
    pub fn take(
        &mut self,
        pipe: impl AsFd,
        lines: &[u8],
        now: Timestamp,
    ) -> Result<(), (usize, Error)> {
        let mut taken = 0;
        while taken < lines.len() {
            let mut segment = self.segment(now).map_err(|error| (taken, error))?;
            let part = self.part(&segment, &lines[taken..]);
            let moved = segment.take(&pipe, part);
            moved.map_err(|(moved, error)| (taken + moved, error))?;
            taken += part.len();
            self.keep(segment, part, now)
                .map_err(|error| (taken, error))?;
        }
        Ok(())
    }

    /// Returns the length of the longest line that fits into a segment.
    pub fn longest_line(&self) -> usize {
        usize::try_from(self.segment_size()).unwrap_or(usize::MAX)
    }

    /// Returns the segment to append to.
    fn segment(&mut self, now: Timestamp) -> Result<Appender, Error> {
        match self.segment.take() {
            Some(segment) if segment.size() < self.segment_size() && !self.is_behind(now) => {
                Ok(segment)
            }
            _ => self.next_segment(now),
        }
    }

    /// Returns the lines that fit into the segment, at least one.
    fn part<'l>(&self, segment: &Appender, lines: &'l [u8]) -> &'l [u8] {
        let room = self.segment_size().saturating_sub(segment.size());
        let room = usize::try_from(room).map_or(lines.len(), |room| room.min(lines.len()));
        if room == lines.len() {
            return lines;
        }
        let end = memchr::memrchr(b'\n', &lines[..room]);
        let end = end.or_else(|| memchr::memchr(b'\n', lines));
        end.map_or(lines, |end| &lines[..=end])
    }

    /// Keeps the segment open after `lines` were appended. If it was deleted
    /// meanwhile, appends them to a new one.
    fn keep(&mut self, segment: Appender, lines: &[u8], now: Timestamp) -> Result<(), Error> {
        self.last = now;
        self.latest = self.latest.max(now);
        self.segment = Some(if segment.is_in_place() {
            segment
        } else {
            let mut segment = self.next_segment(now)?;
            segment.append(lines)?;
            segment
        });
        Ok(())
    }

    /// Returns true if the clock was set back since the last append.
    fn is_behind(&self, now: Timestamp) -> bool {
        now.checked_add(DISORDER).is_ok_and(|now| now < self.last)
    }

    /// Writes whole lines to a new segment, all or none. Safe while another
    /// process writes to this log.
    pub fn add(&self, lines: &[u8], now: Timestamp) -> Result<(), Error> {
        let segments = segments(&self.folder)?;
        let last = segments.last().map(|newest| last_stamp(newest));
        let begun = last
            .transpose()?
            .flatten()
            .map_or(now, |last| last.max(now));
        let name = name(begun, segments.last());
        fs::create_whole(&self.folder.join(name), lines)
    }

    fn segment_size(&self) -> u64 {
        SEGMENT.min(self.storage / PARTS)
    }

    /// Opens the newest segment if it has room. Otherwise deletes the oldest
    /// segments to make room and creates a new one.
    ///
    /// Also creates a new one if the clock was set back, so that stamps
    /// increase within each segment.
    fn next_segment(&mut self, now: Timestamp) -> Result<Appender, Error> {
        let segments = segments(&self.folder)?;
        if let Some(newest) = segments.last() {
            let mut segment = Appender::open(newest)?;
            if let Some(last) = last_stamp(newest)? {
                self.last = last;
                self.latest = self.latest.max(last);
            }
            if segment.size() < self.segment_size() && !self.is_behind(now) {
                // End a torn line, so that it does not merge with the next one.
                if !segment.is_whole()? {
                    segment.append(b"\n")?;
                }
                return Ok(segment);
            }
        }
        let mut room = self.storage.saturating_sub(self.segment_size());
        let mut first = segments.len();
        while first > 0 {
            let size = fs::stat(&segments[first - 1])?.fingerprint.size;
            if size > room {
                break;
            }
            room -= size;
            first -= 1;
        }
        // Oldest first, so that a kill in between leaves no gap.
        for oldest in &segments[..first] {
            fs::remove_file(oldest)?;
        }
        self.restore_folder()?;
        let begun = now.max(self.latest);
        Appender::open(&self.folder.join(name(begun, segments.last())))
    }

    /// Recreates the log folder and its parent if they were deleted, unless the
    /// home was removed or is being removed.
    fn restore_folder(&self) -> Result<(), Error> {
        let above = self.folder.parent().and_then(Path::parent);
        let is_there = match &self.home_file {
            Some(home_file) => fs::is_file(home_file),
            None => above.is_some_and(fs::is_folder),
        };
        if is_there {
            fs::make_private_folders(&self.folder)?;
        }
        Ok(())
    }
}

/// Removes the oldest segments of a log while all together have more than
/// `storage` bytes.
pub fn limit(folder: &Path, storage: u64) -> Result<(), Error> {
    let mut room = storage;
    for segment in segments(folder)?.iter().rev() {
        match room.checked_sub(fs::stat(segment)?.fingerprint.size) {
            Some(rest) => room = rest,
            None => {
                room = 0;
                fs::remove_file(segment)?;
            }
        }
    }
    Ok(())
}

/// Returns `home.json` two folders above a role's log, or `None` if the logs
/// are outside of the home.
fn home_file(folder: &Path) -> Option<PathBuf> {
    let above = folder.parent().and_then(Path::parent)?;
    Some(above.join(HOME_FILE)).filter(|file| fs::is_file(file))
}

/// Returns the stamp of the last line of a segment that has one.
pub(crate) fn last_stamp(segment: &Path) -> Result<Option<Timestamp>, Error> {
    let Some(file) = Reading::open(segment)? else {
        return Ok(None);
    };
    let size = file.size()?;
    let mut reach = LAST;
    loop {
        let from = size.saturating_sub(reach);
        let mut end = vec![0; usize::try_from(size - from).unwrap_or_default()];
        let read = file.read_at(&mut end, from)?;
        let lines = end[..read].split(|byte| *byte == b'\n').rev();
        let stamp = lines
            .filter_map(Head::of)
            .find_map(|head| TimeZone::UTC.to_timestamp(head.stamp.civil()?).ok());
        if stamp.is_some() || from == 0 || reach > LAST_AT_MOST {
            return Ok(stamp);
        }
        reach *= 4;
    }
}

/// Returns the name of a segment that begins at `now`, but later than that of
/// the `newest` one. No line of an earlier segment has a later stamp than this
/// name, even if the clock was set back.
fn name(now: Timestamp, newest: Option<&PathBuf>) -> String {
    let newest = newest.and_then(|path| path.file_stem()?.to_str());
    let newest = newest.and_then(|stem| DateTime::strptime(NAME_FORMAT, stem).ok());
    let newest = newest.and_then(|newest| TimeZone::UTC.to_timestamp(newest).ok());
    let next = newest.and_then(|newest| newest.checked_add(1.microsecond()).ok());
    let begun = next.map_or(now, |next| next.max(now));
    begun.strftime(&format!("{NAME_FORMAT}.log")).to_string()
}

/// Returns the segments of a role's log, oldest first; empty if there is no
/// log.
pub(crate) fn segments(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut names = fs::names(folder)?;
    names.retain(|name| {
        Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "log")
    });
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Returns the last lines of a role's log that `chosen` accepts, at most
/// `count`, oldest first. Searches only the last `reach` bytes.
pub fn last_lines(
    folder: &Path,
    reach: u64,
    count: usize,
    mut chosen: impl FnMut(&str) -> bool,
) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let mut left = reach;
    for segment in segments(folder)?.iter().rev() {
        let size = fs::stat(segment)?.fingerprint.size;
        let from = size.saturating_sub(left);
        let text = fs::read_from(segment, from)?;
        let text = String::from_utf8_lossy(&text);
        // The first line may be incomplete.
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
    fn later_writers_append() {
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
        for storage in [STORAGE, 10 * LEAST_STORAGE, LEAST_STORAGE] {
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
                .map(|segment| fs::stat(&segment).unwrap().fingerprint.size)
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
    fn the_bound_holds_for_large_appends() {
        for (storage, at_once, length) in [
            (LEAST_STORAGE, 65_536, 50),
            (80_000, 65_536, 4_000),
            (80_000, 9_000, 700),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut log = Writer::new(folder.path().to_owned(), storage);
            let line = "x".repeat(length - 1) + "\n";
            let lines = line.repeat(at_once / length);
            for second in 0..40 {
                log.append(lines.as_bytes(), at(second)).unwrap();
            }
            let stored: u64 = all(folder.path())
                .iter()
                .map(|it| it.len() as u64 + 1)
                .sum();
            let bounds = storage * 3 / 4..=storage + storage / PARTS;
            assert!(bounds.contains(&stored), "{stored} of {storage}");
        }
    }

    #[test]
    fn removed_log_is_recreated_unless_home_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("logs/x-0");
        fs::make_private_folders(&folder).unwrap();
        let mut log = Writer::new(folder.clone(), STORAGE);
        log.append(b"before\n", at(0)).unwrap();
        std::fs::rename(home.path().join("logs"), home.path().join("old")).unwrap();
        log.append(b"after\n", at(1)).unwrap();
        assert_eq!(all(&folder), ["after"]);
        std::fs::remove_dir_all(home.path()).unwrap();
        assert!(log.append(b"too late\n", at(2)).is_err());
        assert!(!home.path().exists());
    }

    #[test]
    fn log_is_not_recreated_during_home_removal() {
        let home = tempfile::tempdir().unwrap();
        let home_file = home.path().join(HOME_FILE);
        fs::replace(&home_file, b"{}", 0o600).unwrap();
        let folder = home.path().join("logs/x-0");
        fs::make_private_folders(&folder).unwrap();
        let mut log = Writer::new(folder.clone(), STORAGE);
        log.append(b"before\n", at(0)).unwrap();
        fs::remove_tree(&home.path().join("logs")).unwrap();
        fs::remove_file(&home_file).unwrap();
        assert!(log.append(b"too late\n", at(1)).is_err());
        assert!(fs::names(home.path()).unwrap().is_empty());
    }

    #[test]
    fn segment_names_are_later_than_previous_lines() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Writer::new(folder.path().to_owned(), STORAGE);
        for second in [0, 3600, 600, 601, 602] {
            let stamp = crate::logs::header::Stamp::of(at(second));
            let line = format!("[00000001] {stamp} ^ x\n");
            log.append(line.as_bytes(), at(second)).unwrap();
        }
        let names = segments(folder.path()).unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(names[1], folder.path().join(name(at(3600), None)));
        let mut log = Writer::new(folder.path().to_owned(), STORAGE);
        log.append(b"[00000001] 2023-11-14T22:20:00.000 ^ x\n", at(400))
            .unwrap();
        assert!(segments(folder.path()).unwrap()[2] > names[1]);
    }

    #[test]
    fn lowered_bound_applies_from_next_segment() {
        let folder = tempfile::tempdir().unwrap();
        let line = "x".repeat(4000) + "\n";
        for (storage, first) in [(STORAGE, 0), (LEAST_STORAGE, 1000)] {
            let mut log = Writer::new(folder.path().to_owned(), storage);
            for second in first..first + 300 {
                log.append(line.as_bytes(), at(second)).unwrap();
            }
        }
        let stored: usize = all(folder.path()).iter().map(|line| line.len() + 1).sum();
        assert!(
            stored <= usize::try_from(LEAST_STORAGE).unwrap() + 4096,
            "{stored}"
        );
    }

    #[test]
    fn short_reach_returns_whole_lines() {
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
