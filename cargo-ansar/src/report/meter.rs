//! Shows the progress: as a line at the bottom of a terminal, or as a message
//! now and then.
//!
//! The line is drawn by this module and not by a crate, because the printer
//! thread must be the only writer: it erases the line before everything else
//! that it prints, draws it again at most ten times a second, and never while
//! another process has the terminal's foreground.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr;

use crate::events::{Event, Kind, RunEvent};
use crate::host::clock;
use crate::report::progress::Progress;
use crate::report::shell::{Shell, VERB_COLUMNS, erase, is_in_foreground, size};

/// Time before a phase is shown, so that a short one is not.
const DELAY: Duration = Duration::from_millis(500);
/// Time between two drawings.
const REDRAW: Duration = Duration::from_millis(100);

/// Form of the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No progress.
    Never,
    /// A line that is drawn again and again.
    Bar {
        /// True if the command runs below a guardian.
        has_guardian: bool,
    },
    /// Messages: the first after this time, each next one after twice the time
    /// of the one before, and at the latest after [`Mode::LONGEST`].
    Plain(Duration),
}

impl Mode {
    /// Time before the first message that was not asked for.
    pub const PATIENT: Duration = Duration::from_secs(30);
    /// Time before the first message that was asked for.
    pub const EAGER: Duration = Duration::from_secs(5);
    /// Longest time between two messages.
    const LONGEST: Duration = Duration::from_secs(5 * 60);
}

/// The progress, as shared with those who emit events.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Progress>>);

impl Shared {
    /// Reads an event. Returns true if the printer must wake to show it.
    pub(super) fn read(&self, event: &Event) -> bool {
        self.lock().read(event)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides when the progress is shown.
#[derive(Debug)]
pub(super) struct Meter {
    mode: Mode,
    progress: Shared,
    /// The line on the terminal.
    drawn: Option<String>,
    /// Beginning of the phase that was shown last.
    phase: Option<Timestamp>,
    /// Number of messages about this phase.
    messages: u32,
    /// Time of the next look; `None` if there is nothing to show.
    next: Option<Timestamp>,
}

impl Meter {
    pub(super) fn new(mode: Mode, progress: Shared) -> Self {
        Self {
            mode,
            progress,
            drawn: None,
            phase: None,
            messages: 0,
            next: None,
        }
    }

    /// Returns true if the line on the terminal says the same as this event.
    pub(super) fn shows(&self, kind: &Kind) -> bool {
        matches!(self.mode, Mode::Bar { .. }) && matches!(kind, Kind::Run(RunEvent::Waiting { .. }))
    }

    /// Returns the time until the next look; `None` if there is none.
    pub(super) fn wait(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(1);
        let next = self.next?;
        let wait = next.duration_since(clock::now()).try_into();
        Some(wait.unwrap_or(Duration::ZERO).min(LONGEST))
    }

    /// Shows the progress if it is time.
    pub(super) fn show(&mut self, shell: &mut Shell) {
        let now = clock::now();
        let since = match self.mode {
            Mode::Never => None,
            Mode::Bar { .. } | Mode::Plain(_) => self.progress.lock().since(),
        };
        let Some(since) = since else {
            self.next = None;
            return self.erase();
        };
        if self.phase != Some(since) {
            self.phase = Some(since);
            self.messages = 0;
            self.next = Some(after(since, self.first()));
        }
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        let line = self.progress.lock().line(now);
        match (self.mode, line) {
            (Mode::Plain(first), Some(line)) => {
                shell.flush();
                shell.status(line.verb, &line.plain());
                self.messages += 1;
                let next = first.saturating_mul(1 << self.messages.min(16));
                self.next = Some(after(since, next).min(after(now, Mode::LONGEST)));
            }
            (Mode::Bar { has_guardian }, Some(line)) => {
                self.next = Some(after(now, REDRAW));
                if !is_in_foreground(has_guardian) {
                    // Another program has written below the line.
                    self.drawn = None;
                    return;
                }
                let (columns, _) = size().unwrap_or((80, 24));
                // The last column stays empty: some terminals wrap there.
                let rest = columns.saturating_sub(VERB_COLUMNS + 2);
                let text = line.bar(rest);
                let line = format!("{:>VERB_COLUMNS$} {text}", line.verb);
                self.draw(shell, line, columns);
            }
            (_, None) | (Mode::Never, _) => self.next = Some(after(now, REDRAW)),
        }
    }

    /// Time before a phase is shown.
    fn first(&self) -> Duration {
        match self.mode {
            Mode::Plain(first) => first,
            Mode::Bar { .. } | Mode::Never => DELAY,
        }
    }

    fn draw(&mut self, shell: &mut Shell, line: String, columns: usize) {
        // A narrower terminal has wrapped the line before.
        let rows = self.rows(columns);
        if rows == 0 && self.drawn.as_ref() == Some(&line) {
            return;
        }
        shell.draw(&line, rows);
        self.drawn = Some(line);
    }

    /// Erases the line, before something else is printed.
    pub(super) fn erase(&mut self) {
        let Mode::Bar { has_guardian } = self.mode else {
            return;
        };
        if self.drawn.is_some() && is_in_foreground(has_guardian) {
            let (columns, _) = size().unwrap_or((80, 24));
            erase(self.rows(columns));
        }
        self.drawn = None;
    }

    /// Returns the number of rows above the last one that the line occupies.
    fn rows(&self, columns: usize) -> usize {
        let width = self.drawn.as_deref().map_or(0, UnicodeWidthStr::width);
        width.saturating_sub(1) / columns.max(1)
    }
}

fn after(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
