//! Code in the documents is code that other tests compile, and descriptions in
//! them are accepted by the tool.

use std::fs;

use tests::{Workspace, repository};

use super::page::Page;

/// A role for descriptions that have none.
const ROLE: &str = "[workspace.metadata.ansar.role.one-more]\nexecutable = \"noop\"\n";

fn source(path: &str) -> String {
    fs::read_to_string(repository().join(path)).expect("there is such a source")
}

#[test]
fn rust_in_the_book_is_compiled_elsewhere() {
    // `readme` compiles the README's, and `cargo test` the library's documentation.
    let library = source("ansar-runtime/src/lib.rs");
    let lines = library.lines().filter_map(|line| line.strip_prefix("//!"));
    let documentation: Vec<&str> = lines.map(|it| it.strip_prefix(' ').unwrap_or(it)).collect();
    let compiled = [
        source("README.md"),
        documentation.join("\n"),
        source("test-fixtures/src/bin/factorial.rs"),
        source("test-fixtures/src/bin/server.rs"),
    ];
    let pages = Page::all();
    let mut seen = 0;
    for page in &pages {
        for block in page.blocks() {
            if block.language.starts_with("rust") {
                let code = block.lines.join("\n");
                let is_compiled = compiled.iter().any(|text| text.contains(&code));
                assert!(is_compiled, "{}:{}", page.path.display(), block.line);
                seen += 1;
            }
        }
    }
    assert!(seen > 2, "the book has code");
}

#[test]
fn every_description_is_accepted() {
    let workspace = Workspace::new();
    let pages = Page::all();
    let mut seen = 0;
    for page in &pages {
        let mut earlier = String::new();
        for block in page.blocks() {
            let text = block.lines.join("\n");
            if block.language == "toml" && text.contains("[workspace.metadata.ansar") {
                workspace.manifest(&format!("{text}\n{ROLE}"));
                let mut listed = workspace.ansar(["list"]).run();
                earlier.push_str(&text);
                earlier.push('\n');
                if !listed.status.success() {
                    // A page may describe a group role by role.
                    workspace.manifest(&format!("{earlier}\n{ROLE}"));
                    listed = workspace.ansar(["list"]).run();
                }
                listed.check(listed.status.success(), || {
                    format!("{}:{} is accepted", page.path.display(), block.line)
                });
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "the documents have descriptions");
}
