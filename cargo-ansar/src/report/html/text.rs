//! Escaping of untrusted text for the page.

use std::fmt;

use askama::filters::Escaper;

use crate::model::quoted::is_unseen;

/// The escaper of the template: markup is escaped, and invisible or reordering
/// characters are shown as numbers. For the content of elements, and for
/// attributes in double quotes.
#[derive(Debug, Clone, Copy)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => dest.write_str("&amp;")?,
                '<' => dest.write_str("&lt;")?,
                '>' => dest.write_str("&gt;")?,
                '"' => dest.write_str("&quot;")?,
                '\'' => dest.write_str("&#39;")?,
                '\n' | '\t' => dest.write_char(c)?,
                c if is_unseen(c) || is_shapeless(c) => write!(dest, "\\u{{{:x}}}", u32::from(c))?,
                c => dest.write_char(c)?,
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

    fn escaped(text: &str) -> String {
        let mut escaped = String::new();
        Visible.write_escaped_str(&mut escaped, text).unwrap();
        escaped
    }

    #[test]
    fn markup_and_what_is_unseen_are_shown() {
        assert_eq!(
            escaped("</script a='b' c=\"d\"> & \u{1b}[31m \u{202e}x\n"),
            "&lt;/script a=&#39;b&#39; c=&quot;d&quot;&gt; &amp; \\u{1b}[31m \\u{202e}x\n"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_escaped_is_markup(text: String) {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let ends = escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            let ends = ends.replace("&quot;", "").replace("&#39;", "");
            prop_assert!(!ends.contains('&'), "{}", ends);
        }
    }
}
