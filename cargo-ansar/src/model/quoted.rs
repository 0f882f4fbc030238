//! Untrusted values in messages: a message stays one readable line.

/// Most characters of a value that a message contains.
const MOST: usize = 120;

/// Escapes control characters of a value and cuts it if it is long.
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

/// Returns true for invisible characters that affect terminals and editors:
/// control characters, line and paragraph separators, direction marks, the byte
/// order mark, and noncharacters.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}')
}

/// Formats words for a message: in backquotes, separated by commas.
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
