//! `list`: the roles of a home, filtered and measured.

use tests::{Sandbox, Workspace};

use super::{listed, with_home, with_roles};

fn crowd() -> Sandbox {
    let sandbox = with_roles(&["noop", "snooze", "zombie"]);
    let many = ["add", "snooze", "test-{number}", "--start=9", "--count=2"];
    sandbox.ansar(many).run().success();
    sandbox
}

#[test]
fn order_and_search() {
    let sandbox = crowd();
    assert_eq!(
        listed(&sandbox),
        ["noop-0", "snooze-0", "test-10", "test-9", "zombie-0"]
    );
    for (search, expected) in [
        (&["test-.*"][..], "test-10\ntest-9\n"),
        (&["noop-0", "zombie.*"], "noop-0\nzombie-0\n"),
        (&["-i", "test-.*", "noop-0"], "snooze-0\nzombie-0\n"),
        (&["--executable", "snooze"], "snooze-0\ntest-10\ntest-9\n"),
        (&["--executable=snooze", "-i", "test.*"], "snooze-0\n"),
    ] {
        let list = sandbox.ansar(["list"]).args(search).run();
        list.success()
            .stdout_is(expected)
            .check(list.stderr.is_empty(), || {
                "expected nothing on stderr".to_owned()
            });
    }
    for (search, told) in [
        (&["test"][..], "`test`"),
        (&["--executable=none"], "executable `none`"),
        (&["-i", ".*"], "other than `.*`"),
    ] {
        let none = sandbox.ansar(["list"]).args(search).run();
        none.code(2)
            .stdout_is("")
            .stderr_has(&format!("error: no role matches {told}\n"));
        let all = super::hinted(&sandbox, &none).run();
        assert_eq!(all.success().stdout.lines().count(), 5);
    }
    let wrong = sandbox.ansar(["list", "a("]).run();
    wrong.code(2).stderr_has("`a(` is no regular expression");
}

#[test]
fn the_long_listing_has_executables_and_sizes() {
    let sandbox = crowd();
    sandbox.write(".ansar-home/model/test-9/deep/data", "12345");
    let long = sandbox.ansar(["list", "-l", "test-.*"]).run();
    let fields = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = long.success().stdout.lines().map(fields).collect();
    assert_eq!(lines[0], ["test-10", "snooze", "0", "files", "0", "bytes"]);
    assert_eq!(lines[1], ["test-9", "snooze", "1", "files", "5", "bytes"]);
    let sums = ["2", "roles", "1", "executable", "1", "files", "5", "bytes"];
    assert_eq!(lines[2], sums);
    assert_eq!(lines.len(), 3);
    let same = sandbox.ansar(["list", "--long-listing", "test-.*"]).run();
    same.success().stdout_is(&long.stdout);
}

#[test]
fn called_roles_are_listed_on_request() {
    let sandbox = crowd();
    sandbox.write(".ansar-home/model/snooze-0.nap/data", "123");
    sandbox.write(".ansar-home/tmp/snooze-0.nap-1/data", "1");
    sandbox.write(".ansar-home/model/missing-0.nap/data", "1");
    let all = sandbox.ansar(["list", "--all-roles", "snooze.*"]).run();
    all.success()
        .stdout_is("snooze-0\nsnooze-0.nap\nsnooze-0.nap-1\n");
    let long = sandbox.ansar(["list", "-l", "--all-roles", ".*nap"]).run();
    let fields = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = long.success().stdout.lines().map(fields).collect();
    assert_eq!(
        lines,
        [
            "snooze-0.nap - 1 files 3 bytes",
            "1 role 0 executables 1 files 3 bytes"
        ]
    );
    let without = sandbox.ansar(["list", "snooze.*"]).run();
    without.success().stdout_is("snooze-0\n");
}

#[test]
fn a_retired_role_is_not_run() {
    let workspace = Workspace::new();
    let described = |role: &str| {
        format!(
            "[workspace.metadata.ansar.role.{role}]\nexecutable = \"prints\"\n\
             [workspace.metadata.ansar.role.test-stays]\nexecutable = \"prints\"\n"
        )
    };
    workspace.manifest(&described("leaves"));
    workspace.ansar(["test", "--no-run"]).run().success();
    assert_eq!(listed(&workspace), ["leaves", "test-stays"]);
    workspace.manifest(&described("comes"));
    let test = workspace.ansar(["test", "--no-run"]).run();
    test.success().stderr_has("Retired role `leaves`");
    assert_eq!(
        listed(&workspace),
        ["comes", "leaves (retired)", "test-stays"]
    );
    let run = workspace.ansar(["run", "leaves"]).run();
    run.code(2)
        .stderr_has("role `leaves` is retired: no longer described in `Cargo.toml`");
}

#[test]
fn a_closed_pipe_and_a_full_disk() {
    let sandbox = with_home();
    // More than a pipe holds.
    let long = format!("{}-{{number}}", "r".repeat(90));
    sandbox
        .ansar(["add", "noop", &long, "--count=1500"])
        .run()
        .success();
    let list = sandbox.ansar(["list", "-l"]).redirected("| head -1");
    let head = list.run();
    head.success().check(
        head.stdout.lines().count() == 1 && head.stderr.is_empty(),
        || "expected one line and no complaint".to_owned(),
    );
    let full = sandbox.ansar(["list"]).redirected(">/dev/full").run();
    full.code(110)
        .stderr_has("failed to write to stdout: No space left");
    sandbox.ansar(["add", "noop"]).run().success();
    let run = sandbox.ansar(["run", "noop-0"]).redirected(">/dev/full");
    run.run()
        .code(110)
        .stderr_has("failed to write to stdout: No space left");
}
