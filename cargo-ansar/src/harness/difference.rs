//! The message of a failed assertion: short values in one line, long ones as the
//! difference of their lines.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

/// Longest value, in bytes, that is shown in one line.
const INLINE: usize = 100;

/// Returns the message of a panic as it is shown.
pub(super) fn shown(message: &str) -> String {
    let Some(assertion) = Assertion::parse(message) else {
        return message.to_owned();
    };
    let Assertion { head, left, right } = assertion;
    let is_short =
        |text: &str| text.len() <= INLINE && !text.contains("\\n") && !text.contains('\n');
    if is_short(left) && is_short(right) {
        return format!("{head}, left: {left}, right: {right}");
    }
    if !head.contains("`left == right`") {
        return message.to_owned();
    }
    let (left, right) = (lines(left), lines(right));
    let diff = TextDiff::from_lines(left.as_str(), right.as_str());
    let mut text = format!("{head}: left (-) and right (+) differ:");
    for group in diff.grouped_ops(2) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = change.value();
            let _ = write!(text, "\n{sign} {}", line.strip_suffix('\n').unwrap_or(line));
        }
    }
    text
}

/// A message of `assert_eq!` or `assert_ne!`.
struct Assertion<'a> {
    /// The first line.
    head: &'a str,
    left: &'a str,
    right: &'a str,
}

impl<'a> Assertion<'a> {
    fn parse(message: &'a str) -> Option<Self> {
        if !message.starts_with("assertion `left ") {
            return None;
        }
        let (head, values) = message.split_once("\n  left: ")?;
        let (left, right) = values.rsplit_once("\n right: ")?;
        Some(Self { head, left, right })
    }
}

/// Returns a value in its debug form with a line for each of its parts. Line
/// feeds in texts end a line, too.
fn lines(debug: &str) -> String {
    let mut out = String::new();
    let mut depth: usize = 0;
    let mut chars = debug.chars().peekable();
    let mut is_text = false;
    let end_line = |out: &mut String, depth: usize| {
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_text => match chars.next() {
                Some('n') => out.push('\n'),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            '"' => {
                is_text = !is_text;
                out.push('"');
            }
            _ if is_text => out.push(c),
            '{' | '[' | '('
                if chars
                    .peek()
                    .is_some_and(|next| !matches!(next, '}' | ']' | ')')) =>
            {
                depth += 1;
                out.push(c);
                end_line(&mut out, depth);
                chars.next_if_eq(&' ');
            }
            '}' | ']' | ')' if !out.ends_with(['{', '[', '(']) => {
                depth = depth.saturating_sub(1);
                end_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(',');
                end_line(&mut out, depth);
                chars.next_if_eq(&' ');
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_stand_in_one_line() {
        let message = "assertion `left == right` failed: sum\n  left: 200\n right: 409";
        assert_eq!(
            shown(message),
            "assertion `left == right` failed: sum, left: 200, right: 409"
        );
        for other in ["boom", "assertion `left == right` failed"] {
            assert_eq!(shown(other), other);
        }
    }

    #[test]
    fn texts_of_several_lines_are_a_difference() {
        let message =
            "assertion `left == right` failed\n  left: \"a\\nb\\nc\"\n right: \"a\\nx\\nc\"";
        assert_eq!(
            shown(message),
            "assertion `left == right` failed: left (-) and right (+) differ:\n  \"a\n- b\n+ x\n  c\""
        );
    }

    #[test]
    fn long_values_are_a_difference_of_their_parts() {
        let value = |number| {
            format!(
                "Order {{ id: 1, items: [\"a, b\", \"{}\"], total: {number} }}",
                "x".repeat(90)
            )
        };
        let message = format!(
            "assertion `left == right` failed\n  left: {}\n right: {}",
            value(7),
            value(8)
        );
        let shown = shown(&message);
        assert!(
            shown.ends_with("\n-   total: 7\n+   total: 8\n  }"),
            "{shown}"
        );
        assert!(!shown.contains("id: 1"), "{shown}");
        assert_eq!(
            lines("[(), {}, Some(1)]"),
            "[\n  (),\n  {},\n  Some(\n    1\n  )\n]"
        );
    }
}
