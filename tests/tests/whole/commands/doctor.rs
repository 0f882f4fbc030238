//! `doctor`: each check finds what is wrong, and names the remedy.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "snapbox writes the expected texts"
)]

use std::os::unix::fs::{PermissionsExt, chown};

use snapbox::{Assert, IntoData, str};
use tests::{Output, Sandbox};

/// Values that differ between machines.
const SYSTEM: [(&str, &str); 5] = [
    (
        r"(open-files +)(not limited|\d{3,} per process)\n",
        "$1[..]\n",
    ),
    (
        r"(processes +)(not limited|\d+ allowed, \d+ free)\n",
        "$1[..]\n",
    ),
    (r"(watched-files +)\d+\n", "$1[..]\n"),
    (r"(watchers +)\d+\n", "$1[..]\n"),
    // Some systems forbid them.
    (
        r"warning( +)namespaces( +)[^\n]*\n +hint: [^\n]*\n",
        "ok     ${1}namespaces${2}a home can have a network of its own\n",
    ),
];

/// Asserts all of stdout and the exit code.
#[track_caller]
fn finds(sandbox: &Sandbox, output: &Output, code: i32, expected: impl IntoData) {
    let root = sandbox.path().canonicalize().expect("the folder is there");
    let root = root.display().to_string();
    let mut stdout = output.code(code).stdout.replace(&root, "[ROOT]");
    for (pattern, replacement) in SYSTEM {
        let pattern = regex::Regex::new(pattern).expect("it is a pattern");
        stdout = pattern.replace_all(&stdout, replacement).into_owned();
    }
    let assert = Assert::new().action_env("SNAPSHOTS");
    assert.eq(stdout, expected);
}

/// A workspace with a role, and a home.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "Cargo.toml",
        "[package]\nname = \"api\"\nedition = \"2024\"\n[workspace]\n\
         [workspace.metadata.ansar.role.idle-0]\nprogram = \"sleep\"\nargs = [\"1000\"]\n",
    );
    sandbox.write("src/lib.rs", "");
    sandbox.ansar(["create"]).run().success();
    sandbox
}

/// Runs `doctor` in a user namespace after these shell commands.
fn in_namespace(sandbox: &Sandbox, commands: &str) -> Option<Output> {
    let may = sandbox.shell("unshare -Ur true 2>/dev/null").run();
    if !may.status.success() {
        return None;
    }
    let script = format!("unshare -Ur sh -c '{commands}; exec cargo-ansar ansar doctor'");
    Some(sandbox.shell(&script).run())
}

