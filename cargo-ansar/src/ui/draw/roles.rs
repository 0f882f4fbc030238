//! Draws the list of roles, and the details of the selected one.

use ratatui_core::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::protocol::Host;
use crate::ui::draw::Canvas;
use crate::ui::draw::theme::{Theme, symbol};
use crate::ui::layout::Pane;
use crate::ui::role_list::Row;
use crate::ui::snapshot::{Role, State};
use crate::ui::text::{clean, cut, padded, percent, size};

/// Columns of the mark, the symbol and the spaces around it.
const MARGIN: usize = 4;
/// Fewest columns of a name.
const LEAST_NAME: usize = 10;
const STATE: usize = 10;

/// A column behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Uptime,
    Cpu,
    Memory,
    Restarts,
    Address,
}

impl Column {
    /// All columns with their widths, the most useful first.
    const ALL: [(Self, usize); 5] = [
        (Self::Uptime, 5),
        (Self::Cpu, 6),
        (Self::Memory, 6),
        (Self::Address, 17),
        (Self::Restarts, 4),
    ];
}

impl Canvas<'_> {
    pub(super) fn roles_heading(&self) -> String {
        let roles = self.model.snapshot.roles.len();
        match self.model.marked.len() {
            _ if !self.model.is_attached => "attaching…".to_owned(),
            0 => roles.to_string(),
            marked => format!("{roles}, {marked} marked"),
        }
    }

    pub(super) fn roles(&mut self) {
        let area = self.layout.roles;
        let (name, columns) = self.columns(usize::from(area.width));
        let list = &self.model.list;
        let rows = list.rows.iter().enumerate().skip(list.top);
        let rows: Vec<_> = rows.take(usize::from(area.height)).collect();
        for (row, (nth, content)) in rows.into_iter().enumerate() {
            let row = u16::try_from(row).unwrap_or(u16::MAX);
            let line = match content {
                Row::Group {
                    group,
                    roles,
                    ready,
                } => Line::from(vec![
                    Span::styled(format!(" {} ", group.name()), Theme::bold()),
                    Span::styled(format!("{ready}/{roles}"), Theme::dim()),
                ]),
                Row::Role(role) => match self.model.snapshot.role(role) {
                    Some(role) => self.role_row(role, name, &columns, area.width),
                    None => Line::default(),
                },
            };
            self.put(area, row, &line);
            if nth == list.selected {
                let has_focus = self.model.focus == Pane::Roles;
                self.style_row(area, row, Theme::selected(has_focus));
            }
        }
        if list.rows.is_empty() && self.model.is_attached {
            let hint = Line::styled(" no role: d deploys", Theme::dim());
            self.put(area, 0, &hint);
        }
    }

    /// Returns the width of names, and the columns that there is room for.
    fn columns(&self, width: usize) -> (usize, Vec<(Column, usize)>) {
        let names = self.model.snapshot.roles.iter();
        let longest = names.map(|role| role.name.as_str().len()).max();
        let longest = longest.unwrap_or_default();
        let mut free =
            width.saturating_sub(MARGIN + STATE + longest.min(LEAST_NAME.max(width / 3)));
        let mut columns = Vec::new();
        for (column, width) in Column::ALL {
            if width < free {
                free -= width + 1;
                columns.push((column, width));
            }
        }
        let used: usize = columns.iter().map(|(_, width)| width + 1).sum();
        let room = width.saturating_sub(MARGIN + STATE + used);
        (longest.min(room), columns)
    }

    fn role_row(
        &self,
        role: &Role,
        name: usize,
        columns: &[(Column, usize)],
        width: u16,
    ) -> Line<'static> {
        let style = self.theme.state(role.state);
        let is_marked = self.model.marked.contains(&role.name);
        let mark = if is_marked { "▌" } else { " " };
        let mut spans = vec![
            Span::styled(mark, self.theme.key()),
            Span::styled(format!("{} ", symbol(role.state)), style),
            Span::raw(format!("{} ", padded(role.name.as_str(), name))),
            Span::styled(padded(role.state.name(), STATE), style),
        ];
        let used = MARGIN + name + STATE;
        let room = usize::from(width).saturating_sub(used + 1);
        let is_explained = !matches!(role.state, State::Ready | State::Stopped | State::Done);
        if let (true, Some(reason)) = (is_explained && room > 12, &role.reason) {
            let text = cut(&clean(reason), room);
            spans.push(Span::styled(format!(" {text}"), Theme::dim()));
            return Line::from(spans);
        }
        for (column, width) in columns {
            let (text, is_left) = self.cell(role, *column);
            let (text, width) = (cut(&text, *width), *width);
            let text = if is_left {
                format!(" {}", padded(&text, width))
            } else {
                let missing = width.saturating_sub(text.width());
                format!(" {}{text}", " ".repeat(missing))
            };
            spans.push(Span::styled(text, Theme::dim()));
        }
        Line::from(spans)
    }

    /// Returns the text of a cell; true if it is aligned to the left.
    fn cell(&self, role: &Role, column: Column) -> (String, bool) {
        let usage = role.usage.as_ref();
        let text = match column {
            Column::Uptime => role.since.map(|since| self.since(since)),
            Column::Cpu => usage.map(|usage| percent(usage.cpu)),
            Column::Memory => usage.map(|usage| size(usage.memory)),
            Column::Restarts => (role.restarts > 0).then(|| format!("↻{}", role.restarts)),
            Column::Address => {
                let mut addresses = role.addresses.iter();
                addresses.next().map(|(_, address)| address.to_string())
            }
        };
        (text.unwrap_or_default(), column == Column::Address)
    }

    pub(super) fn details(&mut self) {
        let area = self.layout.details;
        if area.height == 0 {
            return;
        }
        self.buffer.set_string(
            area.x,
            area.y,
            "╌".repeat(usize::from(area.width)),
            Theme::dim(),
        );
        let Some(role) = self.model.role() else {
            return;
        };
        let width = usize::from(area.width).saturating_sub(2);
        let lines = self.detail_lines(role);
        for (row, (text, style)) in (1..).zip(lines) {
            let line = Line::styled(format!(" {}", cut(&text, width)), style);
            self.put(area, row, &line);
        }
    }

    /// Returns the details of a role, the most useful first.
    fn detail_lines(&self, role: &Role) -> Vec<(String, ratatui_core::style::Style)> {
        let mut lines = Vec::new();
        let since = role.since.map(|since| format!(" {}", self.since(since)));
        let state = format!(
            "{} · {}{}",
            role.name,
            role.state,
            since.unwrap_or_default()
        );
        lines.push((state, Theme::bold()));
        if let Some(reason) = &role.reason {
            lines.push((clean(reason), self.theme.state(role.state)));
        }
        let mut facts: Vec<String> = role
            .addresses
            .iter()
            .map(|(name, address)| match name.as_str() {
                "port" => address.to_string(),
                name => format!("{name} {address}"),
            })
            .collect();
        if let Some(usage) = role.usage {
            facts.push(format!("{} {}", percent(usage.cpu), size(usage.memory)));
        }
        if !facts.is_empty() {
            lines.push((facts.join(" · "), Theme::plain()));
        }
        let mut rest = vec![role.executable.to_string()];
        rest.extend(role.pid.map(|pid| format!("process {pid}")));
        if let Some((engine, host)) = role.engine {
            rest.push(match host {
                Host::Background => "background".to_owned(),
                Host::Foreground => format!("foreground {engine}"),
                Host::Attached => "watch".to_owned(),
                Host::Agent => format!("agent {engine}"),
            });
        }
        if role.restarts > 0 {
            rest.push(format!("{} restarts", role.restarts));
        }
        if role.lost > 0 {
            rest.push(format!("{} lines lost", role.lost));
        }
        lines.push((rest.join(" · "), Theme::dim()));
        lines
    }
}
