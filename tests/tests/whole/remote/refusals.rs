//! Runs that are refused, or whose agents cannot be placed.

use tests::Signal;

use super::super::test::{CLIENT, SERVER};
use super::{Remote, SLEEPS};

#[test]
fn what_cannot_be_placed_is_one_sentence() {
    for (options, code, error) in [
        (
            "command]\ncommand = [\"no-such-program\"]",
            96,
            "error: shard 1: cannot start `no-such-program`: No such file or directory (os error 2)\n",
        ),
        (
            "command]\ncommand = [\"sh\", \"-c\", \"echo 'no such host' >&2; exit 3\"]",
            96,
            "no agent has joined: its stream ended (exit code 3): no such host\n",
        ),
        (
            "command]\ncommand = [\"echo\", \"Welcome\"]",
            96,
            "no agent has joined: its stream ended: the shell on the node answered `Welcome",
        ),
        (
            "command]\ncommand = [\"sh\", \"-c\", \"echo queued >&2; sleep 60\"]\nplace-timeout = \"300ms\"",
            106,
            "error: no agent has joined for shards 1, 2 after 300ms: queued\nhint: see what it waits for, or give it more time with `place-timeout`\n",
        ),
    ] {
        let remote = Remote::of(&[SERVER, CLIENT]);
        remote.describe_driver(options);
        let output = remote.on("command", []).run();
        output.code(code).stdout_is("").stderr_has(error);
        output.stderr_lacks("Testing");
        remote.nothing_is_left();
    }
}

#[test]
fn a_program_for_another_machine_is_explained() {
    let remote = Remote::of(&[SERVER, CLIENT]);
    // The node has the program, and cannot run it.
    remote.describe_driver(
        "command]\ncommand = [\"sh\", \"-c\", \"echo have; echo 'not found' >&2; exit 127\"]",
    );
    let output = remote.on("command", []).run();
    output.code(96).stderr_has(
        "(exit code 127): not found\nhint: install a `cargo-ansar` that was built for the node",
    );
}

#[test]
fn drivers_and_commands_that_do_not_fit_are_named() {
    let remote = Remote::of(&[SERVER, CLIENT]);
    let unknown = remote.test(["--on=slurmm"]).run();
    unknown
        .code(2)
        .stderr_has("expected `local`, `command`, `slurm`, `kubernetes`");
    let none = remote.test(["--on=command"]).run();
    none.code(96).stderr_has("error: no command to run on other machines with `--on command`\nhint: write `command = [\"ssh\", \"node{shard}\"]` in `[workspace.metadata.ansar.on.command]`\n");
    let watch = remote.ansar(["watch", "--on=local"]).run();
    watch.code(2).stderr_has("error: `watch` does not run roles on other machines\nhint: run tests there with `cargo ansar test --on`\n");
    for command in ["start", "run", "with"] {
        let other = remote.ansar([command, "--on=local"]).run();
        other.code(2).stderr_has(&format!(
            "error: `{command}` does not run roles on other machines\nhint: run tests there with `cargo ansar test --on`"
        ));
    }
    let alone = remote.test(["--shards=2"]).run();
    alone.code(2).stderr_has("--on <DRIVER>");
}

#[test]
fn addresses_of_one_machine_are_refused_elsewhere() {
    let client = r#"test-client = { executable = "client", settings = { host = "localhost", port = 65432 } }"#;
    let more = client.replace("test-client", "test-more");
    let remote = Remote::of(&[SERVER, client, &more]);
    remote.describe_driver("command]\ncommand = [\"env\"]");
    let output = remote.on("command", []).run();
    output.code(96).stderr_has("cannot run on other machines: `localhost` is an address of one machine\nhint: refer to the role that listens there, with `{address:ROLE}`\n");
    output.stderr_lacks("Placing");
}

#[test]
fn roles_in_the_background_are_not_disturbed() {
    let remote = Remote::of(&[SERVER, CLIENT]);
    remote.ansar(["start"]).run().success();
    let refused = remote.local([]).run();
    refused.code(104).stderr_has("already running: `server-0`");
    remote
        .ansar(["status"])
        .run()
        .success()
        .stdout_has("server-0");
    let forced = remote.local(["-f"]).run();
    forced.success();
    remote.ansar(["stop", "-f"]).run();
    remote.nothing_is_left();
}

#[test]
fn an_interrupt_ends_the_placing() {
    let remote = Remote::of(&[SLEEPS]);
    remote.describe_driver("command]\ncommand = [\"sh\", \"-c\", \"sleep 600\"]");
    let running = remote.on("command", []).start();
    running.wait_for("Placing");
    running.signal(Signal::SIGINT);
    running.wait().code(130);
    remote.nothing_is_left();
}
