//! The picture of a run: output of the demonstration with one wrong word, drawn
//! as a terminal shows it.

use std::path::Path;

use regex::Regex;
use snapbox::data::DataFormat;
use snapbox::{Assert, Data};
use tests::{Workspace, loopback, repository};

use super::commands::demonstration;

/// Path of the picture, relative to the repository.
const PICTURE: &str = "docs/src/images/test.svg";

/// Patterns of text that differs from run to run, and their replacements.
const CONSTANT: [(&str, &str); 6] = [
    // Printed if other tests build at the same time.
    (r".*Blocking.*waiting for file lock.*\n", ""),
    (r"in \d+\.\d\ds", "in 0.08s"),
    (r", \d+\.\d\ds", ", 0.02s"),
    (r"\d\d:\d\d:\d\d\.\d\d\d", "10:00:01.400"),
    (r"Connected to [0-9.]+:\d+", "Connected to 127.0.0.1:20417"),
    (r"Accepted on [0-9.]+:\d+", "Accepted on 127.0.0.1:49848"),
];

/// A role that waits since before the failure: its only line may be too old for
/// the log excerpt.
const WAITS: &str = "[workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n\n";

/// Returns the coloured output of `cargo ansar test`, the same on every
/// machine.
fn output(workspace: &Workspace, host: &str) -> String {
    let ended = workspace
        .shell("cargo ansar test --color always 2>&1")
        .run();
    ended.code(100);
    let folder = workspace.path().display().to_string();
    let text = ended.stdout.replace(&folder, "/home/me/cargo-ansar");
    let text = text.replace(host, "127.0.0.1");
    CONSTANT.iter().fold(text, |text, (pattern, by)| {
        let pattern = Regex::new(pattern).expect("it is a pattern");
        pattern.replace_all(&text, *by).into_owned()
    })
}

#[test]
fn the_picture_is_what_the_tool_prints() {
    let host = loopback().to_string();
    let workspace = demonstration(&host);
    workspace.edit("Cargo.toml", WAITS, "");
    workspace.shell("cargo ansar test").run().success();
    let words = "test-fixtures/testing/model-by-role/server-0/word-map.json";
    workspace.edit(words, "droll", "witty");
    let text = format!("$ cargo ansar test\n{}", output(&workspace, &host));
    let picture = Data::text(text).coerce_to(DataFormat::TermSvg).render();
    let picture = picture.expect("it is drawn");
    let path: &Path = &repository().join(PICTURE);
    let kept = Data::read_from(path, Some(DataFormat::Text)).raw();
    Assert::new()
        .action_env("SNAPSHOTS")
        .eq(Data::text(picture).raw(), kept);
}
