//! Refusals: one error each, and a hint that works when it is typed.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Deref;
use std::path::Path;

use regex::Regex;
use snapbox::data::DataFormat;
use snapbox::{Assert, Data};
use tests::{Output, Sandbox, Signal, Workspace, repository};

use super::{hinted, in_place, tree, with_roles};

/// Folder with the texts of all refusals, a file for each test, relative to the
/// repository.
const TEXTS: &str = "tests/tests/whole/commands/refusals";

/// A sandbox or workspace that records refused commands.
struct Refusing<T = Sandbox> {
    sandbox: T,
    said: RefCell<String>,
}

impl<T> Deref for Refusing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.sandbox
    }
}

impl<T> Refusing<T> {
    fn new(sandbox: T) -> Self {
        let said = RefCell::default();
        Self { sandbox, said }
    }

    /// Records the output of a command in a sandbox with this path.
    fn record(&self, path: &Path, words: &[String], output: &Output) {
        let root = path.display().to_string();
        let process = Regex::new(r"process \d+").expect("the pattern is valid");
        let text = output.stderr.replace(&root, "[ROOT]");
        let text = process.replace_all(&text, "process [PID]");
        let command = words.join(" ").replace(&root, "[ROOT]");
        let command = command.replace(&in_place(), "[IN-PLACE]");
        let mut said = self.said.borrow_mut();
        writeln!(said, "$ cargo ansar {command}\n{text}").expect("it is a text");
    }

    /// Asserts that the recorded refusals are those in a file.
    /// `SNAPSHOTS=overwrite` writes the file.
    #[track_caller]
    fn are_whole(&self, name: &str) {
        let file = repository().join(TEXTS).join(format!("{name}.txt"));
        let expected = Data::read_from(&file, Some(DataFormat::Text));
        let assert = Assert::new().action_env("SNAPSHOTS");
        assert.eq(self.said.borrow().as_str(), expected);
    }
}

/// Commands that search for roles; ROLE stands for the search.
const SEARCHING: [&[&str]; 9] = [
    &["list", "ROLE"],
    &["update", "ROLE", "--seconds=1"],
    &["delete", "ROLE"],
    &["set", "retry", "ROLE", "--not-set"],
    &["run", "ROLE"],
    &["start", "ROLE"],
    &["stop", "ROLE"],
    &["restart", "ROLE"],
    &["status", "ROLE"],
];

/// Commands that name one role.
const NAMING: [&[&str]; 6] = [
    &["settings", "ROLE"],
    &["settings", "ROLE", "--set-file"],
    &["input", "ROLE"],
    &["input", "ROLE", "--set-file=whole.json"],
    &["get", "retry", "ROLE"],
    &["edit", "retry", "ROLE"],
];

/// Commands about a home as a whole.
const WHOLE: [&[&str]; 3] = [&["add", "noop", "more"], &["list"], &["destroy"]];

fn with(words: &[&str], role: &str) -> Vec<String> {
    let words = words.iter();
    words.map(|word| word.replace("ROLE", role)).collect()
}

/// Runs a command, which must fail as expected and change nothing.
#[track_caller]
fn refused(sandbox: &Refusing, words: &[String], code: i32, expected: &str) -> Output {
    // A role that runs may begin its log meanwhile.
    let tree = || {
        let mut paths = tree(sandbox, ".");
        paths.retain(|path| !path.contains("/logs/zombie-0/"));
        paths
    };
    let before = tree();
    let output = sandbox
        .ansar(words)
        .env("EDITOR", "false")
        .stdin("{\"value\": {}}")
        .run();
    let (errors, hints) = (output.log("error: "), output.log("hint: "));
    output
        .code(code)
        .stdout_is("")
        .stderr_has(expected)
        .check(errors.len() == 1 && hints.len() == 1, || {
            "expected one error and one hint".to_owned()
        });
    assert_eq!(tree(), before, "{words:?}");
    sandbox.record(&sandbox.path(), words, &output);
    output
}

/// Runs a command in a workspace, which must fail as expected and build nothing.
#[track_caller]
fn refused_in(
    workspace: &Refusing<Workspace>,
    words: &[&str],
    code: i32,
    expected: &str,
) -> Output {
    let output = workspace.ansar(words).run();
    let (errors, hints) = (output.log("error: "), output.log("hint: "));
    output
        .code(code)
        .stdout_is("")
        .stderr_has(expected)
        .stderr_lacks("Finished")
        .check(errors.len() == 1 && hints.len() == 1, || {
            "expected one error and one hint".to_owned()
        });
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    workspace.record(&workspace.path(), &words, &output);
    output
}

