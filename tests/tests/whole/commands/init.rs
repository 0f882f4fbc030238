//! `init`: a first description for a workspace.

use tests::{Sandbox, Workspace};

use super::PLAIN_MARKER;

#[test]
fn init_describes_the_component_bins() {
    let workspace = Workspace::new();
    let before = workspace.read("Cargo.toml");
    let init = workspace.ansar(["init"]).run();
    init.success()
        .stdout_is("")
        .stderr_has("Described role `server-0`, which runs `server`")
        .stderr_has("Described role `test-client`, which runs `client`")
        .stderr_has("Wrote `[workspace.metadata.ansar]` in `")
        .stderr_has("hint: now type `cargo ansar test`");
    let after = workspace.read("Cargo.toml");
    let added = after
        .strip_prefix(&before)
        .expect("the manifest's own text stays");
    assert!(
        added.contains("\n[workspace.metadata.ansar]\ntests = \"test-.*\"\n"),
        "{added}"
    );
    let described = added.matches("\nexecutable = ").count();
    assert_eq!(described, test_fixtures::FIXTURES.len(), "{added}");
    let list = workspace.ansar(["test", "--list"]).run();
    list.success().stdout_is("test-client\n");
    let build = workspace.ansar(["build"]).run();
    build.success().stderr_lacks("Compiling");
    // Without a home, the roles of the description are listed.
    let list = workspace.ansar(["list"]).run();
    let listed = list.success().stdout.lines().count();
    assert_eq!(listed, test_fixtures::FIXTURES.len(), "{}", list.stdout);
    assert!(!workspace.path().join(".ansar-home").exists());
}

#[test]
fn init_does_not_overwrite_a_description() {
    let workspace = Workspace::new();
    workspace.manifest("[workspace.metadata.ansar]\ntests = \"t\"\n");
    let before = workspace.read("Cargo.toml");
    let line = before
        .lines()
        .position(|line| line == "[workspace.metadata.ansar]");
    let init = workspace.ansar(["init"]).in_dir("test-fixtures/src").run();
    init.code(96)
        .stderr_has(&format!("in line {},", line.map_or(0, |line| line + 1)))
        .stderr_has("/scratch/Cargo.toml: `[workspace.metadata.ansar]` exists")
        .stderr_has("hint: ");
    assert_eq!(workspace.read("Cargo.toml"), before);
}

#[test]
fn init_proposes_programs_in_comments() {
    let sandbox = Sandbox::new();
    let manifest = "[package]\nname = \"plain\"\nedition = \"2024\"\n\n[workspace]\n";
    sandbox.write("Cargo.toml", manifest);
    // It is not built, and so not compiled either.
    sandbox.write("src/main.rs", "fn main() { does not compile }");
    let init = sandbox.ansar(["init"]).run();
    init.success()
        .stderr_has("Proposed role `plain-0` in a comment, which runs `plain`")
        .stderr_has("Wrote `[workspace.metadata.ansar]` in `");
    let after = sandbox.read("Cargo.toml");
    let added = after
        .strip_prefix(manifest)
        .expect("the manifest's own text stays");
    assert!(
        added.contains("\n# [workspace.metadata.ansar.role.plain-0]\n# executable = \"plain\"\n"),
        "{added}"
    );
    // The hint does not lead back to `init` alone, which has described all that it can.
    let list = sandbox.ansar(["list"]).run();
    list.code(96)
        .stderr_has("hint: describe roles in `Cargo.toml`: remove the `# ` before those that `cargo ansar init` proposed");
    let hint = "hint: describe roles in `Cargo.toml`: remove the `# ` before";
    sandbox.ansar(["test"]).run().code(4).stderr_has(hint);
    sandbox.write("tests/api.rs", "");
    sandbox.ansar(["test"]).run().code(4).stderr_has(
        "hint: describe one in `Cargo.toml`: `[workspace.metadata.ansar.role.test-api]`, \
         and below it `test = \"api\"`",
    );
}

