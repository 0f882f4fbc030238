//! Differences between two texts.

use similar::TextDiff;

/// Number of context lines around a change.
const AROUND: usize = 3;

/// Returns the hunks of a unified diff; empty if the texts are equal.
pub fn diff(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(AROUND)
        .missing_newline_hint(false)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_context() {
        let before = "a\nb\nc\nd\ne\nf\n";
        let after = "a\nb\nc\nd\nx\nf";
        let expected = "@@ -2,5 +2,5 @@\n b\n c\n d\n-e\n-f\n+x\n+f\n";
        assert_eq!(diff(before, after), expected);
        assert_eq!(diff(before, before), "");
        assert_eq!(diff("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
    }
}
