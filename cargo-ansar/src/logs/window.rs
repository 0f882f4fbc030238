//! A window of the merged logs of several roles, which moves in both
//! directions.
//!
//! Only the lines around the shown part are in memory. The window is an
//! interval of each log: a line between its first and its last position is
//! either in the window or does not pass the filter. A search that finds little
//! stops when its budget is used up, and goes on with the next call.

mod tail;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::path::{Path, PathBuf};

use ansar_contract::line::{Level, Tag};

use crate::host::fs::Error;
use crate::host::fs::fingerprint::now_ns;
use crate::logs::header::{Head, Stamp};
use crate::logs::merge::Filter;
use crate::logs::window::tail::{Ahead, Back, Position};
use crate::model::name::RoleName;

/// Number of lines that are kept on each side of the shown part.
const MARGIN: usize = 1_000;
/// Longest text of a line that is kept, in bytes.
const LONGEST_TEXT: usize = 4 << 10;
/// Number of bytes that are read ahead, over all logs.
const READ_AHEAD: usize = 4 << 20;
/// Bounds of the bytes that are read at once from a log.
const PIECE: (usize, usize) = (8 << 10, 256 << 10);

/// A line of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The role.
    pub role: RoleName,
    /// The process that wrote it.
    pub pid: u32,
    /// The time of the line.
    pub stamp: Stamp,
    /// The tag of the line.
    pub tag: Tag,
    /// The text, which may be cut, with control characters.
    pub text: String,
}

/// The shown part of a window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The lines, oldest first.
    pub lines: Vec<Line>,
    /// True if new lines move the page.
    pub follows: bool,
    /// True if the first line is the first that passes the filter.
    pub is_first: bool,
    /// Time that a search which has found too little has come to.
    pub searching: Option<Stamp>,
}

/// A place to begin reading at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The first stored line.
    First,
    /// The first line of this time or later.
    At(Stamp),
    /// The end, which moves with new lines.
    Last,
}

/// A window of merged logs.
#[derive(Debug)]
pub struct Window {
    sources: Vec<Source>,
    filter: Filter,
    rows: VecDeque<Row>,
    /// Index of the first shown row.
    top: usize,
    follows: bool,
    /// Rows that the page still has to move by.
    shift: i64,
    /// True if the first row is the first that passes the filter.
    is_first: bool,
    piece: usize,
    searching: Option<Stamp>,
}

/// The log of one role.
#[derive(Debug)]
struct Source {
    role: RoleName,
    folder: PathBuf,
    back: Back,
    ahead: Ahead,
    /// Heads that were read and not consumed, with their place: a beginning in
    /// `back`, a length in `ahead`.
    heads: [Option<(Head, usize)>; 2],
    /// The last process whose line was read, and true if the line is shown.
    last: Option<(u32, bool)>,
}

/// A line, with the record that it belongs to.
#[derive(Debug)]
struct Row {
    source: usize,
    line: Line,
    /// True for the first line of a record.
    is_head: bool,
    before: Position,
    after: Position,
}

/// The outcome of loading more rows.
enum Loaded {
    Some,
    None,
    OutOfBudget,
}

impl Window {
    /// Opens a window of these logs at `anchor`.
    pub fn open(
        logs: Vec<(RoleName, PathBuf)>,
        filter: Filter,
        anchor: Anchor,
    ) -> Result<Self, Error> {
        let piece = (READ_AHEAD / logs.len().max(1)).clamp(PIECE.0, PIECE.1);
        let sources = logs.into_iter().map(|(role, folder)| {
            let at = match anchor {
                Anchor::First => Position::first(&folder)?,
                Anchor::At(stamp) => Position::at(&folder, stamp)?,
                Anchor::Last => Position::last(&folder)?,
            };
            Ok(Source {
                role,
                back: Back::new(&folder, at.clone()),
                ahead: Ahead::new(&folder, at),
                folder,
                heads: [None, None],
                last: None,
            })
        });
        Ok(Self {
            sources: sources.collect::<Result<_, Error>>()?,
            filter,
            rows: VecDeque::new(),
            top: 0,
            follows: anchor == Anchor::Last,
            shift: 0,
            is_first: false,
            piece,
            searching: None,
        })
    }

