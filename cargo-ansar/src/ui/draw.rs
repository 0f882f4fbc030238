//! Draws the model.

mod failures;
mod footer;
mod logs;
mod overlay;
mod roles;
#[cfg(test)]
mod tests;
pub mod theme;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};

use crate::host::terminal::screen::{Drawing, Link};
use crate::ui::draw::theme::Theme;
use crate::ui::layout::{Layout, Pane};
use crate::ui::model::Model;
use crate::ui::text::{cut, since};

/// A drawing of a model on a screen.
pub(super) struct Canvas<'a> {
    pub(super) model: &'a Model,
    pub(super) layout: Layout,
    pub(super) theme: Theme,
    pub(super) now: Timestamp,
    pub(super) zone: &'a TimeZone,
    pub(super) buffer: &'a mut Buffer,
    pub(super) links: &'a mut Vec<Link>,
}

/// Draws the model as it is at `now`, with times in `zone`.
pub fn draw(model: &Model, theme: Theme, now: Timestamp, zone: &TimeZone) -> Drawing {
    let (width, height) = model.size;
    let mut drawing = Drawing {
        cells: Buffer::empty(Rect::new(0, 0, width, height)),
        links: Vec::new(),
    };
    if drawing.cells.area.is_empty() {
        return drawing;
    }
    let mut canvas = Canvas {
        model,
        layout: model.layout(),
        theme,
        now,
        zone,
        buffer: &mut drawing.cells,
        links: &mut drawing.links,
    };
    canvas.title();
    canvas.headings();
    canvas.roles();
    canvas.details();
    canvas.logs();
    canvas.failures();
    canvas.footer();
    canvas.overlay();
    if model.overlay.is_some() {
        drawing.links.clear();
    }
    drawing
}

impl Canvas<'_> {
    /// Draws a line in a row; cuts it at the end of the area.
    pub(super) fn put(&mut self, area: Rect, row: u16, line: &Line<'_>) {
        if row < area.height {
            let width = area.width;
            self.buffer.set_line(area.x, area.y + row, line, width);
        }
    }

    /// Applies a style to a row.
    pub(super) fn style_row(&mut self, area: Rect, row: u16, style: Style) {
        let row = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        self.buffer.set_style(row.intersection(area), style);
    }

    /// Returns the time since `then`.
    pub(super) fn since(&self, then: Timestamp) -> String {
        since(then, self.now)
    }

    fn title(&mut self) {
        let area = self.layout.title;
        let mut spans = vec![
            Span::styled(" cargo ansar ", Theme::bold()),
            Span::styled(self.model.name.clone(), Theme::plain()),
        ];
        for (name, count) in self.model.snapshot.counts() {
            let style = match name {
                "ready" => self.theme.good(),
                "starting" => self.theme.warning(),
                _ => self.theme.bad(),
            };
            spans.push(Span::styled(" · ", Theme::dim()));
            spans.push(Span::styled(format!("{count} {name}"), style));
        }
        let right = format!("{} ", self.time(self.now, "%H:%M:%S"));
        let width = u16::try_from(right.len()).unwrap_or_default();
        let room = area.width.saturating_sub(width + 1);
        self.put(
            Rect {
                width: room,
                ..area
            },
            0,
            &Line::from(spans),
        );
        if area.width > 2 * width {
            let at = area.width - width;
            self.buffer.set_string(at, 0, right, Theme::dim());
        }
    }

    /// Returns a time in the zone of the user.
    pub(super) fn time(&self, at: Timestamp, format: &str) -> String {
        at.to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    /// Draws the headings of the panes, and the rules between them.
    fn headings(&mut self) {
        if self.layout.is_narrow {
            if self.model.size.1 > 1 {
                self.tabs();
            }
            return;
        }
        let layout = self.layout;
        let roles = self.heading(Pane::Roles, &self.roles_heading());
        let left = Rect {
            y: 1,
            height: 1,
            ..layout.roles
        };
        self.put(left, 0, &roles);
        let logs = self.heading(Pane::Logs, &self.logs_heading());
        let right = Rect {
            y: 1,
            height: 1,
            ..layout.logs
        };
        let inner = Rect {
            x: right.x + 1,
            width: right.width - 1,
            ..right
        };
        self.put(inner, 0, &logs);
        let separator = layout.roles.width;
        let bottom = layout.failures.y - 1;
        for y in 1..bottom {
            self.buffer.set_string(separator, y, "│", Theme::dim());
        }
        let width = usize::from(layout.title.width);
        self.buffer
            .set_string(0, bottom, "─".repeat(width), Theme::dim());
        self.buffer.set_string(separator, bottom, "┴", Theme::dim());
        let run = self.heading(Pane::Failures, "");
        let mut spans = run.spans;
        spans.push(Span::raw(" "));
        self.buffer
            .set_line(1, bottom, &Line::from(spans), layout.title.width);
    }

    fn heading(&self, pane: Pane, text: &str) -> Line<'static> {
        let has_focus = self.model.focus == pane;
        let name = match pane {
            Pane::Roles => " ROLES",
            Pane::Logs => "LOGS",
            Pane::Failures => " LAST RUN",
        };
        let style = self.theme.heading(has_focus);
        Line::from(vec![
            Span::styled(name, style),
            Span::styled(format!("  {text}"), Theme::dim()),
        ])
    }

    fn tabs(&mut self) {
        let area = Rect {
            y: 1,
            height: 1,
            ..self.layout.title
        };
        let third = area.width / 3;
        for (nth, (pane, name)) in [
            (Pane::Roles, "1 ROLES"),
            (Pane::Logs, "2 LOGS"),
            (Pane::Failures, "3 LAST RUN"),
        ]
        .into_iter()
        .enumerate()
        {
            let x = third * u16::try_from(nth).unwrap_or_default();
            let style = if self.model.focus == pane {
                Theme::selected(true)
            } else {
                Theme::dim()
            };
            let name = cut(&format!(" {name} "), usize::from(third));
            self.buffer.set_string(x, area.y, name, style);
        }
    }
}
