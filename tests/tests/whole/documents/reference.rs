//! The tables of the reference have exactly the entries that the tool has.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use regex::Regex;
use tests::{Sandbox, Workspace, repository};

use super::page::{Page, code_spans, first_column};

type Names = BTreeSet<String>;

fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> Names {
    names.into_iter().map(str::to_owned).collect()
}

/// Returns the names of all commands, as the help lists them.
pub(super) fn commands_of_the_tool(sandbox: &Sandbox) -> Names {
    let help = sandbox.ansar(["--help"]).run();
    let (_, commands) = help
        .stdout
        .split_once("\nCommands:\n")
        .expect("it lists commands");
    let lines = commands.lines().take_while(|line| line.starts_with("  "));
    names(lines.filter_map(|line| line.split_whitespace().next()))
}

/// Returns the options of a command under headings of its help: `-j, --jobs
/// <N>`.
fn options_under(sandbox: &Sandbox, command: &str, heading: impl Fn(&str) -> bool) -> Names {
    let help = sandbox.ansar(["help", command]).env("COLUMNS", "200").run();
    let mut is_under = false;
    let mut options = Names::new();
    for line in help.success().stdout.lines() {
        let title = line.strip_suffix(':');
        if let Some(title) = title.filter(|title| !title.starts_with(' ')) {
            is_under = heading(title);
        } else if is_under && line.trim_start().starts_with('-') {
            let option = line.trim_start().split("  ").next().unwrap_or_default();
            options.insert(option.to_owned());
        }
    }
    options.remove("-h, --help");
    options
}

/// Returns all options of a command.
pub(super) fn options_of(sandbox: &Sandbox, command: &str) -> Names {
    let mut all = options_under(sandbox, command, |_| true);
    all.insert("-h, --help".to_owned());
    all
}

#[test]
fn every_command_and_option_is_in_the_reference() {
    let sandbox = Sandbox::new();
    let page = Page::chapter("reference/commands.md");
    let sections = page.sections();
    let options = |section: &str| {
        let lines = sections.get(section);
        let lines = lines.unwrap_or_else(|| panic!("no section `{section}`"));
        names(
            first_column(lines)
                .into_iter()
                .filter(|span| span.starts_with('-')),
        )
    };
    let mut commands = commands_of_the_tool(&sandbox);
    assert!(commands.remove("help"));
    let described = sections
        .keys()
        .filter_map(|it| it.strip_prefix("cargo ansar "));
    assert_eq!(names(described), commands);
    let general = |title: &str| title == "General";
    assert_eq!(
        options("General options"),
        options_under(&sandbox, "list", general)
    );
    for command in &commands {
        let section = format!("cargo ansar {command}");
        let mut documented = options(&section);
        let links = |link: &str| sections[&section].iter().any(|line| line.contains(link));
        for (shared, link) in [
            ("Search", "(#search)"),
            ("Build options", "(#build-options)"),
            ("Lock file options", "(#lock-file-options)"),
            ("Options of a test run", "(#options-of-a-test-run)"),
        ] {
            let builds = shared == "Lock file options" && links("(#build-options)");
            if links(link) || builds {
                documented.extend(options(shared));
            }
        }
        let own = options_under(&sandbox, command, |title| title != "General");
        assert_eq!(documented, own, "`{command}` in {}", page.path.display());
    }
}

/// Returns the keys that a table of the manifest can have, from the tool's
/// error about an unknown key.
fn keys(workspace: &Workspace, manifest: &str) -> Names {
    workspace.manifest(manifest);
    let refused = workspace.ansar(["list"]).run();
    let refused = refused.code(96);
    let (_, listed) = refused
        .stderr
        .split_once("expected one of ")
        .expect("it lists keys");
    names(code_spans(listed.lines().next().unwrap_or_default()))
}

#[test]
fn every_manifest_key_is_in_the_reference() {
    let workspace = Workspace::new();
    let page = Page::chapter("reference/manifest.md");
    let sections = page.sections();
    let root = "[workspace.metadata.ansar]\nno-such = 1\n";
    let role = "[workspace.metadata.ansar.role.a]\nno-such = 1\n";
    let retry =
        "[workspace.metadata.ansar.role.a]\nexecutable = \"noop\"\nretry = { no-such = 1 }\n";
    let build = "[workspace.metadata.ansar.build]\nno-such = 1\n";
    for (section, manifest) in [
        ("Keys for all roles", root),
        ("A role", role),
        ("Build", build),
        ("Retry", retry),
    ] {
        let lines = sections.get(section);
        let lines = lines.unwrap_or_else(|| panic!("no section `{section}`"));
        assert_eq!(
            names(first_column(lines)),
            keys(&workspace, manifest),
            "{section}"
        );
    }
}

