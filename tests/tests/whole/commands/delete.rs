//! `delete`: roles and everything that belongs to them alone.

use tests::{Signal, Workspace};

use super::{ABORTED, ends, listed, names_who_runs, pairs, tree, with_roles};

#[test]
fn a_role_is_deleted_with_all_areas() {
    let sandbox = with_roles(&["noop", "talks"]);
    let before = tree(&sandbox, ".ansar-home");
    sandbox.ansar(["add", "talks", "gone"]).run().success();
    sandbox.ansar(["run", "gone"]).run().success();
    for path in [
        "model/gone/data",
        "model/gone.child/data",
        "tmp/gone.child-1/data",
        "history/gone",
    ] {
        sandbox.write(format!(".ansar-home/{path}"), "1");
    }
    sandbox.write(".ansar-home/model/gone-not.child/data", "1");
    let delete = sandbox.ansar(["delete", "gone"]).run();
    delete
        .success()
        .stdout_is("")
        .stderr_has("Deleted role `gone`")
        .stderr_lacks("warning");
    std::fs::remove_dir_all(sandbox.path().join(".ansar-home/model/gone-not.child")).unwrap();
    assert_eq!(tree(&sandbox, ".ansar-home"), before);
    assert_eq!(listed(&sandbox), ["noop-0", "talks-0"]);
    // Its name is available again.
    sandbox.ansar(["add", "noop", "gone"]).run().success();
    sandbox.ansar(["run", "gone"]).run().success();
}

#[test]
fn roles_are_found_by_search() {
    let sandbox = with_roles(&["noop", "snooze"]);
    let many = ["add", "noop", "many-{number}", "--count=5"];
    sandbox.ansar(many).run().success();
    let some = ["delete", "--executable=noop", "-i", "many-[34]", "noop-0"];
    let delete = sandbox.ansar(some).run();
    delete.success().stderr_has("Deleted 3 roles");
    assert_eq!(listed(&sandbox), ["many-3", "many-4", "noop-0", "snooze-0"]);
    let none = sandbox.ansar(["delete", "many"]).run();
    none.code(2).stderr_has("no role matches `many`");
    sandbox.ansar(["delete"]).run().success();
    assert!(listed(&sandbox).is_empty());
}

#[test]
fn a_running_role_needs_force() {
    let sandbox = with_roles(&["noop", "zombie"]);
    let run = sandbox
        .ansar(["run", "zombie-0", "--debug-level=CONSOLE"])
        .start();
    run.wait_for("Do nothing until interrupted");
    let delete = sandbox.ansar(["delete"]).run();
    delete.code(104).stderr_has("hint: ");
    names_who_runs(&sandbox, &delete, "zombie-0");
    assert_eq!(listed(&sandbox), ["noop-0", "zombie-0"]);
    sandbox.ansar(["delete", "noop-0"]).run().success();
    sandbox.ansar(["delete", "-f"]).run().success();
    let output = run.wait();
    assert_eq!(ends(&output), pairs(&[("zombie-0", ABORTED)]));
    assert!(listed(&sandbox).is_empty());

    sandbox.ansar(["add", "zombie"]).run().success();
    let run = sandbox.ansar(["run", "--debug-level=CONSOLE"]).start();
    run.wait_for("Do nothing until interrupted");
    run.signal(Signal::SIGINT);
    run.wait().code(130);
}

#[test]
fn a_described_role_is_deployed_again() {
    let workspace = Workspace::new();
    workspace.write("testing/model-by-role/test-prints/words", "one");
    workspace.manifest(
        "[workspace.metadata.ansar]\nsnapshot = \"testing\"\n\
         [workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n",
    );
    workspace.ansar(["test", "--no-run"]).run().success();
    let words = ".ansar-home/model/test-prints/words";
    assert_eq!(workspace.read(words), "one");
    let delete = workspace.ansar(["delete", "test-prints"]).run();
    delete.success().stderr_has(
        "warning: role `test-prints` is described in `Cargo.toml`, \
         and created again by the next `cargo ansar test`",
    );
    assert!(listed(&workspace).is_empty());
    workspace.ansar(["test", "--no-run"]).run().success();
    assert_eq!(listed(&workspace), ["test-prints"]);
    // It is not mistaken for a role whose files the user removed.
    assert_eq!(workspace.read(words), "one");
}
