//! Two states of a text, side by side.

use similar::TextDiff;

/// How many lines around a change are shown.
const AROUND: usize = 3;

/// What becomes of a text: the hunks of a unified diff; nothing where it stays
/// what it is.
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
    fn what_changed_is_shown_with_what_is_around() {
        let before = "a\nb\nc\nd\ne\nf\n";
        let after = "a\nb\nc\nd\nx\nf";
        let expected = "@@ -2,5 +2,5 @@\n b\n c\n d\n-e\n-f\n+x\n+f\n";
        assert_eq!(diff(before, after), expected);
        assert_eq!(diff(before, before), "");
        assert_eq!(diff("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
    }
}
