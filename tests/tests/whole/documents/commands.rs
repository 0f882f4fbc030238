//! Runs every command of the documents and compares its output.
//!
//! A block of the language `console` has commands after `$ ` and, below each,
//! its output. The blocks of a document are one session in a scratch workspace
//! that describes the demonstration of this repository. A line `<!-- $ COMMAND
//! -->` is a command that is run and not shown. `<!-- > FILE -->` writes the
//! next block to a file, and `<!-- >> FILE -->` appends it. `^C` below the
//! output of a command interrupts it once all above was printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;
use tests::{Sandbox, Signal, Workspace, loopback, repository};

use super::matching::{is_line, is_shown};
use super::page::{BOOK, Page, code_spans};
use super::reference::{commands_of_the_tool, options_of};

/// Folder of the workspace, as shown in the documents.
const FOLDER: &str = "/home/me/cargo-ansar";
/// Address of the demonstration, as shown in the documents.
const HOST: &str = "127.0.0.1";

/// A command of a document, and the output that is shown.
#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    command: String,
    shows: Vec<String>,
}

/// The commands of a document, in order.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut language = None;
    // Redirection of the next block, and the lines of a redirected block.
    let (mut redirection, mut written) = (None, None::<Vec<&str>>);
    let step = |line, command: &str| Step {
        line,
        command: command.to_owned(),
        shows: Vec::new(),
    };
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(opened) = text.strip_prefix("```") {
            language = language.is_none().then_some(opened);
            match (redirection, written.take()) {
                (Some(to), Some(lines)) => {
                    let script = format!("cat {to} <<'END'\n{}\nEND", lines.join("\n"));
                    steps.push(step(line, &script));
                    redirection = None;
                }
                (Some(_), None) => written = Some(Vec::new()),
                (None, _) => {}
            }
        } else if let Some(lines) = &mut written {
            lines.push(text);
        } else if language.is_none() {
            let hidden = text.strip_prefix("<!-- ");
            let hidden = hidden.and_then(|text| text.strip_suffix(" -->"));
            match hidden {
                Some(to) if to.starts_with('>') => redirection = Some(to),
                Some(text) => {
                    let command = text.strip_prefix("$ ");
                    steps.extend(command.map(|command| step(line, command)));
                }
                None => {}
            }
        } else if language == Some("console") {
            match (text.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(step(line, command)),
                (None, Some(last)) => last.shows.push(text.to_owned()),
                (None, None) => panic!("line {line} is output of no command"),
            }
        }
    }
    steps
}

/// A workspace that describes the demonstration of this repository.
pub(crate) fn demonstration(host: &str) -> Workspace {
    let workspace = Workspace::new();
    let manifest = fs::read_to_string(repository().join("Cargo.toml"));
    let manifest = manifest.expect("there is a manifest");
    let described = manifest.find("[workspace.metadata.ansar]");
    let described = &manifest[described.expect("it describes the demonstration")..];
    workspace.manifest(&described.replace(HOST, host));
    workspace
}

/// Runs the commands of a document.
#[track_caller]
fn type_all(path: &str) {
    let page = Page::read(path);
    // Tests run side by side, but the documents have one address.
    let host = loopback().to_string();
    let workspace = demonstration(&host);
    let steps = steps(&page.text.replace(HOST, &host));
    assert!(!steps.is_empty(), "`{path}` has commands");
    let folder = workspace.path().display().to_string();
    let mut current = workspace.path();
    for mut step in steps {
        if let Some(folder) = step.command.strip_prefix("cd ") {
            current.push(folder);
            assert!(current.is_dir(), "{path}:{} - no such folder", step.line);
            continue;
        }
        let is_interrupted = step.shows.last().is_some_and(|line| line == "^C");
        let script = format!("cd '{}' && exec 2>&1; {}", current.display(), step.command);
        let output = if is_interrupted {
            step.shows.pop();
            let mut running = workspace
                .shell(&format!(
                    "cd '{}' && exec 2>&1; exec {}",
                    current.display(),
                    step.command
                ))
                .start();
            let last = step
                .shows
                .last()
                .expect("something is shown before `^C`")
                .clone();
            while !is_line(&last, &running.wait_for_next_on_stdout("")) {}
            running.signal_group(Signal::SIGINT);
            let output = running.wait();
            // The output after the interrupt is not part of the document.
            step.shows.push("…".to_owned());
            output
        } else {
            workspace.shell(&script).run()
        };
        let seen = output.stdout.replace(&folder, FOLDER);
        let seen = seen.replace(&host, HOST);
        let shows: Vec<String> = step
            .shows
            .iter()
            .map(|line| line.replace(&host, HOST))
            .collect();
        let lines = seen.lines();
        // Cargo prints this if other tests build at the same time.
        let lines = lines.filter(|line| !line.contains("    Blocking waiting for file lock"));
        let lines: Vec<&str> = lines.collect();
        if shows.is_empty() {
            let (line, command, status) = (step.line, &step.command, output.status);
            assert!(
                status.success(),
                "{path}:{line} - `{command}`: {status}\n{seen}"
            );
        } else {
            assert!(
                is_shown(&shows, &lines),
                "{path}:{} - `{}` shows\n{seen}\nexpected\n{}",
                step.line,
                step.command,
                shows.join("\n")
            );
        }
    }
    workspace.is_still();
}

