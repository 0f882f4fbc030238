//! What no command does: one error each, and a hint that works when it is
//! typed.

use tests::{Output, Sandbox, Signal, Workspace};

use super::{hinted, in_place, tree, with_roles};

/// Commands that search for roles; ROLE stands for the search.
const SEARCHING: [&[&str]; 5] = [
    &["list", "ROLE"],
    &["update", "ROLE", "--seconds=1"],
    &["delete", "ROLE"],
    &["set", "retry", "ROLE", "--not-set"],
    &["run", "ROLE"],
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

/// Runs a command, which is refused as it should be and changes nothing.
#[track_caller]
fn refused(sandbox: &Sandbox, words: &[String], code: i32, expected: &str) -> Output {
    let before = tree(sandbox, ".");
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
    assert_eq!(tree(sandbox, "."), before, "{words:?}");
    output
}

fn home() -> Sandbox {
    let sandbox = with_roles(&["snooze", "noop"]);
    sandbox.write("whole.json", "{\"value\": {}}");
    sandbox
}

#[test]
fn an_unknown_role() {
    let sandbox = home();
    for words in SEARCHING {
        let expected = "error: no role matches `nobody`";
        let output = refused(&sandbox, &with(words, "nobody"), 2, expected);
        let listed = hinted(&sandbox, &output).run();
        listed.success().stdout_is("noop-0\nsnooze-0\n");
    }
    for words in NAMING {
        let expected = "error: no role `nobody`";
        let output = refused(&sandbox, &with(words, "nobody"), 2, expected);
        let listed = hinted(&sandbox, &output).run();
        listed.success().stdout_is("noop-0\nsnooze-0\n");
        let meant = refused(&sandbox, &with(words, "snoze-0"), 2, "no role `snoze-0`");
        meant.stderr_has("hint: did you mean `snooze-0`?");
    }
}

#[test]
fn a_search_in_a_workspace_that_names_nothing() {
    let workspace = Workspace::new();
    workspace.manifest(
        "[workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n\
         [workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n",
    );
    workspace.ansar(["test", "--no-run"]).run().success();
    for (search, told) in [
        ("nobody", "`nobody`"),
        ("--executable=nobody", "executable `nobody`"),
        ("zombie/0", "`zombie/0`"),
    ] {
        for (words, code, told) in [
            (
                &["with", search, "--", "true"][..],
                2,
                format!("error: no role matches {told}"),
            ),
            (
                &["test", search],
                4,
                format!("error: no test role matches {told}"),
            ),
        ] {
            let output = workspace.ansar(words).run();
            let (errors, hints) = (output.log("error: "), output.log("hint: "));
            output
                .code(code)
                .stdout_is("")
                .stderr_has(&told)
                .stderr_lacks("Finished")
                .check(errors.len() == 1 && hints.len() == 1, || {
                    "expected one error and one hint".to_owned()
                });
            hinted(&workspace, &output).run().success();
        }
    }
}

#[test]
fn an_unknown_executable() {
    let sandbox = home();
    for words in SEARCHING {
        let words = with(words, "--executable=nobody");
        let expected = "error: no role matches executable `nobody`";
        let output = refused(&sandbox, &words, 2, expected);
        hinted(&sandbox, &output).run().success();
    }
    let add = ["add", "nobody"].map(str::to_owned);
    let output = refused(&sandbox, &add, 2, "error: no executable `nobody`");
    let listed = hinted(&sandbox, &output).run();
    listed.success().stdout_has("snooze-0  snooze");
}

#[test]
fn a_home_that_is_not_there() {
    let sandbox = Sandbox::new();
    for words in SEARCHING.iter().chain(&NAMING).chain(&WHOLE) {
        let words = with(words, "noop-0");
        let output = refused(&sandbox, &words, 96, "error: no home at `");
        hinted(&sandbox, &output).run().success();
        sandbox.ansar(["list"]).run().success();
        sandbox.ansar(["destroy"]).run().success();
    }
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
        output.stderr_has("hint: did you mean `bin-snooze`?");
    }
    for words in NAMING {
        let words = with(words, "snooze/0");
        let output = refused(&sandbox, &words, 2, "role name `snooze/0` holds `/`");
        output.stderr_has("hint: did you mean `snooze-0`?");
    }
    let add = ["add", "noop", "a/b"].map(str::to_owned);
    let output = refused(&sandbox, &add, 2, "role name `a/b` holds `/`");
    output.stderr_has("hint: did you mean `a-b`?");
    sandbox.ansar(["add", "noop", "a-b"]).run().success();
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
}

#[test]
fn a_role_that_runs_and_must_not() {
    let sandbox = with_roles(&["zombie"]);
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
        // What the hint says is done, and the role that ran is stopped first.
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
