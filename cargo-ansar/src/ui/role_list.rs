//! The list of roles by tag: its rows, its selection, and what is visible.

use std::collections::BTreeMap;

use crate::model::name::RoleName;
use crate::ui::snapshot::{Role, Snapshot, State};

/// A group of roles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Operational roles whose first tag this is.
    Tag(String),
    /// Operational roles without a tag.
    Untagged,
    /// Test roles.
    Tests,
}

impl Group {
    fn of(role: &Role) -> Self {
        match role.tags.first() {
            _ if role.is_test => Self::Tests,
            Some(tag) => Self::Tag(tag.clone()),
            None => Self::Untagged,
        }
    }

    /// Returns the name that is shown.
    pub fn name(&self) -> &str {
        match self {
            Self::Tag(tag) => tag,
            Self::Untagged => "roles",
            Self::Tests => "tests",
        }
    }
}

/// A row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The heading of a group.
    Group {
        /// The group.
        group: Group,
        /// Number of roles in it.
        roles: usize,
        /// Number of roles that are ready, or done.
        ready: usize,
    },
    /// A role.
    Role(RoleName),
}

impl Row {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Group { group: one, .. }, Self::Group { group: other, .. }) => one == other,
            (Self::Role(one), Self::Role(other)) => one == other,
            _ => false,
        }
    }
}

/// The list of roles.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoleList {
    /// The rows.
    pub rows: Vec<Row>,
    /// Index of the selected row.
    pub selected: usize,
    /// Index of the first visible row.
    pub top: usize,
}

impl RoleList {
    /// Replaces the roles. The selected row stays selected.
    pub(super) fn replace(&mut self, snapshot: &Snapshot) {
        let mut groups: BTreeMap<Group, Vec<&Role>> = BTreeMap::new();
        for role in &snapshot.roles {
            groups.entry(Group::of(role)).or_default().push(role);
        }
        let has_headings = groups.len() > 1;
        let mut rows = Vec::with_capacity(snapshot.roles.len() + groups.len());
        for (group, roles) in groups {
            if has_headings {
                let ready = roles.iter();
                let ready = ready.filter(|role| matches!(role.state, State::Ready | State::Done));
                rows.push(Row::Group {
                    group,
                    roles: roles.len(),
                    ready: ready.count(),
                });
            }
            rows.extend(roles.iter().map(|role| Row::Role(role.name.clone())));
        }
        let before = self.rows.get(self.selected);
        let same = before.and_then(|before| rows.iter().position(|row| row.is_same(before)));
        let first = rows.iter().position(|row| matches!(row, Row::Role(_)));
        let fallback = if self.rows.is_empty() { first } else { None };
        let last = rows.len().saturating_sub(1);
        self.selected = same.or(fallback).unwrap_or(self.selected).min(last);
        self.rows = rows;
    }

    /// Moves the selection by a number of rows.
    pub(super) fn step(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }

    /// Makes the selected row visible in `height` rows.
    pub(super) fn reveal(&mut self, height: usize) {
        let lowest = (self.selected + 1).saturating_sub(height);
        let highest = self.rows.len().saturating_sub(height);
        self.top = self.top.clamp(lowest, self.selected.max(lowest));
        self.top = self.top.min(highest.max(lowest));
        // The heading of the first role.
        if self.selected == 1 && height > 1 && self.top == 1 {
            self.top = 0;
        }
    }

    /// Returns the selected role.
    pub fn role(&self) -> Option<&RoleName> {
        match self.rows.get(self.selected) {
            Some(Row::Role(role)) => Some(role),
            _ => None,
        }
    }

    /// Returns the selected role, or the roles of the selected group.
    pub fn selection(&self) -> Vec<RoleName> {
        match self.rows.get(self.selected) {
            Some(Row::Role(role)) => vec![role.clone()],
            Some(Row::Group { .. }) => {
                let below = self.rows[self.selected + 1..].iter();
                let roles = below.map_while(|row| match row {
                    Row::Role(role) => Some(role.clone()),
                    Row::Group { .. } => None,
                });
                roles.collect()
            }
            None => Vec::new(),
        }
    }
}