#[test]
fn every_property_is_in_the_reference() {
    let sandbox = Sandbox::new();
    let page = Page::chapter("reference/properties.md");
    let listed = |command: &str| {
        let help = sandbox.ansar(["help", command]).run();
        let (_, table) = help
            .stdout
            .split_once("Properties:\n")
            .expect("it lists properties");
        let rows = table.lines().filter_map(|line| line.strip_prefix("  "));
        let words = rows.filter_map(|row| row.split_whitespace().next());
        // The rest of a long row begins with a piece of its example.
        let is_name = |word: &&str| word.bytes().all(|it| matches!(it, b'a'..=b'z' | b'-'));
        names(words.filter(is_name))
    };
    let sections = page.sections();
    let (settable, all) = (listed("set"), listed("get"));
    let read_only: Names = all.difference(&settable).cloned().collect();
    assert_eq!(
        names(first_column(&sections["Settable properties"])),
        settable
    );
    assert_eq!(
        names(first_column(&sections["Read-only properties"])),
        read_only
    );
}

#[test]
fn every_level_is_in_the_chapter_about_logs() {
    let sandbox = Sandbox::new();
    let help = sandbox
        .ansar(["list", "--help"])
        .env("COLUMNS", "200")
        .run();
    let mut lines = help.stdout.lines();
    let line = lines.find(|line| line.contains("--debug-level"));
    let level = Regex::new(r"\b[A-Z]{4,}\b").expect("it is a pattern");
    let levels = level
        .find_iter(line.expect("there is such an option"))
        .map(|found| found.as_str());
    let levels = names(levels.filter(|&word| word != "LEVEL"));
    let page = Page::chapter("concepts/supervision.md");
    assert_eq!(names(first_column(&page.sections()["Logs"])), levels);
}

/// Returns the file of the tool's sources that contains `text`.
fn source_with(text: &str) -> String {
    let mut folders = vec![PathBuf::from("cargo-ansar/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(repository().join(&folder)).expect("it is read") {
            let path = folder.join(entry.expect("it is read").file_name());
            if repository().join(&path).is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(repository().join(&path)).unwrap_or_default();
            if source.contains(text) {
                return source;
            }
        }
    }
    panic!("no source has `{text}`");
}

#[test]
fn every_exit_code_is_in_the_reference() {
    let source = source_with("Self::TestsFailed => 100,");
    let (_, code) = source
        .split_once("const fn code(self) -> u8 {")
        .expect("it has codes");
    let (code, _) = code.split_once("\n    }\n").expect("the function ends");
    let number = Regex::new(r"=> (\d+),").expect("it is a pattern");
    let mut codes: Names = number
        .captures_iter(code)
        .map(|it| it[1].to_owned())
        .collect();
    // A shell returns this for a command that cannot be run.
    source_with("Exit::Command(127)");
    codes.insert("127".to_owned());
    let page = Page::chapter("reference/exit-codes.md");
    let lines: Vec<&str> = page.prose().into_iter().map(|(_, line)| line).collect();
    assert_eq!(names(first_column(&lines)), codes);
}

#[test]
fn every_home_area_is_in_the_reference() {
    let sandbox = Sandbox::new();
    let redirects = options_under(&sandbox, "create", |_| true);
    let areas = redirects.iter().filter_map(|option| {
        let name = option.strip_prefix("--redirect-")?;
        name.split(' ').next()
    });
    let page = Page::chapter("reference/files.md");
    let rows = first_column(&page.sections()["Areas"]).into_iter();
    let described = rows.filter_map(|path| path.split('/').next());
    assert_eq!(names(described), names(areas));
}

/// `events::json` compares the examples with the tool.
#[test]
fn every_event_has_a_row_and_an_example() {
    let page = Page::chapter("reference/json.md");
    let blocks = page.blocks().into_iter().flat_map(|block| block.lines);
    let examples = blocks.filter_map(|line| {
        let (_, event) = line.split_once("\"event\":\"")?;
        event.split('"').next()
    });
    let sections = page.sections();
    let tables = ["Preparation", "Watching", "Running", "Results"];
    let rows = tables.iter().flat_map(|section| {
        let lines = sections[*section]
            .iter()
            .take_while(|line| !line.starts_with("Fields of"));
        first_column(&lines.copied().collect::<Vec<_>>())
    });
    assert_eq!(names(rows), names(examples));
}
