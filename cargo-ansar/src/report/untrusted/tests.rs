//! Tests of texts that try to act on a terminal or on the runner of a CI.

use proptest::prelude::*;

use crate::report::untrusted::*;

const PLAIN: Filter = Filter {
    colors: false,
    runner: false,
};
const COLORED: Filter = Filter {
    colors: true,
    runner: false,
};
const RUNNER: Filter = Filter {
    colors: false,
    runner: true,
};

#[test]
fn what_acts_on_a_terminal_is_shown_by_its_number() {
    for (text, shown) in [
        (&b"\x1b[2J\x1b[H"[..], r"\x1b[2J\x1b[H"),
        (b"\x1b]52;c;ZXZpbA==\x07", r"\x1b]52;c;ZXZpbA==\x07"),
        (b"\x1b]0;title\x1b\\", r"\x1b]0;title\x1b\"),
        (b"10%\r20%", r"10%\r20%"),
        (b"over\x08\x08\x7f", r"over\x08\x08\x7f"),
        ("\u{9b}2J \u{85}".as_bytes(), r"\u{9b}2J \u{85}"),
        (b"\x9b2J \xff", r"\x9b2J \xff"),
        (
            "a\u{202e}b\u{2066}c\u{2028}".as_bytes(),
            r"a\u{202e}b\u{2066}c\u{2028}",
        ),
        ("\u{61c}\u{feff}".as_bytes(), r"\u{61c}\u{feff}"),
        (b"\0\t\x0b", "\\x00\t\\x0b"),
        // Sequences that end with `m`, but are not colours.
        (b"\x1b[>4;2m \x1b[?1m \x1b(m", r"\x1b[>4;2m \x1b[?1m \x1b(m"),
        ("größer – °C 漢字 👩‍💻".as_bytes(), "größer – °C 漢字 👩‍💻"),
    ] {
        for filter in [PLAIN, COLORED, RUNNER] {
            assert_eq!(filter.lines(text), shown);
        }
    }
}

#[test]
fn a_line_end_stays_among_lines_and_is_shown_in_one() {
    assert_eq!(PLAIN.lines(b"a\r\nb\rc\n\xff"), "a\nb\\rc\n\\xff");
    assert_eq!(PLAIN.line("a\r\nb\rc\n"), "a\\r\\nb\\rc\\n");
}

#[test]
fn colours_pass_where_there_are_colours_and_end_with_their_line() {
    let text = b"\x1b[1;31mred\nplain \x1b[38:2::1:2:3mblue\x1b[0m\n\x1b[4munder\x1b[m";
    assert_eq!(PLAIN.lines(text), "red\nplain blue\nunder");
    assert_eq!(
        COLORED.lines(text),
        "\x1b[1;31mred\x1b[0m\nplain \x1b[38:2::1:2:3mblue\x1b[0m\n\x1b[4munder\x1b[m"
    );
    assert_eq!(COLORED.line("\x1b[7ma\nb"), "\x1b[7ma\x1b[0m\\nb");
}

#[test]
fn a_runner_finds_no_command() {
    for (text, shown) in [
        ("::error::x\n", "\\x3a:error::x\n"),
        (" \u{a0}\t::add-mask::y", " \u{a0}\t\\x3a:add-mask::y"),
        ("a::b\nc ##[error]d", "a::b\nc #\\x23[error]d"),
        ("###[group]##[x]", "##\\x23[group]#\\x23[x]"),
        ("x ##vso[task.complete]", "x #\\x23vso[task.complete]"),
        ("## a title", "## a title"),
    ] {
        assert_eq!(RUNNER.lines(text.as_bytes()), shown);
        assert_eq!(PLAIN.lines(text.as_bytes()), text);
    }
    assert_eq!(RUNNER.line("::a\n::b"), "\\x3a:a\\n::b");
}

#[test]
fn json_means_the_same() {
    let text = "a\u{9b}\u{202e}\u{7f}##[error]\u{1b}";
    let json = serde_json::to_string(text).unwrap();
    for filter in [PLAIN, COLORED, RUNNER] {
        let shown = filter.json(&json);
        assert!(!shown.chars().any(is_unseen), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
    assert!(!RUNNER.json(&json).contains("##["));
}

/// Generates bytes with many special ones.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<Vec<u8>>(),
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        prop::sample::select(vec![
            "\x1b", "[", "31m", "\x1b[0m", "\r", "\n", "\u{9b}", "\u{2028}", "::", "##[", "#", ":",
            " ", "\t", "plain",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// Returns the text without its colour sequences.
fn without_colors(text: &str) -> String {
    let sequence = regex::Regex::new("\x1b\\[[0-9;:]*m").unwrap();
    sequence.replace_all(text, "").into_owned()
}

fn is_safe(c: char) -> bool {
    c == '\t' || !is_unseen(c)
}

proptest! {
    #[test]
    fn nothing_that_is_shown_acts_on_a_terminal(text in any_text(), colors: bool, runner: bool) {
        let filter = Filter { colors, runner };
        let shown = filter.lines(&text);
        let ends = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
        prop_assert_eq!(ends(shown.as_bytes()), ends(&text));
        for line in shown.split('\n') {
            prop_assert!(line.rfind("\x1b[").is_none_or(|at| {
                let last = &line[at..];
                last.starts_with(RESET) || last.starts_with("\x1b[m")
            }), "{:?}", line);
        }
        if runner {
            prop_assert!(!COMMANDS.iter().any(|command| shown.contains(command)));
        }
        let plain = if colors { without_colors(&shown) } else { shown.into_owned() };
        prop_assert!(plain.chars().all(|c| c == '\n' || is_safe(c)), "{:?}", plain);
        if runner {
            prop_assert!(!plain.lines().any(|line| line.trim_start().starts_with("::")));
        }

        let text = String::from_utf8_lossy(&text);
        let line = filter.line(&text);
        prop_assert!(without_colors(&line).chars().all(is_safe), "{:?}", line);
    }

    #[test]
    fn printable_text_stays_as_it_is(text in "[ -~äöü–漢\t\n]*") {
        prop_assert_eq!(PLAIN.lines(text.as_bytes()), text.as_str());
    }
}
