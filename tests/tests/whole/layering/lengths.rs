//! The length of functions: one that does not fit on a screen has two jobs.

use ignore::Walk;
use regex::Regex;
use tests::repository;

/// The largest number of lines of a function, from its signature to its end.
const LIMIT: usize = 70;

/// Functions that are longer and are better whole, each with its file and the
/// reason.
const WHOLE: [(&str, &str, &str); 8] = [
    (
        "cargo-ansar/src/cli/watch.rs",
        "watch",
        "the state of the loop belongs to closures that show its events",
    ),
    (
        "cargo-ansar/src/manifest/error.rs",
        "message",
        "a table: the message of each error",
    ),
    (
        "cargo-ansar/src/manifest/refusals.rs",
        "wrong_types_are_refused",
        "a table of wrong manifests",
    ),
    (
        "cargo-ansar/src/manifest/refusals.rs",
        "wrong_values_are_refused",
        "a table of wrong manifests",
    ),
    (
        "cargo-ansar/src/manifest/refusals.rs",
        "mistakes_about_programs_are_refused",
        "a table of wrong manifests",
    ),
    (
        "cargo-ansar/src/report/sample.rs",
        "run",
        "a run with everything that a report can show",
    ),
    (
        "cargo-ansar/src/supervisor/engine/mod.rs",
        "run",
        "the loop, whose sources of events have an order",
    ),
    (
        "cargo-ansar/src/sync/generators.rs",
        "cases_cover_all_situations",
        "a table of situations",
    ),
];

/// Folders with the sources of the tool and of the libraries.
const FOLDERS: [&str; 2] = ["cargo-ansar/src", "ansar-runtime"];

/// Returns the name and the length of each function in formatted Rust source, up
/// to its tests.
fn functions(source: &str) -> Vec<(&str, usize)> {
    let signature =
        Regex::new(r"^( *)(?:pub(?:\([a-z]+\))? )?(?:const )?(?:async )?(?:unsafe )?fn (\w+)")
            .expect("it is a pattern");
    let code = source.split("\n#[cfg(test)]\nmod tests {").next();
    let lines: Vec<&str> = code.unwrap_or_default().lines().collect();
    let mut functions = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(found) = signature.captures(line) else {
            continue;
        };
        let (_, [indent, name]) = found.extract();
        let ends = |line: &str| match line.strip_prefix(indent) {
            // A declaration in a trait ends with its signature.
            Some(rest) => !rest.starts_with(' ') && rest.ends_with([';', '}']),
            None => false,
        };
        let length = lines[first..].iter().position(|line| ends(line));
        functions.push((name, length.map_or(1, |last| last + 1)));
    }
    functions
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    let mut whole = WHOLE.map(|(path, name, _)| (path, name)).to_vec();
    for folder in FOLDERS {
        for entry in Walk::new(repository().join(folder)) {
            let entry = entry.expect("the repository can be read");
            let path = entry.path().strip_prefix(repository());
            let path = path.unwrap_or(entry.path()).display().to_string();
            let is_rust = entry.path().extension().is_some_and(|it| it == "rs");
            if !is_rust || path.ends_with("tests.rs") || path.contains("/tests/") {
                continue;
            }
            let source = std::fs::read_to_string(entry.path()).expect("it is text");
            let functions = functions(&source).into_iter();
            let functions = functions.filter(|(_, length)| *length > LIMIT);
            let functions = functions.filter(|(name, _)| {
                let listed = whole.iter().position(|it| *it == (&*path, *name));
                listed.map(|listed| whole.remove(listed)).is_none()
            });
            long.extend(functions.map(|(name, length)| format!("{path} - `{name}`: {length}")));
        }
    }
    assert_eq!(whole, [], "these need no exception");
    assert!(
        long.is_empty(),
        "expected {LIMIT} lines at most:\n{}",
        long.join("\n")
    );
}

#[test]
fn functions_are_measured() {
    let source = "fn one() {}\n\nimpl A {\n    pub(crate) async fn two(\n        &self,\n    ) {\n        \
                  if true {\n        }\n    }\n}\n\n#[cfg(test)]\nmod tests {\n    fn three() {\n    }\n}\n";
    assert_eq!(functions(source), [("one", 1), ("two", 6)]);
}