#[test]
fn all_is_well() {
    let sandbox = sandbox();
    let output = sandbox.ansar(["doctor"]).run();
    finds(
        &sandbox,
        &output,
        0,
        str![[r#"
ok       workspace          `[ROOT]/Cargo.toml`
ok       open-files         [..]
ok       processes          [..]
ok       watched-files      [..]
ok       watchers           [..]
ok       orphans            available
ok       process-handles    available
ok       listening-sockets  available
ok       namespaces         a home can have a network of its own
ok       home               `[ROOT]/.ansar-home`
ok       engines            none is running
ok       leftovers          none of killed commands
ok       contract           version 1
ok       git                the home is ignored by Git
ok       editor             no settings of VS Code or Zed

"#]],
    );
}

#[test]
fn low_limits_are_named() {
    let sandbox = sandbox();
    let output = sandbox
        .shell("exec prlimit --nofile=64:64 cargo-ansar ansar doctor")
        .run();
    finds(
        &sandbox,
        &output,
        96,
        str![[r#"
ok       workspace          `[ROOT]/Cargo.toml`
error    open-files         64 per process, and the roles need up to 73
                            hint: raise the hard limit, as root: `ulimit -Hn 4096`
ok       processes          [..]
ok       watched-files      [..]
ok       watchers           [..]
ok       orphans            available
ok       process-handles    available
ok       listening-sockets  available
ok       namespaces         a home can have a network of its own
ok       home               `[ROOT]/.ansar-home`
ok       engines            none is running
ok       leftovers          none of killed commands
ok       contract           version 1
ok       git                the home is ignored by Git
ok       editor             no settings of VS Code or Zed

"#]],
    );
    let low = "echo 100 >/proc/sys/user/max_inotify_watches";
    let low = format!("{low}; echo 3 >/proc/sys/user/max_inotify_instances");
    if let Some(output) = in_namespace(&sandbox, &low) {
        finds(
            &sandbox,
            &output,
            0,
            str![[r#"
ok       workspace          `[ROOT]/Cargo.toml`
ok       open-files         [..]
ok       processes          [..]
warning  watched-files      100, expected 8192 or more: `watch` may have to poll
                            hint: allow more with `sudo sysctl fs.inotify.max_user_watches=524288`
warning  watchers           3, expected 64 or more: `watch` may have to poll
                            hint: allow more with `sudo sysctl fs.inotify.max_user_instances=512`
ok       orphans            available
ok       process-handles    available
ok       listening-sockets  available
ok       namespaces         a home can have a network of its own
ok       home               `[ROOT]/.ansar-home`
ok       engines            none is running
ok       leftovers          none of killed commands
ok       contract           version 1
ok       git                the home is ignored by Git
ok       editor             no settings of VS Code or Zed

"#]],
        );
    }
}

#[test]
fn forbidden_namespaces_are_an_error_where_they_are_needed() {
    let sandbox = sandbox();
    let forbid = "echo 0 >/proc/sys/user/max_net_namespaces";
    let Some(output) = in_namespace(&sandbox, forbid) else {
        return;
    };
    output.success().stdout_has("warning  namespaces ");
    let manifest = sandbox.read("Cargo.toml");
    sandbox.write("Cargo.toml", &format!("{manifest}network = \"own\"\n"));
    let output = in_namespace(&sandbox, forbid).expect("it was possible before");
    finds(
        &sandbox,
        &output,
        96,
        str![[r#"
ok       workspace          `[ROOT]/Cargo.toml`
ok       open-files         [..]
ok       processes          [..]
ok       watched-files      [..]
ok       watchers           [..]
ok       orphans            available
ok       process-handles    available
ok       listening-sockets  available
error    namespaces         `network = "own"` and `unprivileged` do not work: `user.max_net_namespaces` is 0
                            hint: allow them with `sudo sysctl user.max_net_namespaces=1000`
ok       home               `[ROOT]/.ansar-home`
ok       engines            none is running
ok       leftovers          none of killed commands
ok       contract           version 1
ok       git                the home is ignored by Git
ok       editor             no settings of VS Code or Zed

"#]],
    );
}

#[test]
fn a_damaged_home_is_described() {
    let sandbox = sandbox();
    // A process id that no process can have.
    sandbox.write(".ansar-home/engine/4194305.engine", "{\"started\":1}\n");
    sandbox.write(
        ".ansar-home/model/.ansar-alias-0123456789abcdef0123456789abcdef",
        "",
    );
    std::fs::remove_file(sandbox.path().join(".ansar-home/.gitignore")).expect("it is there");
    // A script that follows a later version of the contract.
    sandbox.write(".ansar-home/bin/later", "#!/bin/sh\n# ansar-component: 9\n");
    sandbox.write(".vscode/settings.json", "{}\n");
    sandbox.write(
        ".zed/settings.json",
        "{ \"overrideCommand\": [\"cargo\", \"ansar\", \"check\"] }\n",
    );
    let output = sandbox.ansar(["doctor"]).run();
    finds(
        &sandbox,
        &output,
        96,
        str![[r#"
ok       workspace          `[ROOT]/Cargo.toml`
ok       open-files         [..]
ok       processes          [..]
ok       watched-files      [..]
ok       watchers           [..]
ok       orphans            available
ok       process-handles    available
ok       listening-sockets  available
ok       namespaces         a home can have a network of its own
ok       home               `[ROOT]/.ansar-home`
warning  engines            the engine with process id 4194305 was killed, and its processes may still run
                            hint: clean up with `cargo ansar status`
warning  leftovers          1 of killed commands, such as `[ROOT]/.ansar-home/model/.ansar-alias-0123456789abcdef0123456789abcdef`
                            hint: if no command runs, remove it with `rm -r [ROOT]/.ansar-home/model/.ansar-alias-0123456789abcdef0123456789abcdef`
error    contract           `later` follows version 9, this `cargo ansar` version 1
                            hint: build it with the same version of `ansar-runtime`: `cargo update -p ansar-runtime`
warning  git                the home is not ignored by Git: `[ROOT]/.ansar-home/.gitignore` does not contain `*`
                            hint: write it with `echo '*' > [ROOT]/.ansar-home/.gitignore`
warning  editor             `.vscode/settings.json` does not show failed checks at their lines
                            hint: set the `overrideCommand` of rust-analyzer's `check` to `["cargo", "ansar", "check", "--last", "--all-targets", "--message-format", "json"]`
warning  editor             `.zed/settings.json` calls `cargo ansar` without `--last` or `--message-format`
                            hint: set the `overrideCommand` of rust-analyzer's `check` to `["cargo", "ansar", "check", "--last", "--all-targets", "--message-format", "json"]`

"#]],
    );
    sandbox.ansar(["status"]).run().success();
    let output = sandbox.ansar(["doctor", "--format=json"]).run();
    let findings = output.code(96).json_lines();
    let engines = findings.iter().find(|it| it["check"] == "engines");
    assert_eq!(engines.expect("it is checked")["state"], "ok");
}

#[test]
fn a_home_of_another_user_is_an_error() {
    let sandbox = sandbox();
    let home = sandbox.path().join(".ansar-home");
    if chown(&home, Some(12345), None).is_ok() {
        let output = sandbox.ansar(["doctor"]).run();
        finds(
            &sandbox,
            &output,
            96,
            str![[r#"
ok       workspace          `[ROOT]/Cargo.toml`
ok       open-files         [..]
ok       processes          [..]
ok       watched-files      [..]
ok       watchers           [..]
ok       orphans            available
ok       process-handles    available
ok       listening-sockets  available
ok       namespaces         a home can have a network of its own
error    home               `[ROOT]/.ansar-home` belongs to user 12345
                            hint: name a folder of your own with `--home-path` or the variable `ANSAR_HOME`
ok       editor             no settings of VS Code or Zed

"#]],
        );
        chown(&home, Some(0), None).expect("it was possible before");
    }
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&home, open).expect("it is changed");
    let output = sandbox.ansar(["doctor"]).run();
    output
        .code(96)
        .stdout_has("hint: if you trust what is in it, close it with `chmod 700 ");
}
