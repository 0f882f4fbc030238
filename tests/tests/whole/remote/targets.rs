//! Test targets of a workspace, and instances that belong to one test.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::Sandbox;

use super::{runs, scratch};

/// Creates a package with these files, some of which are scripts.
fn package(roles: &str, files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    let roles = roles.replace("\n[", "\n[workspace.metadata.ansar.role.");
    let manifest = format!(
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n{roles}"
    );
    sandbox.write("Cargo.toml", &manifest);
    sandbox.write("src/lib.rs", "");
    for (path, text) in files {
        let file = sandbox.write(path, text);
        if text.starts_with("#!") {
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
    }
    sandbox
}

/// Returns the output of a test run on agents.
fn divided(sandbox: &Sandbox, arguments: &[&str]) -> tests::Output {
    let agents = sandbox.path().join("agents");
    let agents = if agents.exists() {
        agents
    } else {
        scratch(sandbox)
    };
    let run = sandbox.ansar(["test", "--on=local", "--shards=3"]);
    let output = run.args(arguments).env("ANSAR_SCRATCH", &agents).run();
    sandbox.is_still();
    assert!(runs(&agents).is_empty(), "{:?}", runs(&agents));
    output
}

/// Returns the lines of stdout, sorted.
fn lines(output: &tests::Output) -> Vec<&str> {
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    lines.sort_unstable();
    lines
}

const API: &str = "mod orders {\n    #[test]\n    fn adds() {}\n    #[test]\n    fn cancels() {\n        assert_eq!(1, 2);\n    }\n}\n\
                   #[test]\nfn errs() -> Result<(), u8> {\n    Err(7)\n}\n\
                   #[test]\nfn breaks() {\n    assert_eq!(2, 3);\n}\n#[test]\n#[ignore]\nfn later() {}\n";

#[test]
fn tests_of_targets_have_the_same_places() {
    let roles = "\n[test-api]\ntest = \"api\"\n\n[test-more]\ntest = \"more\"\nisolate = false\n";
    let package = package(roles, &[("tests/api.rs", API), ("tests/more.rs", API)]);
    let local = package.ansar(["test"]).run();
    let there = divided(&package, &[]);
    assert_eq!(lines(there.code(100)), lines(local.code(100)));
    there.stderr_has("2 ignored");
    // Those that failed there are known here.
    let failed = package.ansar(["test", "--failed"]).run();
    failed
        .code(100)
        .stdout_has("role \"test-api\" (pass/fail): 0/3\n");
    let chosen = divided(&package, &["test-api::orders::adds"]);
    chosen
        .success()
        .stdout_is("role \"test-api\" (pass/fail): 1/0\n");
}

#[test]
fn instances_run_beside_their_tests() {
    let check = |name: &str| {
        format!(
            "[{name}]\nprogram = \"./check\"\nargs = [\"{{address:db-0}}\"]\nfresh = [\"db-0\"]\n\n"
        )
    };
    let roles = format!(
        "\n[db-0]\nprogram = \"./db\"\nargs = [\"{{model}}\", \"{{port}}\"]\n\
         setup = [[\"./init\", \"{{model}}\"]]\nready = {{ log = \"^accepting\" }}\n\n{}",
        ["test-a", "test-b", "test-c", "test-d"]
            .map(check)
            .join("\n")
    );
    let roles = roles.replace("\n\n\n", "\n\n");
    let scripts = [
        ("init", "#!/bin/sh\ntouch \"$1/made\"\n"),
        (
            "db",
            "#!/bin/sh\ntest -e \"$1/made\" || exit 1\n\
             case $ANSAR_ROLE in fresh-*) mkdir \"$1/used\" || exit 1;; esac\n\
             trap 'exit 0' INT; echo \"accepting $2\"\nwhile :; do sleep 0.02; done\n",
        ),
        (
            "check",
            "#!/bin/sh\ntest \"$1\" = \"$ANSAR_DB_0_ADDRESS\" || exit 9\n",
        ),
    ];
    let package = package(&roles, &scripts);
    let there = divided(&package, &[]);
    there.success();
    let local = package.ansar(["test"]).run();
    assert_eq!(lines(&there), lines(local.success()));
    let failing = package.write("check", "#!/bin/sh\nexit 4\n");
    fs::set_permissions(failing, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let failed = divided(&package, &[]);
    failed.code(100).stdout_has("test-a: exited with 4");
    let log = package.ansar(["log", "fresh-test-a-db-0"]).run();
    log.success().stdout_has("accepting");
}