#[test]
fn init_describes_integration_tests_that_pass_at_once() {
    let sandbox = Sandbox::new();
    let manifest = "[package]\nname = \"plain\"\nedition = \"2024\"\n\n\
                    [[test]]\nname = \"own\"\nharness = false\n\n[workspace]\n";
    sandbox.write("Cargo.toml", manifest);
    sandbox.write("src/main.rs", "fn main() {}");
    sandbox.write("tests/api.rs", "#[test]\nfn it_works() {}\n");
    sandbox.write("tests/own.rs", "fn main() { does not compile }");
    let init = sandbox.ansar(["init"]).run();
    let root = sandbox.path();
    init.success().stdout_is("");
    let expected = format!(
        "   Described role `test-api`, which runs the tests of `api`\n    \
         Proposed role `plain-0` in a comment, which runs `plain`\n    \
         Proposed role `test-own` in a comment, which runs the tests of `own`\n       \
         Wrote `[workspace.metadata.ansar]` in `{}/Cargo.toml`\n\
         hint: now type `cargo ansar test`\n",
        root.display()
    );
    assert_eq!(init.stderr, expected);
    let after = sandbox.read("Cargo.toml");
    assert_eq!(
        after.strip_prefix(manifest),
        Some(
            r#"
# The processes of this workspace, for `cargo ansar`. A role whose name matches `tests` is a
# test; all others run while the tests run.
# Next: `cargo ansar test`, or `cargo ansar watch` to test again at every save.
[workspace.metadata.ansar]
tests = "test-.*"

# Integration tests, as they are. The address of a role `api-0` with a `{port}` is in
# `ANSAR_API_0_ADDRESS`. You may add `after = ["ROLE"]` and `filter = ["PART OF A NAME"]`.
# Next: `cargo ansar test test-api`.
[workspace.metadata.ansar.role.test-api]
test = "api"

# Others, which only you know how to run. To make one a role, remove the `# ` before its
# lines, and add what it needs, such as:
#   args = ["--port", "{port}"]    a port of its own; the role is ready when it listens there
#   env = { PORT = "{port}" }      the same, by a variable
#   ready = "done"                 for one that ends by itself, such as a migration
#   after = ["ROLE"]               roles that must be ready first
# Next: `cargo ansar run plain-0`.

# [workspace.metadata.ansar.role.plain-0]
# executable = "plain"

# [workspace.metadata.ansar.role.test-own]
# test = "own"
# It has a harness of its own, which is also started with `--list`.
"#
        )
    );
    let test = sandbox.ansar(["test"]).run();
    test.success()
        .stdout_is("role \"test-api\" (pass/fail): 1/0\n");
}

#[test]
fn init_needs_a_binary_or_a_test() {
    let sandbox = Sandbox::new();
    sandbox.write("src/lib.rs", "");
    let manifest = "[package]\nname = \"plain\"\nedition = \"2024\"\n\n[workspace]\n";
    sandbox.write("Cargo.toml", manifest);
    let init = sandbox.ansar(["init"]).run();
    init.code(96)
        .stderr_has("no package of the workspace has a binary or an integration test");
    assert_eq!(sandbox.read("Cargo.toml"), manifest);
    sandbox
        .ansar(["build"])
        .run()
        .code(96)
        .stderr_has("describes no roles");
}

#[test]
fn init_needs_a_workspace() {
    let sandbox = Sandbox::new();
    let init = sandbox.ansar(["init"]).run();
    init.code(96)
        .stderr_has("no `Cargo.toml` in `")
        .stderr_has("hint: ");
}

#[test]
fn init_describes_a_package_without_a_workspace() {
    let sandbox = Sandbox::new();
    let manifest = "[package]\r\nname = \"alone\"\r\nedition = \"2024\"\r\n\r\n\
                    [dependencies]\r\nansar-runtime = { path = \"runtime\" }\r\n";
    sandbox.write("Cargo.toml", manifest);
    // `init` looks only at the marker; a build of the library takes long.
    let runtime = "[package]\nname = \"ansar-runtime\"\nedition = \"2024\"\n";
    sandbox.write("runtime/Cargo.toml", runtime);
    sandbox.write(
        "runtime/src/lib.rs",
        &format!("{PLAIN_MARKER}\npub fn main() {{ std::hint::black_box(&MARKER); }}\n"),
    );
    let main = "fn main() { ansar_runtime::main() }\n";
    sandbox.write("src/main.rs", main);
    sandbox.write("src/bin/alone-test.rs", main);
    let ran = sandbox.path().join("ran");
    let foreign = format!("fn main() {{ std::fs::write({ran:?}, \"\").unwrap(); }}\n");
    sandbox.write("src/bin/tool.rs", &foreign);
    sandbox
        .ansar(["init"])
        .run()
        .success()
        .stderr_has("Described role `alone-0`, which runs `alone`")
        .stderr_has("Described role `test-alone-test`, which runs `alone-test`")
        .stderr_has("Proposed role `tool-0` in a comment, which runs `tool`");
    assert!(!ran.exists(), "it was run to find out what it is");
    let after = sandbox.read("Cargo.toml");
    let added = after
        .strip_prefix(manifest)
        .expect("the manifest's own text stays");
    assert!(
        added.contains("[workspace.metadata.ansar.role.alone-0]\r\n"),
        "{added:?}"
    );
    let commented = "\r\n# [workspace.metadata.ansar.role.tool-0]\r\n";
    assert!(added.contains(commented), "{added:?}");
    let list = sandbox.ansar(["test", "--list"]).in_dir("src").run();
    list.success().stdout_is("test-alone-test\n");
}