/// The documents with commands, one test for each.
macro_rules! documents {
    ($($test:ident: $path:literal,)*) => {
        $(
            #[test]
            fn $test() {
                type_all($path);
            }
        )*

        const TYPED: &[&str] = &[$($path),*];
    };
}

documents! {
    the_tour: "docs/src/guides/tour.md",
    the_guide_of_the_first_workspace: "docs/src/guides/first-workspace.md",
    the_guide_of_roles: "docs/src/guides/roles.md",
    the_guide_of_tests: "docs/src/guides/testing.md",
    the_guide_of_watching: "docs/src/guides/watching.md",
    the_guide_of_the_background: "docs/src/guides/background.md",
    the_guide_of_deploys: "docs/src/guides/deploying.md",
    the_guide_of_other_tools: "docs/src/guides/other-tools.md",
    the_guide_of_ci: "docs/src/guides/ci.md",
    the_concept_of_a_home: "docs/src/concepts/home.md",
    the_concept_of_a_verdict: "docs/src/concepts/verdict.md",
    the_reference_of_commands: "docs/src/reference/commands.md",
    the_reference_of_components: "docs/src/reference/components.md",
    the_reference_of_properties: "docs/src/reference/properties.md",
}

#[test]
fn every_document_with_commands_is_tested() {
    let with_commands: BTreeSet<String> = Page::all()
        .into_iter()
        .filter(|page| !steps(&page.text).is_empty())
        .map(|page| page.path.display().to_string())
        .collect();
    let typed: BTreeSet<String> = TYPED.iter().map(|&path| path.to_owned()).collect();
    assert_eq!(with_commands, typed);
}

#[test]
fn steps_from_console_blocks_and_hidden_lines() {
    let text = "$ no\n```console\n$ one\n  a\n…\n$ two\n```\n```text\n$ no\n```\n\
                <!-- $ three -->\n<!-- > file -->\n\n```text\n$ no\n```\n";
    let found = steps(text);
    let found: Vec<_> = found
        .iter()
        .map(|step| (step.line, &*step.command, step.shows.len()))
        .collect();
    let write = "cat > file <<'END'\n$ no\nEND";
    let expected = [
        (3, "one", 2),
        (6, "two", 0),
        (11, "three", 0),
        (16, write, 0),
    ];
    assert_eq!(found, expected);
}

/// Returns the words of a `cargo ansar …` outside of sessions: its command, and
/// its options up to a `--` or a pipe.
fn words(text: &str) -> Option<Vec<&str>> {
    let (_, behind) = text.split_once("cargo ansar ")?;
    let end = behind
        .find(" -- ")
        .or(behind.find(['|', '>', '`', '"']))
        .unwrap_or(behind.len());
    Some(behind[..end].split_whitespace().collect())
}

#[test]
fn every_named_command_and_option_exists() {
    let sandbox = Sandbox::new();
    let commands = commands_of_the_tool(&sandbox);
    let mut options: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let option = Regex::new(r"^(--?[a-z][a-z-]*)").expect("it is a pattern");
    let mut wrong = Vec::new();
    let mut named = 0;
    for page in Page::all() {
        if page.path == Path::new("CHANGELOG.md") {
            // It also names things that no longer exist.
            continue;
        }
        let prose = page.prose().into_iter();
        let mut texts: Vec<(usize, &str)> = prose
            .flat_map(|(line, text)| {
                let indented = text.strip_prefix("    ").into_iter();
                code_spans(text)
                    .chain(indented)
                    .map(move |span| (line, span))
            })
            .collect();
        for block in page.blocks() {
            if block.language != "console" {
                texts.extend((block.line..).zip(block.lines));
            }
        }
        for (line, text) in texts {
            let Some(words) = words(text) else { continue };
            let place = format!("{}:{line} - `{text}`", page.path.display());
            let command = words.iter().find(|word| commands.contains(**word));
            let Some(&command) = command else {
                let is_other = |word: &&str| word.starts_with('-') || word.to_uppercase() == **word;
                if !words.iter().all(is_other) {
                    wrong.push(place);
                }
                continue;
            };
            named += 1;
            if matches!(command, "add" | "update" | "help") {
                continue;
            }
            let known = options.entry(command.to_owned()).or_insert_with(|| {
                options_of(&sandbox, command)
                    .into_iter()
                    .flat_map(|option| flags(&option))
                    .collect()
            });
            for word in words {
                let found = option.captures(word);
                if found.is_some_and(|found| !known.contains(&found[1])) {
                    wrong.push(format!("{place}: {word}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not of this tool:\n{}", wrong.join("\n"));
    assert!(named > 20, "the documents of {BOOK} name commands");
}

/// Returns the flags of an option in the help: `-j, --jobs <N>` has `-j` and
/// `--jobs`.
fn flags(option: &str) -> Vec<String> {
    let words = option.split([' ', ',', '[', '=']);
    words
        .filter(|word| word.starts_with('-'))
        .map(str::to_owned)
        .collect()
}