fn home() -> Refusing {
    let sandbox = with_roles(&["snooze", "noop"]);
    sandbox.write("whole.json", "{\"value\": {}}");
    Refusing::new(sandbox)
}

#[test]
fn an_unknown_role() {
    let sandbox = home();
    for words in SEARCHING {
        let expected = "error: no role matches `missing`";
        let output = refused(&sandbox, &with(words, "missing"), 2, expected);
        let listed = hinted(&sandbox, &output).run();
        listed.success().stdout_is("noop-0\nsnooze-0\n");
    }
    for words in NAMING {
        let expected = "error: no role `missing`";
        let output = refused(&sandbox, &with(words, "missing"), 2, expected);
        let listed = hinted(&sandbox, &output).run();
        listed.success().stdout_is("noop-0\nsnooze-0\n");
        let meant = refused(&sandbox, &with(words, "snoze-0"), 2, "no role `snoze-0`");
        meant.stderr_has("hint: did you mean `snooze-0`?");
    }
    sandbox.are_whole("an_unknown_role");
}

#[test]
fn a_search_in_a_workspace_that_names_nothing() {
    let workspace = Refusing::new(Workspace::new());
    workspace.manifest(
        "[workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n\
         [workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n",
    );
    workspace.ansar(["test", "--no-run"]).run().success();
    for (search, told) in [
        ("missing", "`missing`"),
        ("--executable=missing", "executable `missing`"),
        ("zombie/0", "`zombie/0`"),
    ] {
        for (words, code, told) in [
            (
                &["with", search, "--", "true"][..],
                2,
                format!("error: no operational role matches {told}"),
            ),
            (
                &["test", search],
                4,
                format!("error: no test role matches {told}"),
            ),
        ] {
            let output = refused_in(&workspace, words, code, &told);
            hinted(&workspace, &output).run().success();
        }
    }
    workspace.are_whole("a_search_in_a_workspace_that_names_nothing");
}

#[test]
fn one_term_of_several_that_matches_nothing() {
    let sandbox = home();
    for words in SEARCHING {
        for (terms, unmatched, meant) in [
            (&["noop-0", "snoze-0"][..], "`snoze-0`", "`snooze-0`"),
            (
                &["snooze-O", "noop-.*", "nop-0"],
                "`snooze-O`, `nop-0`",
                "`snooze-0`, `noop-0`",
            ),
            (&["noop-.*", "snoze-.*"], "`snoze-.*`", "`snooze-0`"),
            (&["-i", "nop-0"], "`nop-0`", "`noop-0`"),
            (
                &["noop-0", "--executable=nop"],
                "executable `nop`",
                "`noop`",
            ),
        ] {
            let mut all = with(words, "");
            let at = all
                .iter()
                .position(String::is_empty)
                .expect("a place for them");
            all.splice(at..=at, terms.iter().map(|&term| term.to_owned()));
            let expected = format!("error: no role matches {unmatched}\n");
            let output = refused(&sandbox, &all, 2, &expected);
            output.stderr_has(&format!("hint: did you mean {meant}?"));
            hinted(&sandbox, &output).run().success();
            sandbox.is_still();
        }
        // A role of another executable does not match.
        let mut all = with(words, "noop-0");
        all.extend(["snooze-0", "--executable=snooze"].map(str::to_owned));
        let expected = "error: no role matches `noop-0` of executable `snooze`\n";
        refused(&sandbox, &all, 2, expected);
    }
    let all = ["list", "-i", ".*"].map(str::to_owned);
    refused(
        &sandbox,
        &all,
        2,
        "error: no role matches other than `.*`\n",
    );
    sandbox.are_whole("one_term_of_several_that_matches_nothing");
}

#[test]
fn a_term_that_matches_the_wrong_kind() {
    let workspace = Refusing::new(Workspace::new());
    workspace.manifest(
        "[workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n\
         [workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n",
    );
    for (words, code, told) in [
        (
            &["test", "test-prints", "test-print"][..],
            2,
            "no test role matches `test-print`",
        ),
        (
            &["test", "--list", "test-.*", "zombie-0"],
            2,
            "no test role matches `zombie-0`",
        ),
        (
            &["test", "test-prints", "--executable=print"],
            4,
            "no test role matches executable `print`",
        ),
        (
            &["test", "-i", "test-print"],
            4,
            "no test role matches `test-print`",
        ),
        (
            &["test", "-i", "test-prints"],
            4,
            "no test role matches other than `test-prints`",
        ),
        (
            &["with", "zombie-0", "zomby-0", "--", "true"],
            2,
            "no operational role matches `zomby-0`",
        ),
        (
            &["with", "test-prints", "--", "true"],
            2,
            "no operational role matches `test-prints`",
        ),
    ] {
        let output = refused_in(&workspace, words, code, &format!("error: {told}\n"));
        if !workspace
            .path()
            .join(".ansar-home/entry/zombie-0.json")
            .exists()
        {
            workspace.ansar(["deploy"]).run().success();
        }
        hinted(&workspace, &output).run().success();
    }
    let watch = workspace.ansar(["test", "test-prints"]).run();
    watch.success();
    workspace.are_whole("a_term_that_matches_the_wrong_kind");
}

