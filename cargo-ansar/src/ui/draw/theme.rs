//! Styles of what is drawn.
//!
//! Only the colours that a terminal's user has chosen are used, and no
//! background, so that light and dark terminals both show them. Without
//! colours, bold, dim and reversed text remain.

use ansar_contract::line::{Level, Tag};
use ratatui_core::style::{Color, Modifier, Style};

use crate::ui::snapshot::State;

/// Colours of roles in the logs, without blue, which is too dark in many terminals.
const ROLES: [Color; 5] = [
    Color::Cyan,
    Color::Magenta,
    Color::LightBlue,
    Color::Green,
    Color::LightMagenta,
];

/// Styles with or without colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// True if colours are used.
    pub colors: bool,
}

impl Theme {
    fn color(self, color: Color) -> Style {
        if self.colors {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    pub(super) fn plain() -> Style {
        Style::new()
    }

    pub(super) fn bold() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn good(self) -> Style {
        self.color(Color::Green)
    }

    pub(super) fn bad(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn warning(self) -> Style {
        self.color(Color::Yellow)
    }

    /// Returns the style of a key in the hints.
    pub(super) fn key(self) -> Style {
        self.color(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of a heading.
    pub(super) fn heading(self, has_focus: bool) -> Style {
        if has_focus {
            self.color(Color::Cyan).add_modifier(Modifier::BOLD)
        } else {
            Self::dim().add_modifier(Modifier::BOLD)
        }
    }

    /// Returns the style of the selected row.
    pub(super) fn selected(has_focus: bool) -> Style {
        if has_focus {
            // In one colour: each part would be reversed on its own.
            let plain = Style::new().fg(Color::Reset);
            plain
                .remove_modifier(Modifier::DIM)
                .add_modifier(Modifier::REVERSED)
        } else {
            Self::bold()
        }
    }

    pub(super) fn state(self, state: State) -> Style {
        match state {
            State::Ready | State::Done => self.good(),
            State::Failed | State::Unhealthy => self.bad(),
            State::Waiting | State::Starting | State::Retrying | State::Restarting => {
                self.warning()
            }
            State::Stopping | State::Stopped => Self::dim(),
        }
    }

    /// Returns the style of the role with this index.
    pub(super) fn role(self, nth: usize) -> Style {
        self.color(ROLES[nth % ROLES.len()])
    }

    /// Returns the style of the text of a log line.
    pub(super) fn line(self, tag: Tag) -> Style {
        match tag.level() {
            Level::Fault => self.bad(),
            Level::Warning => self.warning(),
            Level::Object | Level::Trace => Self::dim(),
            Level::Debug if tag == Tag::Debug => Self::dim(),
            _ => Self::plain(),
        }
    }
}

/// Returns the symbol of a state.
pub(super) fn symbol(state: State) -> &'static str {
    match state {
        State::Stopped => "○",
        State::Done => "✓",
        State::Failed => "✗",
        State::Waiting => "◌",
        State::Starting => "◐",
        State::Ready => "●",
        State::Unhealthy => "!",
        State::Retrying | State::Restarting => "↻",
        State::Stopping => "◑",
    }
}
