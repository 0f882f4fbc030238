//! Editors: the settings in the book's guide, and the editors' own matchers of
//! compiler errors.

use regex::Regex;
use serde_json::Value;
use tests::Signal;

use crate::documents::page::Page;
use crate::test::{CLIENT, CLIENT_RS, Group, SERVER};

/// VS Code's problem matcher for the compiler: a line with the message, and the
/// next one with the location.
const WHAT: &str = r"^(warning|warn|error)(?:\[(.*?)\])?: (.*)$";
const WHERE: &str = r"^[\s\->=]*(.*?):([1-9]\d*):([1-9]\d*)\s*$";
/// Patterns that mark the begin and the end of a run.
const BEGINS: &str = r"^\[Running\b";
const ENDS: &str = r"^\[Finished running\b";

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("it is a pattern")
}

/// Returns the blocks of JSON in the guide to editors.
fn settings() -> Vec<Value> {
    let guide = Page::chapter("guides/editors.md");
    let blocks = guide.blocks().into_iter();
    blocks
        .filter(|block| block.language == "json")
        .map(|block| {
            let text = block.lines.join("\n");
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
        })
        .collect()
}

/// Collects the words after `cargo ansar` in settings, at any depth.
fn commands(value: &Value, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Array(items) => {
            let words: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            let words = words.unwrap_or_default();
            let words = words.strip_prefix(&["cargo"]).unwrap_or(&words);
            if let Some(words) = words.strip_prefix(&["ansar"]) {
                found.push(words.iter().map(|&word| word.to_owned()).collect());
            }
            for item in items {
                commands(item, found);
            }
        }
        Value::Object(fields) => {
            for field in fields.values() {
                commands(field, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_settings_of_the_guide_are_valid() {
    let settings = settings();
    let mut found = Vec::new();
    for block in &settings {
        commands(block, &mut found);
    }
    assert!(found.len() >= 4, "{found:?}");
    let group = Group::of(&[SERVER, CLIENT]);
    for words in found {
        // The options are accepted, and nothing is run.
        let output = group.ansar(&words).arg("--help").run();
        output.success();
        let [command, flags @ ..] = words.as_slice() else {
            panic!("there is a command");
        };
        let refused = group
            .ansar([command])
            .args(flags)
            .arg("--no-such-flag")
            .run();
        refused.code(2).stderr_has("--no-such-flag");
    }
}

#[test]
fn the_matcher_of_the_guide_finds_failures() {
    let settings = settings();
    let pattern = settings
        .iter()
        .find_map(|block| {
            let mut tasks = block["tasks"].as_array()?.iter();
            tasks.find_map(|task| task["problemMatcher"].get("pattern"))
        })
        .expect("there is a task with a pattern");
    let matcher = regex(pattern["regexp"].as_str().unwrap());
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    let output = group.test([]).run();
    output.code(100);
    let found: Vec<_> = output
        .stdout
        .lines()
        .chain(output.stderr.lines())
        .filter_map(|line| matcher.captures(line))
        .collect();
    assert_eq!(found.len(), 1, "{}", output.stdout);
    let part = |name: &str| {
        let nth = usize::try_from(pattern[name].as_u64().unwrap()).unwrap();
        found[0].get(nth).map_or("", |part| part.as_str())
    };
    assert_eq!(
        part("file"),
        group.path().join(CLIENT_RS).display().to_string()
    );
    let line: usize = part("line").parse().unwrap();
    assert!(
        group
            .read(CLIENT_RS)
            .lines()
            .nth(line - 1)
            .unwrap()
            .contains("cx.test(")
    );
    assert!(
        part("message").starts_with("expected b\"keen\""),
        "{}",
        part("message")
    );
}

/// Returns the matches of the problem matcher: severity, message, file and
/// line.
fn found(lines: &str) -> Vec<[String; 4]> {
    let (what, place) = (regex(WHAT), regex(WHERE));
    let lines: Vec<&str> = lines.lines().collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let (what, place) = (what.captures(pair[0])?, place.captures(pair[1])?);
        let text = |part: &regex::Captures<'_>, nth: usize| part[nth].to_owned();
        let place = [text(&place, 1), text(&place, 2)];
        let [file, line] = place;
        Some([text(&what, 1), text(&what, 3), file, line])
    });
    pairs.collect()
}

#[test]
fn a_compiler_error_matcher_follows_a_watch() {
    let group = Group::of(&[SERVER, CLIENT]);
    let mut watch = group.ansar(["watch", "--message-format=rustc"]).start();
    let (begins, ends) = (
        "[Running 'cargo ansar test']",
        "[Finished running. Exit status: ",
    );
    assert!(regex(BEGINS).is_match(begins) && regex(ENDS).is_match(ends));
    watch.wait_for_next_on_stdout(begins);
    watch.wait_for_next_on_stdout(&format!("{ends}0]"));
    watch.wait_for_next("    Watching ");
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    watch.wait_for_next_on_stdout(begins);
    watch.wait_for_next_on_stdout(&format!("{ends}100]"));
    watch.wait_for_next("    Watching ");
    group.edit(CLIENT_RS, "b\"keen\"", "b\"keen\" oops");
    watch.wait_for_next_on_stdout(begins);
    watch.wait_for_next_on_stdout(&format!("{ends}101]"));
    watch.wait_for_next("    Watching ");
    watch.signal(Signal::SIGINT);
    let output = watch.wait();
    output.code(130);

    let file = group.path().join(CLIENT_RS).display().to_string();
    let found = found(&output.stdout);
    let [[severity, what, place, line]] = found.as_slice() else {
        panic!("one failure: {found:?}");
    };
    assert_eq!((&**severity, place), ("error", &file));
    assert!(
        what.starts_with("test-client: expected b\"keen\""),
        "{what}"
    );
    let source = group.read(CLIENT_RS);
    let line = source.lines().nth(line.parse::<usize>().unwrap() - 1);
    assert!(line.unwrap().contains("cx.test("), "{line:?}");
    // The compiler's own errors are text beside it.
    assert!(
        output
            .stderr
            .contains("--> test-fixtures/src/bin/client.rs:"),
        "{}",
        output.stderr
    );
    let marks: Vec<bool> = output
        .stdout
        .lines()
        .filter_map(
            |line| match (line.starts_with(begins), line.starts_with(ends)) {
                (false, false) => None,
                (begins, _) => Some(begins),
            },
        )
        .collect();
    assert_eq!(marks, [true, false].repeat(3));
}

#[test]
fn failures_look_like_compiler_errors() {
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    let output = group
        .test(["--message-format=rustc", "--paths=relative"])
        .run();
    output
        .code(100)
        .stdout_has("role \"test-client\" (pass/fail): 2/1\n");
    let found = found(&output.stdout);
    assert_eq!(found.len(), 1, "{}", output.stdout);
    assert_eq!(found[0][2], CLIENT_RS);
}
