//! Draws the last run and its failures.

use ansar_contract::line;
use ratatui_core::layout::Rect;
use ratatui_core::text::{Line, Span};

use crate::host::terminal::screen::Link;
use crate::model::run_report::{Failure, RunReport, Standing};
use crate::ui::draw::Canvas;
use crate::ui::draw::theme::Theme;
use crate::ui::layout::Pane;
use crate::ui::text::{clean, cut};

impl Canvas<'_> {
    pub(super) fn failures(&mut self) {
        let area = self.layout.failures;
        if area.height == 0 {
            return;
        }
        let verdict = self.verdict();
        self.put(area, 0, &verdict);
        let width = usize::from(area.width);
        let mut row = 1;
        let selected = self.model.failure;
        let first = self.model.top_failure();
        let failures = self.model.failures().iter().enumerate().skip(first);
        for (nth, failure) in failures {
            if row >= area.height {
                break;
            }
            let is_selected = nth == selected;
            let line = self.failure(failure, is_selected);
            self.put(area, row, &line);
            if !self.model.has_editor {
                self.link(area, row, &line, failure);
            }
            if is_selected {
                let has_focus = self.model.focus == Pane::Failures;
                self.style_row(area, row, Theme::selected(has_focus));
            }
            row += 1;
            if is_selected {
                for line in self.context(failure, width) {
                    self.put(area, row, &line);
                    row += 1;
                }
            }
        }
    }

    fn verdict(&self) -> Line<'static> {
        let Some(last) = &self.model.last_run else {
            return Line::styled(" no run yet: t runs the tests", Theme::dim());
        };
        let report = &last.report;
        let (symbol, style) = if report.interrupted {
            ("⊘", self.theme.warning())
        } else if report.is_pass() {
            ("✓", self.theme.good())
        } else {
            ("✗", self.theme.bad())
        };
        let facts = format!(
            " · {} · {:.1} s · {} ago",
            clean(&report.command),
            report.elapsed,
            self.since(last.at)
        );
        Line::from(vec![
            Span::styled(format!(" {symbol} {}", summary(report)), style),
            Span::styled(facts, Theme::dim()),
        ])
    }

    fn failure(&self, failure: &Failure, is_selected: bool) -> Line<'static> {
        let mark = if is_selected { " ▸ " } else { "   " };
        let place = failure.place();
        let place = self.model.shown_path(&failure.source).to_owned()
            + place.get(failure.source.len()..).unwrap_or_default();
        // Failures of a role itself begin with its name.
        let is_named = failure.headline().starts_with(failure.role.as_str());
        let role = if is_named {
            String::new()
        } else {
            format!("{} ", failure.role)
        };
        Line::from(vec![
            Span::styled(mark, self.theme.key()),
            Span::styled(clean(&place), self.theme.warning()),
            Span::raw(" "),
            Span::styled(role, Theme::dim()),
            Span::raw(clean(failure.headline())),
        ])
    }

    /// Makes the place of a failure, in its line in this row, a link.
    fn link(&mut self, area: Rect, row: u16, line: &Line<'_>, failure: &Failure) {
        let mut widths = line.spans.iter().map(Span::width);
        let mut width = || u16::try_from(widths.next().unwrap_or_default()).unwrap_or(u16::MAX);
        let (mark, place) = (width(), width());
        let place = Rect::new(area.x.saturating_add(mark), area.y + row, place, 1);
        self.links.push(Link {
            area: place.intersection(area),
            file: failure.source.clone().into(),
        });
    }

    /// Returns the lines below a selected failure.
    fn context(&self, failure: &Failure, width: usize) -> Vec<Line<'static>> {
        let details = failure.details().map(|line| {
            let style = match line.trim_start().chars().next() {
                Some('+') => self.theme.good(),
                Some('-') => self.theme.bad(),
                _ => Theme::plain(),
            };
            Line::styled(format!("     {}", cut(&clean(line), width)), style)
        });
        let records = failure.context.iter().flat_map(|record| {
            let lines = record.text.lines();
            lines.map(|text| {
                let parsed = line::Line::parse(text);
                let (time, text) = match &parsed {
                    Some(line) => (line.stamp.get(11..).unwrap_or_default(), line.text),
                    None => ("", text),
                };
                let text = format!("     {time} {} {}", record.role, clean(text));
                Line::styled(cut(&text, width), Theme::dim())
            })
        });
        details.chain(records).collect()
    }
}

/// Returns the outcome of a run in a few words.
fn summary(report: &RunReport) -> String {
    let count = |count: usize, what: &str| {
        let end = if count == 1 { "" } else { "s" };
        format!("{count} {what}{end}")
    };
    let all = report.passed + report.failed;
    let [broken, skipped] = [Standing::Unreported, Standing::NotRun].map(|it| report.count(it));
    let mut parts = Vec::new();
    if report.interrupted {
        parts.push("interrupted".to_owned());
    }
    if report.failed > 0 {
        parts.push(format!("{} of {all} checks failed", report.failed));
    }
    if broken > 0 {
        parts.push(format!("{} without a report", count(broken, "role")));
    }
    if skipped > 0 {
        parts.push(format!("{} not run", count(skipped, "role")));
    }
    if report.failed == 0 {
        let passed = usize::try_from(report.passed).unwrap_or(usize::MAX);
        parts.push(format!("{} passed", count(passed, "check")));
    }
    parts.join(", ")
}
