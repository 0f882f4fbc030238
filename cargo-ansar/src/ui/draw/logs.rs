//! Draws the logs.

use ansar_contract::line::{Level, Tag};
use jiff::tz::TimeZone;
use ratatui_core::layout::Rect;
use ratatui_core::text::{Line, Span};
use regex::bytes::Regex;

use crate::logs::header::Stamp;
use crate::logs::window;
use crate::ui::draw::Canvas;
use crate::ui::draw::theme::Theme;
use crate::ui::text::{clean, cut, padded, skipped};

/// Most columns of the name of a role.
const LONGEST_NAME: usize = 16;
/// Fewest columns of the logs for times with milliseconds.
const WITH_MILLISECONDS: u16 = 70;

impl Canvas<'_> {
    pub(super) fn logs_heading(&self) -> String {
        let model = self.model;
        let mut names = model.marked.iter().map(ToString::to_string);
        let roles = match model.marked.len() {
            0 => "all".to_owned(),
            1..=2 => names.by_ref().collect::<Vec<_>>().join(", "),
            marked => format!("{marked} roles"),
        };
        let mut parts = vec![roles];
        if model.level != Level::Debug {
            parts.push(model.level.name().to_lowercase());
        }
        if let Some(pattern) = &model.pattern {
            parts.push(format!("/{}/", clean(pattern.as_str())));
        }
        parts.push(match (model.page.searching, model.page.follows) {
            (Some(stamp), _) => format!("searching {}", self.stamp(stamp, "%H:%M:%S")),
            (None, true) => "following".to_owned(),
            (None, false) if model.page.is_first => "the beginning".to_owned(),
            (None, false) => "scrolled".to_owned(),
        });
        parts.join(" · ")
    }

    pub(super) fn logs(&mut self) {
        let whole = self.layout.logs;
        if whole.height == 0 {
            return;
        }
        let area = if self.layout.is_narrow {
            whole
        } else {
            Rect {
                x: whole.x + 1,
                width: whole.width - 1,
                ..whole
            }
        };
        let page = &self.model.page;
        let is_one = self.model.marked.len() == 1;
        let names = page.lines.iter().map(|line| line.role.as_str().len());
        let name = names.max().unwrap_or_default();
        let name = if is_one {
            0
        } else {
            name.min(LONGEST_NAME).min(usize::from(area.width) / 4)
        };
        // A page that follows new lines stands at the bottom.
        let height = usize::from(area.height);
        let lines = page.lines.iter().rev().take(height).rev();
        let lines: Vec<Line<'_>> = lines
            .map(|line| self.log_line(line, name, area.width))
            .collect();
        for (row, line) in lines.iter().enumerate() {
            self.put(area, u16::try_from(row).unwrap_or(u16::MAX), line);
        }
        if lines.is_empty() && self.model.is_attached {
            let text = if self.model.pattern.is_some() || self.model.level != Level::Debug {
                "no line passes the filter: esc removes it"
            } else {
                "no line is stored"
            };
            self.put(area, 0, &Line::styled(text, Theme::dim()));
        }
    }

    fn log_line(&self, line: &window::Line, name: usize, width: u16) -> Line<'static> {
        let format = if width >= WITH_MILLISECONDS {
            "%H:%M:%S%.3f"
        } else {
            "%H:%M:%S"
        };
        let stamp = self.stamp(line.stamp, format);
        let nth = self
            .model
            .snapshot
            .roles
            .iter()
            .position(|role| role.name == line.role);
        let mut spans = vec![Span::styled(format!("{stamp} "), Theme::dim())];
        if name > 0 {
            let name = padded(line.role.as_str(), name);
            spans.push(Span::styled(
                format!("{name} "),
                self.theme.role(nth.unwrap_or_default()),
            ));
        }
        let text = clean(&line.text);
        let text = skipped(&text, self.model.hidden);
        let used: usize = spans.iter().map(Span::width).sum();
        let room = usize::from(width).saturating_sub(used);
        let style = self.theme.line(line.tag);
        let text = cut(text, room);
        let text = if line.tag == Tag::Continued {
            format!("  {text}")
        } else {
            text
        };
        match &self.model.pattern {
            Some(pattern) => spans.extend(matched(&text, pattern, style)),
            None => spans.push(Span::styled(text, style)),
        }
        Line::from(spans)
    }

    /// Returns the time of a stamp in the zone of the user.
    fn stamp(&self, stamp: Stamp, format: &str) -> String {
        let at = stamp
            .civil()
            .and_then(|at| TimeZone::UTC.to_timestamp(at).ok());
        at.map(|at| self.time(at, format)).unwrap_or_default()
    }
}

/// Returns a text with the matches of a pattern underlined.
fn matched(text: &str, pattern: &Regex, style: ratatui_core::style::Style) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut end = 0;
    for found in pattern.find_iter(text.as_bytes()) {
        let (Some(before), Some(inside)) = (text.get(end..found.start()), text.get(found.range()))
        else {
            continue;
        };
        spans.push(Span::styled(before.to_owned(), style));
        let underlined = style.add_modifier(ratatui_core::style::Modifier::UNDERLINED);
        spans.push(Span::styled(inside.to_owned(), underlined));
        end = found.end();
    }
    spans.push(Span::styled(text[end..].to_owned(), style));
    spans
}
