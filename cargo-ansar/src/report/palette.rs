//! Colours of the log lines of roles.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};

use crate::model::name::RoleName;

/// Colours that differ from each other and from those of warnings and errors.
const COLORS: [AnsiColor; 8] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Green,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightGreen,
    AnsiColor::BrightBlue,
];

/// Colours of roles, assigned in the order of their first lines.
#[derive(Debug, Default)]
pub(super) struct Palette(BTreeMap<RoleName, usize>);

impl Palette {
    /// Returns the style of a role.
    pub(super) fn style(&mut self, role: &RoleName) -> Style {
        let next = self.0.len();
        let nth = match self.0.get(role) {
            Some(nth) => *nth,
            None => *self.0.entry(role.clone()).or_insert(next),
        };
        COLORS[nth % COLORS.len()].on_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_keeps_its_colour_and_the_first_ones_have_their_own() {
        let role = |number: usize| format!("role-{number}").parse::<RoleName>().unwrap();
        let mut palette = Palette::default();
        let styles: Vec<_> = (0..9).map(|number| palette.style(&role(number))).collect();
        for (nth, style) in styles.iter().enumerate().take(8) {
            assert!(!styles[..nth].contains(style));
            assert_eq!(palette.style(&role(nth)), *style);
        }
        assert_eq!(styles[8], styles[0]);
    }
}
