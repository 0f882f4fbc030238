//! Converting byte offsets of a text to lines and columns.

use crate::model::text::floor_char_boundary;

/// Start offsets of the lines of a text.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// Returns the whole text.
    pub(crate) fn text(&self) -> &str {
        self.text
    }

    /// Returns the line and column of a byte offset, both from 1. A column
    /// counts characters, as editors do, without a byte order mark. An offset
    /// beyond the text is treated as its end.
    pub(crate) fn place(&self, offset: usize) -> (u32, u32) {
        let offset = floor_char_boundary(self.text, offset);
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let before = &self.text[start..offset];
        let before = if start == 0 {
            before.trim_start_matches('\u{feff}')
        } else {
            before
        };
        (number(line), number(before.chars().count() + 1))
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns() {
        let lines = Lines::new("ab\r\né=1\n");
        for (offset, expected) in [
            (0, (1, 1)),
            (3, (1, 4)),
            (4, (2, 1)),
            (5, (2, 1)),
            (6, (2, 2)),
            (9, (3, 1)),
            (99, (3, 1)),
        ] {
            assert_eq!(lines.place(offset), expected, "{offset}");
        }
        assert_eq!(Lines::new("\u{feff}ab").place(4), (1, 2));
        assert_eq!(Lines::new("").place(0), (1, 1));
    }
}
