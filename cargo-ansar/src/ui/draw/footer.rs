//! Draws the last row: the prompt, a message, a command that runs, or the keys.

use ratatui_core::text::{Line, Span};

use crate::ui::draw::Canvas;
use crate::ui::draw::theme::Theme;
use crate::ui::layout::Pane;
use crate::ui::text::{clean, cut};

/// Keys and their meanings in every pane.
const KEYS: [(&str, &str); 14] = [
    ("?", "help"),
    ("q", "quit"),
    ("s", "start"),
    ("x", "stop"),
    ("r", "restart"),
    ("t", "test"),
    ("f", "failed"),
    ("/", "filter"),
    ("l", "level"),
    ("o", "only"),
    ("d", "deploy"),
    ("w", "why"),
    ("c", "copy address"),
    ("⇥", "pane"),
];

impl Canvas<'_> {
    pub(super) fn footer(&mut self) {
        let line = self.footer_line();
        self.put(self.layout.footer, 0, &line);
    }

    fn footer_line(&self) -> Line<'static> {
        let width = usize::from(self.layout.footer.width);
        if let Some(prompt) = &self.model.prompt {
            return Line::from(vec![
                Span::styled(" /", self.theme.key()),
                Span::raw(clean(prompt)),
                Span::styled(" ", Theme::selected(true)),
                Span::styled("  enter filters, esc leaves", Theme::dim()),
            ]);
        }
        if let Some(notice) = &self.model.notice {
            let style = if notice.is_error {
                self.theme.bad()
            } else {
                Theme::plain()
            };
            return Line::styled(format!(" {}", cut(&clean(&notice.text), width)), style);
        }
        let Some(job) = self.model.jobs.last() else {
            return self.hints(width);
        };
        let last = job.lines.last().map(|line| clean(line.trim()));
        let last = last.unwrap_or_default();
        let title = Span::styled(format!(" ▸ {} ", job.title), self.theme.key());
        if Some(job.id) != self.model.watching {
            return Line::from(vec![title, Span::styled(last, Theme::dim())]);
        }
        // It runs all the time, so the keys are shown beside it.
        let last = Span::styled(cut(&last, width / 2), Theme::dim());
        let room = width.saturating_sub(title.width() + last.width());
        let mut line = self.hints(room);
        line.spans.splice(0..0, [title, last, Span::raw(" ")]);
        line
    }

    /// Returns as many keys as there is room for.
    fn hints(&self, width: usize) -> Line<'static> {
        let mut spans = vec![Span::raw(" ")];
        let mut used = 1;
        let of_pane = match self.model.focus {
            Pane::Roles => ("space", "mark"),
            Pane::Logs => ("G", "follow"),
            Pane::Failures => ("⏎", "edit"),
        };
        let keys = KEYS[..2].iter().chain([&of_pane]).chain(&KEYS[2..]);
        for (key, meaning) in keys {
            let length = key.chars().count() + meaning.len() + 3;
            if used + length > width + 2 {
                break;
            }
            used += length;
            spans.push(Span::styled(*key, self.theme.key()));
            spans.push(Span::styled(format!(" {meaning}  "), Theme::dim()));
        }
        Line::from(spans)
    }
}