    /// Returns a window of no logs.
    pub fn empty() -> Self {
        Self {
            sources: Vec::new(),
            filter: Filter {
                level: Level::Debug,
                grep: None,
            },
            rows: VecDeque::new(),
            top: 0,
            follows: true,
            shift: 0,
            is_first: true,
            piece: PIECE.0,
            searching: None,
        }
    }

    /// Returns the time of the first shown line, and the end if the page
    /// follows new lines.
    pub fn anchor(&self) -> Anchor {
        match self.rows.get(self.top) {
            Some(row) if !self.follows => Anchor::At(row.line.stamp),
            _ => Anchor::Last,
        }
    }

    /// Returns true if new lines move the page.
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// Moves the page by a number of lines; negative ones are older.
    pub fn scroll(&mut self, lines: i64) {
        self.shift = self.shift.saturating_add(lines);
    }

    /// Looks for lines that were stored since the last call, which
    /// [`Window::load`] then reads. Returns true if there are any.
    pub fn refresh(&mut self) -> bool {
        let now_ns = now_ns();
        let mut is_longer = false;
        for source in &mut self.sources {
            is_longer |= source.ahead.refresh(now_ns);
        }
        is_longer
    }

    /// Returns the folders of the logs.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().map(|source| source.folder.as_path())
    }

    /// Loads what a page of `height` lines shows, reading at most about `budget`
    /// bytes. Returns false if more has to be loaded.
    pub fn load(&mut self, height: usize, budget: usize) -> Result<bool, Error> {
        let mut budget = budget;
        self.searching = None;
        if self.follows && self.shift >= 0 {
            self.shift = 0;
            if !self.catch_up(height, &mut budget)? {
                return Ok(false);
            }
        }
        while self.shift != 0 {
            let loaded = if self.shift < 0 {
                self.up(height, &mut budget)?
            } else {
                self.down(height, &mut budget)?
            };
            if let Loaded::OutOfBudget = loaded {
                return Ok(false);
            }
        }
        if !self.fill(height, &mut budget)? {
            return Ok(false);
        }
        // Finds out if the page is at the beginning.
        if self.top == 0
            && !self.is_first
            && matches!(self.load_back(1, &mut budget)?, Loaded::OutOfBudget)
        {
            return Ok(false);
        }
        Ok(true)
    }

    /// Returns the shown lines, after [`Window::load`].
    pub fn page(&self, height: usize) -> Page {
        let rows = self.rows.iter().skip(self.top).take(height);
        Page {
            lines: rows.map(|row| row.line.clone()).collect(),
            follows: self.follows,
            is_first: self.is_first && self.top == 0,
            searching: self.searching,
        }
    }

    /// Loads all new lines. Begins anew at the end if there are too many.
    fn catch_up(&mut self, height: usize, budget: &mut usize) -> Result<bool, Error> {
        loop {
            match self.load_ahead(height + MARGIN, budget)? {
                Loaded::Some => {}
                Loaded::None => break,
                Loaded::OutOfBudget => {
                    let logs = self.sources.drain(..);
                    let logs = logs.map(|source| (source.role, source.folder)).collect();
                    *self = Self::open(logs, self.filter.clone(), Anchor::Last)?;
                    break;
                }
            }
            self.drop_front(height + MARGIN);
        }
        self.top = self.rows.len().saturating_sub(height);
        Ok(true)
    }

    /// Moves the page up by what is loaded.
    fn up(&mut self, height: usize, budget: &mut usize) -> Result<Loaded, Error> {
        if self.follows {
            self.top = self.rows.len().saturating_sub(height);
        }
        let wanted = usize::try_from(-self.shift).unwrap_or(usize::MAX);
        let moved = wanted.min(self.top);
        self.top -= moved;
        self.follows &= moved == 0;
        self.shift += i64::try_from(moved).unwrap_or(i64::MAX);
        if self.shift == 0 {
            return Ok(Loaded::Some);
        }
        let loaded = self.load_back(MARGIN / 2, budget)?;
        match loaded {
            Loaded::None => self.shift = 0,
            Loaded::Some => self.drop_back(self.top + height + MARGIN),
            Loaded::OutOfBudget => {}
        }
        Ok(loaded)
    }

    /// Moves the page down by what is loaded.
    fn down(&mut self, height: usize, budget: &mut usize) -> Result<Loaded, Error> {
        let below = self.rows.len().saturating_sub(self.top + height);
        let wanted = usize::try_from(self.shift).unwrap_or(usize::MAX);
        let moved = wanted.min(below);
        self.top += moved;
        self.shift -= i64::try_from(moved).unwrap_or(i64::MAX);
        if self.shift == 0 {
            return Ok(Loaded::Some);
        }
        let loaded = self.load_ahead(MARGIN / 2, budget)?;
        match loaded {
            Loaded::None => {
                self.shift = 0;
                self.follows = true;
            }
            Loaded::Some => {
                let above = self.top.saturating_sub(MARGIN);
                self.drop_front(self.rows.len() - above);
            }
            Loaded::OutOfBudget => {}
        }
        Ok(loaded)
    }

    /// Loads rows until the page is full, later ones first.
    fn fill(&mut self, height: usize, budget: &mut usize) -> Result<bool, Error> {
        while self.rows.len() < self.top + height && !self.follows {
            match self.load_ahead(height, budget)? {
                Loaded::Some => {}
                Loaded::None => break,
                Loaded::OutOfBudget => return Ok(false),
            }
        }
        while self.rows.len() < self.top + height {
            if self.top > 0 {
                self.top = self.rows.len().saturating_sub(height);
                continue;
            }
            match self.load_back(height, budget)? {
                Loaded::Some => self.top = self.rows.len().saturating_sub(height),
                Loaded::None => {
                    self.top = 0;
                    break;
                }
                Loaded::OutOfBudget => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Loads at most about `count` rows before the first one.
    fn load_back(&mut self, count: usize, budget: &mut usize) -> Result<Loaded, Error> {
        let length = self.rows.len();
        let mut latest = BinaryHeap::new();
        for (at, source) in self.sources.iter_mut().enumerate() {
            latest.extend(source.peek_back(self.piece)?.map(|stamp| (stamp, at)));
        }
        while self.rows.len() < length + count {
            let Some((stamp, at)) = latest.pop() else {
                self.is_first = true;
                break;
            };
            if *budget == 0 {
                self.searching = Some(stamp);
                return Ok(Loaded::OutOfBudget);
            }
            let source = &mut self.sources[at];
            let Some((head, start)) = source.heads[0].take() else {
                continue;
            };
            let text = source.back.text(start);
            *budget = budget.saturating_sub(text.len());
            if self.filter.accepts(head, text) {
                let rows = rows(at, &source.role, text, &source.back.span(start));
                self.top += rows.len();
                for row in rows.into_iter().rev() {
                    self.rows.push_front(row);
                }
            }
            source.back.consume(start);
            latest.extend(source.peek_back(self.piece)?.map(|stamp| (stamp, at)));
        }
        Ok(self.loaded(length))
    }

    /// Loads at most about `count` rows after the last one.
    fn load_ahead(&mut self, count: usize, budget: &mut usize) -> Result<Loaded, Error> {
        let length = self.rows.len();
        let mut earliest = BinaryHeap::new();
        for (at, source) in self.sources.iter_mut().enumerate() {
            let rank = source.peek_ahead(self.piece)?;
            earliest.extend(rank.map(|rank| Reverse((rank, at))));
        }
        while self.rows.len() < length + count {
            let Some(Reverse((stamp, at))) = earliest.pop() else {
                break;
            };
            if *budget == 0 {
                self.searching = Some(stamp);
                return Ok(Loaded::OutOfBudget);
            }
            let source = &mut self.sources[at];
            let Some((head, size)) = source.heads[1].take() else {
                continue;
            };
            let text = source.ahead.text(size);
            *budget = budget.saturating_sub(text.len());
            let is_shown = match (head.tag, source.last) {
                (Tag::Continued, Some((pid, is_shown))) if pid == head.pid => is_shown,
                _ => self.filter.accepts(head, text),
            };
            source.last = Some((head.pid, is_shown));
            if is_shown {
                let span = source.ahead.span(size);
                self.rows.extend(rows(at, &source.role, text, &span));
            }
            source.ahead.consume(size);
            let rank = source.peek_ahead(self.piece)?;
            earliest.extend(rank.map(|rank| Reverse((rank, at))));
        }
        Ok(self.loaded(length))
    }

    fn loaded(&self, before: usize) -> Loaded {
        if self.rows.len() > before {
            Loaded::Some
        } else {
            Loaded::None
        }
    }

    /// Drops whole records at the front until about `kept` rows remain.
    fn drop_front(&mut self, kept: usize) {
        let mut cut = BTreeMap::new();
        while self.rows.len() > kept || self.rows.front().is_some_and(|row| !row.is_head) {
            let Some(row) = self.rows.pop_front() else {
                break;
            };
            self.top = self.top.saturating_sub(1);
            cut.insert(row.source, row.after);
        }
        for (at, position) in cut {
            let source = &mut self.sources[at];
            source.back = Back::new(&source.folder, position);
            source.heads[0] = None;
            self.is_first = false;
        }
    }

    /// Drops whole records at the back until about `kept` rows remain.
    fn drop_back(&mut self, kept: usize) {
        let mut cut = BTreeMap::new();
        while self.rows.len() > kept {
            let Some(row) = self.rows.pop_back() else {
                break;
            };
            let is_head = row.is_head;
            cut.insert(row.source, row.before);
            if !is_head {
                // The rest of the record goes as well.
                while let Some(row) = self.rows.pop_back() {
                    if row.is_head {
                        break;
                    }
                }
            }
        }
        for (at, position) in cut {
            let source = &mut self.sources[at];
            source.ahead = Ahead::new(&source.folder, position);
            source.heads[1] = None;
            source.last = None;
        }
    }
}

impl Source {
    /// Returns the time of the record before the window.
    fn peek_back(&mut self, piece: usize) -> Result<Option<Stamp>, Error> {
        if self.heads[0].is_none() {
            self.heads[0] = self.back.peek(piece)?;
        }
        Ok(self.heads[0].map(|(head, _)| head.stamp))
    }

    /// Returns the time of the record after the window, which ranks it among
    /// those of other logs.
    fn peek_ahead(&mut self, piece: usize) -> Result<Option<Stamp>, Error> {
        if self.heads[1].is_none() {
            self.heads[1] = self.ahead.peek(piece)?;
        }
        Ok(self.heads[1].map(|(head, _)| match head.tag {
            // It follows its line.
            Tag::Continued => Stamp::MIN,
            _ => head.stamp,
        }))
    }
}

/// Returns the rows of a record.
fn rows(source: usize, role: &RoleName, text: &[u8], span: &(Position, Position)) -> Vec<Row> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let rows = lines.filter_map(|(nth, line)| {
        let head = Head::of(line)?;
        let text = line.get(head.text_at()..).unwrap_or_default();
        let text = &text[..text.len().min(LONGEST_TEXT)];
        Some(Row {
            source,
            line: Line {
                role: role.clone(),
                pid: head.pid,
                stamp: head.stamp,
                tag: head.tag,
                text: String::from_utf8_lossy(text).into_owned(),
            },
            is_head: nth == 0,
            before: span.0.clone(),
            after: span.1.clone(),
        })
    });
    rows.collect()
}
