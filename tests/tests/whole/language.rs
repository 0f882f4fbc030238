//! The language of code and documents.
//!
//! A doc comment states what an item is or does: it begins with a verb in the
//! third person or with a noun. A few may begin with a question word, where it is
//! the best sentence; many of them make a text that has to be deciphered.

use std::fs;
use std::path::Path;

use ignore::WalkBuilder;
use regex::Regex;
use tests::repository;

/// Words that a doc comment should not begin with.
const OPENINGS: &str = r"^(?:What|Whether|How|Why|Who|Whom|Whose|When|Where|Which)\b";

/// Largest share of doc comments that may begin with such a word, in percent.
const LIMIT: usize = 5;

/// Words without a place in plain technical English, in pieces: otherwise, this
/// file would contain them.
const BANNED: [&str; 7] = [
    concat!("who", "ever"),
    concat!("whom", "ever"),
    concat!("some", "body"),
    concat!("no", "body"),
    concat!("what", "ever"),
    concat!("no", r"\s+one['’]s"),
    concat!("such", r"\s+a\s+one"),
];

/// Files with words that people read.
const EXTENSIONS: [&str; 6] = ["rs", "md", "toml", "html", "css", "yml"];

/// A file of the repository.
struct Text {
    /// Path relative to the repository.
    path: String,
    content: String,
}

/// Returns every file with one of these extensions that Git does not ignore,
/// sorted by path.
fn files(extensions: &[&str]) -> Vec<Text> {
    let mut walk = WalkBuilder::new(repository());
    walk.hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_path(Path::cmp);
    let mut texts = Vec::new();
    for entry in walk.build() {
        let entry = entry.expect("the repository can be read");
        let extension = entry.path().extension().and_then(|it| it.to_str());
        let is_wanted = extension.is_some_and(|it| extensions.contains(&it));
        if is_wanted && entry.file_type().is_some_and(|it| it.is_file()) {
            let path = entry.path();
            texts.push(Text {
                path: path
                    .strip_prefix(repository())
                    .unwrap_or(path)
                    .display()
                    .to_string(),
                content: fs::read_to_string(path).expect("it is text"),
            });
        }
    }
    texts
}

/// Returns the first line of each doc comment in Rust source, with its number.
fn doc_comments(source: &str) -> Vec<(usize, &str)> {
    let mut first_lines = Vec::new();
    let mut above = None;
    for (number, line) in (1..).zip(source.lines()) {
        let line = line.trim_start();
        let marker = ["///", "//!"].into_iter().find(|it| line.starts_with(it));
        if let Some(marker) = marker.filter(|_| marker != above) {
            first_lines.push((number, line[marker.len()..].trim()));
        }
        above = marker;
    }
    first_lines
}

/// Returns the pattern of the banned words, for text in lower case.
fn banned() -> Regex {
    let pattern = format!(r"\b(?:{})\b", BANNED.join("|"));
    Regex::new(&pattern).expect("it is a pattern")
}

/// Returns the banned words in a text as `LINE - WORD`. A phrase may continue on
/// the next line, also in a comment.
fn banned_in(text: &str, banned: &Regex) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let markers = ["///", "//!", "//", "#"];
        let rest = markers.iter().find_map(|marker| line.strip_prefix(marker));
        rest.unwrap_or(line)
    });
    let text = lines.collect::<Vec<_>>().join("\n").to_ascii_lowercase();
    let line_of = |position: usize| 1 + text[..position].matches('\n').count();
    let found = banned.find_iter(&text);
    let found = found.map(|word| format!("{} - {}", line_of(word.start()), word.as_str()));
    found.collect()
}

#[test]
fn few_doc_comments_begin_with_question_words() {
    let opening = Regex::new(OPENINGS).expect("it is a pattern");
    let mut all: usize = 0;
    let mut found = Vec::new();
    for Text { path, content } in files(&["rs"]) {
        for (line, text) in doc_comments(&content) {
            all += 1;
            if opening.is_match(text) {
                found.push(format!("{path}:{line} - {text}"));
            }
        }
    }
    let tenths = found.len() * 1000 / all;
    assert!(
        tenths < LIMIT * 10,
        "{}.{} % of {all} doc comments begin with a question word, the limit is {LIMIT} %; \
         begin with a verb (\"Returns …\") or a noun:\n{}",
        tenths / 10,
        tenths % 10,
        found.join("\n")
    );
}

#[test]
fn banned_words_are_absent() {
    let banned = banned();
    let mut found = Vec::new();
    for Text { path, content } in files(&EXTENSIONS) {
        let words = banned_in(&content, &banned).into_iter();
        found.extend(words.map(|word| format!("{path}:{word}")));
    }
    assert!(
        found.is_empty(),
        "banned words, name the person or thing instead:\n{}",
        found.join("\n")
    );
}

#[test]
fn banned_words_are_found_across_lines() {
    let text = format!("Some{}\n\n    /// and such\n    /// a one;", "body");
    let word = concat!("some", "body");
    let phrase = concat!("such", "\n a one");
    let expected = [format!("1 - {word}"), format!("3 - {phrase}")];
    assert_eq!(banned_in(&text, &banned()), expected);
    assert_eq!(banned_in("a body, no ones", &banned()), [""; 0]);
}

#[test]
fn doc_comments_are_found_by_their_first_lines() {
    let source = "//! One\n//! more\n\n/// Two\nfn f() {}\n    /// Three\n// Four\n";
    assert_eq!(doc_comments(source), [(1, "One"), (4, "Two"), (6, "Three")]);
}
