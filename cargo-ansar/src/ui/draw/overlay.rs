//! Draws text above the panes: the keys, or the output of a command.

use ratatui_core::layout::Rect;
use ratatui_core::symbols::border::ROUNDED;
use ratatui_core::text::{Line, Span};

use crate::ui::draw::Canvas;
use crate::ui::draw::theme::Theme;
use crate::ui::model::Overlay;
use crate::ui::text::{clean, cut};

/// The keys, by subject; those that fit on a small screen come first.
const HELP: [(&str, &str); 20] = [
    ("s x r", "start, stop, restart role or tag"),
    ("t f", "run all tests, those that failed"),
    ("d", "build and deploy, restart affected"),
    ("⇥ 1 2 3", "next pane; roles, logs, last run"),
    ("↑ ↓ k j", "move; also page up, page down"),
    ("g G", "beginning, end: follow new lines"),
    ("space", "mark: show the logs of these"),
    ("o ⏎ a", "only this one; all again"),
    ("/", "show lines that match a pattern"),
    ("l L", "show fewer levels, more levels"),
    ("esc", "remove filters, then marks"),
    ("← →", "move long log lines sideways"),
    ("⏎", "open the failure in the editor"),
    ("w", "why was the role restarted"),
    ("c", "copy the address of the role"),
    ("^C", "interrupt commands, or quit"),
    ("^Z", "suspend"),
    ("^L", "draw again"),
    ("mouse", "click selects, again marks"),
    ("q", "quit; roles keep running"),
];

impl Canvas<'_> {
    pub(super) fn overlay(&mut self) {
        match &self.model.overlay {
            None => {}
            Some(Overlay::Help) => {
                let lines = HELP.iter().map(|(keys, meaning)| {
                    Line::from(vec![
                        Span::styled(format!(" {keys:>8}  "), self.theme.key()),
                        Span::raw(*meaning),
                    ])
                });
                let lines: Vec<Line<'_>> = lines.collect();
                self.window(" Keys ", &lines, 48, 0);
            }
            Some(Overlay::Output {
                title,
                lines,
                top,
                is_error,
            }) => {
                let room = usize::from(self.model.size.0).saturating_sub(6);
                let lines: Vec<Line<'_>> = lines
                    .iter()
                    .map(|line| Line::raw(format!(" {}", cut(&clean(line), room))))
                    .collect();
                let outcome = if *is_error { " failed" } else { "" };
                let title = format!(" {title}{outcome} ");
                let width = lines.iter().map(Line::width).max().unwrap_or_default() + 3;
                let width = width.max(title.len() + 4).max(36);
                self.window(&title, &lines, width, *top);
            }
        }
    }

    /// Draws a window in the middle of the screen.
    fn window(&mut self, title: &str, lines: &[Line<'_>], width: usize, top: usize) {
        let screen = self.buffer.area;
        let width = u16::try_from(width).unwrap_or(u16::MAX).min(screen.width);
        let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
        let height = height
            .min(screen.height.saturating_sub(2).max(3))
            .min(screen.height);
        let area = Rect {
            x: (screen.width - width) / 2,
            y: (screen.height - height) / 2,
            width,
            height,
        };
        let is_cut = lines.len() + 2 > usize::from(height);
        let bottom = if is_cut {
            " ↑ ↓  esc closes "
        } else {
            " esc closes "
        };
        self.frame(area, title, bottom);
        let inner = Rect {
            x: area.x + 1,
            y: area.y + 1,
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(2),
        };
        for (row, line) in lines.iter().skip(top).enumerate() {
            self.put(inner, u16::try_from(row).unwrap_or(u16::MAX), line);
        }
    }

    /// Clears an area and draws a border around it, with a title at the left of
    /// its top and a text at the right of its bottom.
    fn frame(&mut self, area: Rect, title: &str, bottom: &str) {
        for place in area.positions() {
            self.buffer[place].reset();
        }
        let Some(width) = area.width.checked_sub(2).map(usize::from) else {
            return;
        };
        let (style, rule) = (self.theme.key(), ROUNDED.horizontal_top);
        for row in 0..area.height {
            let [left, middle, right] = if row == 0 {
                [ROUNDED.top_left, rule, ROUNDED.top_right]
            } else if row + 1 == area.height {
                [ROUNDED.bottom_left, rule, ROUNDED.bottom_right]
            } else {
                [ROUNDED.vertical_left, " ", ROUNDED.vertical_right]
            };
            let line = format!("{left}{}{right}", middle.repeat(width));
            self.put(area, row, &Line::styled(line, style));
        }
        let inner = Rect {
            x: area.x + 1,
            width: area.width - 2,
            ..area
        };
        let title = Line::styled(cut(title, width), Theme::bold());
        self.put(inner, 0, &title);
        let bottom = cut(bottom, width);
        let length = u16::try_from(bottom.chars().count()).unwrap_or(u16::MAX);
        let right = Rect {
            x: inner.x + inner.width.saturating_sub(length),
            width: length.min(inner.width),
            ..inner
        };
        if area.height > 1 {
            self.put(right, area.height - 1, &Line::styled(bottom, Theme::dim()));
        }
    }
}
