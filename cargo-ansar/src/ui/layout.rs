//! The places of the panes on a screen.

use ratatui_core::layout::Rect;

/// A part of the screen that can have the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// The list of roles.
    Roles,
    /// The logs.
    Logs,
    /// The last run and its failures.
    Failures,
}

impl Pane {
    /// Returns the pane after this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Roles => Self::Logs,
            Self::Logs => Self::Failures,
            Self::Failures => Self::Roles,
        }
    }

    /// Returns the pane before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        self.next().next()
    }
}

/// Fewest columns and rows with all panes beside each other.
const ALL_PANES: (u16, u16) = (60, 16);
/// Rows of the details of the selected role.
const DETAILS: u16 = 5;

/// The places of the panes. A pane that is not shown has no area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// The title.
    pub title: Rect,
    /// The rows of the list of roles, without its heading.
    pub roles: Rect,
    /// The details of the selected role.
    pub details: Rect,
    /// The lines of the logs, without their heading.
    pub logs: Rect,
    /// The last run and its failures.
    pub failures: Rect,
    /// The keys, messages and the prompt.
    pub footer: Rect,
    /// True if there is only room for one pane.
    pub is_narrow: bool,
}

impl Layout {
    /// Returns the layout of a screen; `wanted` is the number of rows of the
    /// last run, and `focus` the pane that is shown if there is room for one.
    pub fn of((width, height): (u16, u16), wanted: u16, focus: Pane) -> Self {
        let title = Rect::new(0, 0, width, height.min(1));
        let footer = Rect::new(0, height.saturating_sub(1), width, u16::from(height > 1));
        let body = height.saturating_sub(2);
        let rows = |x, y, width, height| Rect::new(x, y, width, height);
        if width < ALL_PANES.0 || height < ALL_PANES.1 {
            return Self::narrow(title, footer, body, focus);
        }
        // A rule above it, and at most a third of the screen.
        let failures = wanted.clamp(1, body / 3);
        let upper = body - failures - 1;
        let left = (width * 2 / 5).clamp(28, 84);
        let details = if upper >= 20 { DETAILS } else { DETAILS - 1 };
        let right = left + 1;
        Self {
            title,
            footer,
            roles: rows(0, 2, left, upper - 1 - details),
            details: rows(0, 1 + upper - details, left, details),
            logs: rows(right, 2, width - right, upper - 1),
            failures: rows(0, 2 + upper, width, failures),
            is_narrow: false,
        }
    }

    fn narrow(title: Rect, footer: Rect, body: u16, focus: Pane) -> Self {
        let width = title.width;
        // The row below the title has the tabs.
        let all = Rect::new(0, 2, width, body.saturating_sub(1));
        let mut layout = Self {
            title,
            footer,
            is_narrow: true,
            ..Self::default()
        };
        match focus {
            Pane::Roles => {
                let details = (DETAILS - 2).min(all.height / 3);
                layout.roles = Rect {
                    height: all.height - details,
                    ..all
                };
                layout.details = Rect {
                    y: all.y + all.height - details,
                    height: details,
                    ..all
                };
            }
            Pane::Logs => layout.logs = all,
            Pane::Failures => layout.failures = all,
        }
        layout
    }

    /// Returns the pane at a place.
    pub fn pane(&self, x: u16, y: u16) -> Option<Pane> {
        let at = (x, y).into();
        let panes = [
            (self.roles, Pane::Roles),
            (self.details, Pane::Roles),
            (self.logs, Pane::Logs),
            (self.failures, Pane::Failures),
        ];
        let mut found = panes.into_iter().filter(|(area, _)| area.contains(at));
        found.next().map(|(_, pane)| pane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_fill_every_screen_and_do_not_overlap() {
        for width in 0..220 {
            for height in 0..70 {
                for focus in [Pane::Roles, Pane::Logs, Pane::Failures] {
                    let layout = Layout::of((width, height), 30, focus);
                    let screen = Rect::new(0, 0, width, height);
                    let areas = [
                        layout.title,
                        layout.roles,
                        layout.details,
                        layout.logs,
                        layout.failures,
                        layout.footer,
                    ];
                    for (nth, area) in areas.iter().enumerate() {
                        assert_eq!(area.intersection(screen).area(), area.area());
                        for other in &areas[..nth] {
                            assert_eq!(area.intersection(*other).area(), 0, "{layout:?}");
                        }
                    }
                }
            }
        }
    }
}
