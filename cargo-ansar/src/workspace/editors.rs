//! The settings of editors that the documents recommend, as a decision about
//! the text of their files.

use std::path::Path;

use crate::host::fs;
use crate::model::finding::{Finding, State};

const CHECK: &str = "editor";

/// Settings files of editors, from the workspace root.
const FILES: [&str; 2] = [".vscode/settings.json", ".zed/settings.json"];

/// The flags without which rust-analyzer cannot read the output.
const FLAGS: [&str; 2] = ["--last", "--message-format"];

/// Checks the settings of the editors that the workspace has settings for.
pub fn check(root: &Path) -> Vec<Finding> {
    let files = FILES.iter().filter(|file| {
        let folder = root.join(file);
        folder.parent().is_some_and(fs::is_folder)
    });
    let found = files.map(|file| {
        let text = fs::read_followed(&root.join(file)).unwrap_or_default();
        decide(file, &String::from_utf8_lossy(&text))
    });
    let found: Vec<Finding> = found.collect();
    if found.is_empty() {
        return vec![Finding::ok(CHECK, "no settings of VS Code or Zed")];
    }
    found
}

/// Decides about the text of a settings file. It may have comments, so it is
/// searched instead of parsed.
fn decide(file: &str, text: &str) -> Finding {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let lines: Vec<&str> = lines.collect();
    let has = |word: &str| lines.iter().any(|line| line.contains(word));
    let calls = has("overrideCommand") && has("\"ansar\"");
    if calls && FLAGS.iter().all(|flag| has(flag)) {
        return Finding::ok(
            CHECK,
            format!("`{file}` shows failed checks at their lines"),
        );
    }
    let text = if calls {
        format!("`{file}` calls `cargo ansar` without `--last` or `--message-format`")
    } else {
        format!("`{file}` does not show failed checks at their lines")
    };
    let hint = "set the `overrideCommand` of rust-analyzer's `check` to `[\"cargo\", \"ansar\", \
                \"check\", \"--last\", \"--all-targets\", \"--message-format\", \"json\"]`";
    Finding::new(CHECK, State::Warning, text, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_with_comments_are_understood() {
        let good = "{ // a\n \"rust-analyzer.check.overrideCommand\": [\n  \"cargo\", \"ansar\", \
                    \"check\", \"--last\", \"--message-format\", \"json\"\n ] }";
        assert_eq!(decide("x", good).state, State::Ok);
        let without = good.replace("\"--last\", ", "");
        assert!(decide("x", &without).text.contains("without `--last`"));
        let commented = good.replace(" \"rust", "// \"rust");
        assert_eq!(decide("x", &commented).state, State::Warning);
        assert_eq!(decide("x", "").state, State::Warning);
    }
}