#[test]
fn a_role_that_is_retired() {
    let workspace = Refusing::new(Workspace::new());
    let server = "[workspace.metadata.ansar.role.server-0]\nexecutable = \"zombie\"\n";
    let others = "[workspace.metadata.ansar.role.server-1]\nexecutable = \"zombie\"\n\
                  [workspace.metadata.ansar.role.test-old]\nexecutable = \"prints\"\n";
    workspace.manifest(&format!("{server}{others}"));
    workspace.ansar(["deploy"]).run().success();
    workspace.manifest(server);
    workspace.ansar(["deploy"]).run().success();
    let retired = " is retired: no longer described in `Cargo.toml`\n";
    for words in [
        &["start", "server-1"][..],
        &["run", "server-0", "server-1"],
        &["restart", "server-1"],
        &["run", "--executable=prints"],
        &["test", "test-old"],
        &["with", "server-0", "server-1", "--", "true"],
    ] {
        let output = refused_in(&workspace, words, 2, retired);
        hinted(&workspace, &output).run().success();
    }
    let stop = workspace.ansar(["stop", "server-1"]).run();
    stop.code(105)
        .stderr_has("error: role `server-1` is not running\n");
    // Retired roles do not count as described ones.
    workspace.ansar(["start", "server-.*"]).run().success();
    workspace.ansar(["stop", "server-.*"]).run().success();
    // Its description restores it.
    workspace.manifest(&format!("{server}{others}"));
    workspace.ansar(["deploy"]).run().success();
    workspace.ansar(["start", "server-1"]).run().success();
    workspace.ansar(["stop", "server-1"]).run().success();
    workspace.manifest("");
    workspace.ansar(["list"]).run().success();
    workspace.are_whole("a_role_that_is_retired");
}

#[test]
fn a_role_that_is_described_and_not_deployed() {
    let workspace = Refusing::new(Workspace::new());
    let role =
        |name: &str| format!("[workspace.metadata.ansar.role.{name}]\nexecutable = \"zombie\"\n");
    workspace.manifest(&role("zombie-0"));
    workspace.ansar(["deploy"]).run().success();
    workspace.manifest(&format!("{}{}", role("zombie-0"), role("zombie-1")));
    for words in [
        &["start", "zombie-1"][..],
        &["run", "zombie-1"],
        &["settings", "zombie-1"],
        &["history", "zombie-1"],
        &["log", "zombie-1"],
        &["delete", "zombie-1"],
    ] {
        let expected = "error: role `zombie-1` is not deployed yet\n";
        refused_in(&workspace, words, 2, expected).stderr_has("`cargo ansar deploy`");
    }
    workspace.ansar(["deploy"]).run().success();
    workspace.ansar(["settings", "zombie-1"]).run().success();
    workspace.are_whole("a_role_that_is_described_and_not_deployed");
}

#[test]
fn an_unknown_executable() {
    let sandbox = home();
    for words in SEARCHING {
        let words = with(words, "--executable=missing");
        let expected = "error: no role matches executable `missing`";
        let output = refused(&sandbox, &words, 2, expected);
        hinted(&sandbox, &output).run().success();
    }
    let add = ["add", "missing"].map(str::to_owned);
    let output = refused(&sandbox, &add, 2, "error: executable `missing` not found");
    let listed = hinted(&sandbox, &output).run();
    listed.success().stdout_has("snooze-0  snooze");
    sandbox.are_whole("an_unknown_executable");
}

#[test]
fn a_missing_home() {
    let sandbox = Refusing::new(Sandbox::new());
    for words in SEARCHING.iter().chain(&NAMING).chain(&WHOLE) {
        let words = with(words, "noop-0");
        let output = refused(&sandbox, &words, 96, "error: no home at `");
        hinted(&sandbox, &output).run().success();
        sandbox.ansar(["list"]).run().success();
        sandbox.ansar(["destroy"]).run().success();
    }
    sandbox.are_whole("a_missing_home");
}

