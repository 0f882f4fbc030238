//! How a value that somebody wrote stands in a message.
//!
//! Owns the promise that a message stays one readable line, whatever the value
//! holds. Does not know where the value comes from.

/// The most characters of a value that a message repeats.
const MOST: usize = 120;

/// The value with control characters escaped and a long end cut off.
pub(crate) fn escaped(value: &str) -> String {
    let mut out = String::new();
    for (count, c) in value.chars().enumerate() {
        if count == MOST {
            out.push('…');
            break;
        }
        if is_unseen(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Returns true for characters that are not seen and act on what reads them:
/// control characters, separators of lines and paragraphs, marks of direction,
/// the mark of byte order, and what is no character.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}')
}

/// Words as they stand in a message: each back-quoted, with commas.
pub(crate) fn quoted_list<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = words
        .into_iter()
        .map(|word| format!("`{}`", escaped(word.as_ref())))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_on_one_line() {
        assert_eq!(escaped("a\nb\0"), "a\\nb\\u{0}");
        assert_eq!(escaped(&"é".repeat(1000)).chars().count(), MOST + 1);
        assert_eq!(quoted_list(["a", "b"]), "`a`, `b`");
    }
}