/// A workspace with the binaries `api` and `migrate`, and a description.
fn described() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "Cargo.toml",
        "[package]\nname = \"api\"\nedition = \"2024\"\n\n[workspace.metadata.ansar] # mine\n",
    );
    sandbox.write("src/main.rs", "fn main() { does not compile }");
    sandbox.write("src/bin/migrate.rs", "fn main() {}");
    sandbox
}

#[test]
fn init_translates_a_compose_file() {
    let sandbox = described();
    let before = sandbox.read("Cargo.toml");
    sandbox.write(
        "compose.yaml",
        "services:\n  cache: { image: redis }\n  migrate: { build: ., tty: true }\n  api:\n    \
         build: .\n    environment: { REDIS_URL: 'redis://cache:6379' }\n    \
         depends_on: { cache: { condition: service_healthy } }\n",
    );
    let init = sandbox.ansar(["init", "--from", "compose.yaml"]).run();
    init.success()
        .stdout_is("")
        .stderr_has("Described role `cache-0`, which runs `redis-server`")
        .stderr_has("Described role `api-0`, which runs `api`")
        .stderr_has("Wrote `[workspace.metadata.ansar]` in `")
        .stderr_has("warning: 1 part of `compose.yaml` is not translated; comments say why");
    let after = sandbox.read("Cargo.toml");
    let added = after
        .strip_prefix(&before)
        .expect("the manifest's own text stays");
    assert!(
        added.contains("env = { REDIS_URL = \"redis://{address:cache-0}\" }\n"),
        "{added}"
    );
}

#[test]
fn init_keeps_existing_roles() {
    let sandbox = described();
    sandbox.write("Procfile", "migrate: target/debug/migrate\n");
    sandbox
        .ansar(["init", "--from", "Procfile"])
        .run()
        .success()
        .stderr_has("Described role `migrate-0`, which runs `migrate`");
    let after = sandbox.read("Cargo.toml");
    let line = after
        .lines()
        .position(|line| line == "[workspace.metadata.ansar.role.migrate-0]")
        .expect("the role is described");
    let again = sandbox.ansar(["init", "--from", "Procfile"]).run();
    again.code(96).stderr_has(&format!(
        "Cargo.toml: role `migrate-0` exists in line {}\nhint: ",
        line + 1
    ));
    assert_eq!(sandbox.read("Cargo.toml"), after);
}

#[test]
fn init_names_the_line_that_it_cannot_translate() {
    let sandbox = described();
    let before = sandbox.read("Cargo.toml");
    sandbox.write("Procfile", "web: api\nno process\n");
    sandbox
        .ansar(["init", "--from", "Procfile"])
        .run()
        .code(96)
        .stderr_has("error: Procfile:2: expected `NAME: COMMAND`");
    sandbox
        .ansar(["init", "--from", "no-such"])
        .run()
        .code(96)
        .stderr_has("no-such");
    assert_eq!(sandbox.read("Cargo.toml"), before);
}

#[test]
fn init_finds_files_of_other_tools() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "Cargo.toml",
        "[package]\nname = \"api\"\nedition = \"2024\"\n",
    );
    sandbox.write("src/main.rs", "fn main() {}");
    sandbox.write("Procfile", "web: api\n");
    sandbox.write("docker-compose.yml", "");
    sandbox
        .ansar(["init"])
        .run()
        .success()
        .stderr_has("Found `docker-compose.yml`, which describes processes too")
        .stderr_has("hint: translate it with `cargo ansar init --from docker-compose.yml`")
        .stderr_has("hint: translate it with `cargo ansar init --from Procfile`");
}