#[test]
fn a_home_of_a_newer_format() {
    let sandbox = home();
    let whole = sandbox.read(".ansar-home/home.json");
    let newer = whole.replacen("\"version\": 1", "\"version\": 9", 1);
    sandbox.write(".ansar-home/home.json", &newer);
    for words in SEARCHING.iter().chain(&NAMING).chain(&WHOLE) {
        let words = with(words, "noop-0");
        let output = refused(&sandbox, &words, 96, "has format version 9");
        hinted(&sandbox, &output).run().success();
        let beside = ["destroy", ".ansar-home-v1"];
        sandbox.ansar(beside).run().success();
    }
    sandbox.are_whole("a_home_of_a_newer_format");
}

#[test]
fn a_name_with_a_slash() {
    let sandbox = home();
    for words in SEARCHING {
        let expected = "error: no role matches `snooze/0`";
        refused(&sandbox, &with(words, "snooze/0"), 2, expected);
        let words = with(words, "--executable=bin/snooze");
        let output = refused(
            &sandbox,
            &words,
            2,
            "executable name `bin/snooze` holds `/`",
        );
        hinted(&sandbox, &output).run().success();
    }
    for words in NAMING {
        let words = with(words, "snooze/0");
        let output = refused(&sandbox, &words, 2, "role name `snooze/0` holds `/`");
        output.stderr_has("hint: did you mean `snooze-0`?");
        hinted(&sandbox, &output).run().success();
    }
    let add = ["add", "noop", "a/b"].map(str::to_owned);
    let output = refused(&sandbox, &add, 2, "role name `a/b` holds `/`");
    output.stderr_has("hint: did you mean `a-b`?");
    sandbox.ansar(["add", "noop", "a-b"]).run().success();
    sandbox.are_whole("a_name_with_a_slash");
}

#[test]
fn a_name_that_is_taken() {
    let sandbox = home();
    let add = ["add", "noop", "snooze-0"].map(str::to_owned);
    let output = refused(&sandbox, &add, 2, "error: role `snooze-0` exists already");
    let listed = hinted(&sandbox, &output).run();
    listed.success().stdout_has("snooze-0\n");
    let create = ["create".to_owned(), in_place()];
    let output = refused(&sandbox, &create, 96, "is a home already");
    hinted(&sandbox, &output).run().success();
    sandbox.ansar(create).run().success();
    sandbox.are_whole("a_name_that_is_taken");
}

#[test]
fn a_running_role() {
    let sandbox = Refusing::new(with_roles(&["zombie"]));
    let begin = || {
        let run = sandbox.ansar(["run", "--debug-level=CONSOLE"]).start();
        run.wait_for("Do nothing until interrupted");
        run
    };
    for words in [
        &["run", "zombie-0"][..],
        &["delete", "zombie-.*"],
        &["destroy"],
    ] {
        let running = begin();
        let words = with(words, "");
        let output = refused(&sandbox, &words, 104, "error: already running: `zombie-0`");
        output.stderr_has("`-f`");
        // The hinted command stops the running role first.
        let forced = sandbox.ansar(["-f"]).args(&words).start();
        running.wait();
        if words[0] == "run" {
            forced.signal(Signal::SIGINT);
            forced.wait().code(130);
            continue;
        }
        forced.wait().success();
        if words[0] == "delete" {
            sandbox.ansar(["add", "zombie"]).run().success();
        }
    }
    sandbox.are_whole("a_running_role");
}

#[test]
fn a_hint_about_another_home_names_it() {
    let sandbox = Sandbox::new();
    sandbox
        .ansar(["create", "a b", &in_place()])
        .run()
        .success();
    let other = ["--home-path", "a b", "list", "x"];
    let empty = sandbox.ansar(other).run();
    empty
        .code(2)
        .stderr_has("`cargo ansar --home-path '")
        .stderr_has("/scratch/a b' add EXECUTABLE`");
    sandbox
        .ansar(["create", "other", &in_place()])
        .run()
        .success();
    let add = ["add", "noop", "one", "other"];
    sandbox.ansar(add).run().success();
    let again = sandbox.ansar(add).run();
    let listed = hinted(&sandbox, again.code(2)).run();
    listed.success().stdout_is("one\n");
    let none = ["get", "retry", "two", "--home-path=other"];
    let none = sandbox.ansar(none).run();
    hinted(&sandbox, none.code(2))
        .run()
        .success()
        .stdout_is("one\n");
}
