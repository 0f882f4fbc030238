//! Escaping of untrusted text for the page.

use std::fmt;

use crate::model::quoted::is_unseen;

/// Text that displays as HTML: markup is escaped, and invisible or reordering
/// characters are shown as numbers.
pub(super) struct Escaped<'t>(&'t str);

/// Escapes text for the content of an element or for an attribute in double
/// quotes.
pub(super) fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text)
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => write!(f, "{c}")?,
                c if is_unseen(c) || is_shapeless(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Returns true for characters without width.
fn is_shapeless(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{fff0}'..='\u{fff8}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_and_what_is_unseen_are_shown() {
        assert_eq!(
            escaped("</script a='b' c=\"d\"> & \u{1b}[31m \u{202e}x\n").to_string(),
            "&lt;/script a=&#39;b&#39; c=&quot;d&quot;&gt; &amp; \\u{1b}[31m \\u{202e}x\n"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_escaped_is_markup(text: String) {
            let escaped = escaped(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let ends = escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            let ends = ends.replace("&quot;", "").replace("&#39;", "");
            prop_assert!(!ends.contains('&'), "{}", ends);
        }
    }
}
