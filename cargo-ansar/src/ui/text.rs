//! Short texts of durations and sizes, and text in a number of columns.

use std::time::Duration;

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::report::untrusted::Filter;

/// Returns text of another program as one line without colours, with visible
/// control characters.
pub(super) fn clean(text: &str) -> String {
    let filter = Filter {
        colors: false,
        runner: false,
    };
    filter.line(text).replace('\t', "    ")
}

/// Returns the time from `then` to `now`.
pub(super) fn since(then: Timestamp, now: Timestamp) -> String {
    let since = now.duration_since(then);
    duration(since.try_into().unwrap_or_default())
}

/// Returns a duration in at most four characters: `12s`, `3m`, `2h`, `4d`.
fn duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = duration.as_secs();
    let unit = UNITS.into_iter().find(|(length, _)| seconds >= *length);
    let (length, unit) = unit.unwrap_or((1, "s"));
    format!("{}{unit}", seconds / length)
}

/// Returns a size in at most five characters: `512K`, `35M`, `1.2G`.
pub(super) fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        0..MIB => format!("{}K", bytes >> 10),
        MIB..=1_048_575_999 => format!("{}M", bytes / MIB),
        _ => format!("{}.{}G", bytes >> 30, ((bytes % (1 << 30)) * 10) >> 30),
    }
}

/// Returns a share of a core in at most five characters.
pub(super) fn percent(percent: f64) -> String {
    if percent < 9.95 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

/// Returns the beginning of a text in at most `width` columns. A cut text ends
/// with `…`.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        cut.push(c);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// Returns a text in exactly `width` columns.
pub(super) fn padded(text: &str, width: usize) -> String {
    let mut text = cut(text, width);
    let missing = width.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// Returns a text without its first `columns` columns.
pub(super) fn skipped(text: &str, columns: usize) -> &str {
    let mut left = columns;
    for (at, c) in text.char_indices() {
        if left == 0 {
            return &text[at..];
        }
        left = left.saturating_sub(c.width().unwrap_or(0));
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_short() {
        let durations = [0, 59, 60, 3_599, 3_600, 86_399, 86_400].map(Duration::from_secs);
        assert_eq!(
            durations.map(duration),
            ["0s", "59s", "1m", "59m", "1h", "23h", "1d"]
        );
        let sizes = [0, 700 << 10, 35 << 20, 999 << 20, (1 << 30) + (1 << 28)];
        assert_eq!(sizes.map(size), ["0K", "700K", "35M", "999M", "1.2G"]);
        assert_eq!(
            [0.04, 9.9, 9.96, 102.4].map(percent),
            ["0.0%", "9.9%", "10%", "102%"]
        );
    }

    #[test]
    fn texts_fit_their_columns() {
        assert_eq!(padded("äpi", 5), "äpi  ");
        assert_eq!(padded("server-0", 5), "serv…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("x", 0), "");
        assert_eq!(skipped("日本語", 2), "本語");
        assert_eq!(skipped("ab", 9), "");
        assert_eq!(clean("\x1b[31mred\x1b[0m\tx\x07"), "red    x\\x07");
    }
}
