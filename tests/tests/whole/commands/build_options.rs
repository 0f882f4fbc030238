//! `[workspace.metadata.ansar.build]`: options for every Cargo that the tool
//! runs.

use std::os::unix::fs::PermissionsExt;

use tests::Sandbox;

/// A package whose binary compiles only with the feature `local` and the
/// variable `WORD`.
fn sandbox(options: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let manifest = format!(
        "[package]\nname = \"api\"\nedition = \"2024\"\n[features]\nlocal = []\nother = []\n\
         [workspace]\n[workspace.metadata.ansar.build]\n{options}\n\
         [workspace.metadata.ansar.role.api-0]\nexecutable = \"api\"\ncomponent = false\n"
    );
    sandbox.write("Cargo.toml", &manifest);
    sandbox.write(
        "src/main.rs",
        "#[cfg(not(feature = \"local\"))]\ncompile_error!(\"not local\");\n\
         fn main() { println!(\"{} {}\", env!(\"WORD\"), cfg!(feature = \"other\")); }\n",
    );
    sandbox
}

#[track_caller]
fn prints(sandbox: &Sandbox, profile: &str, expected: &str) {
    let path = format!("target/{profile}/api");
    sandbox.shell(&path).run().success().stdout_is(expected);
}

#[test]
fn options_apply_to_every_command() {
    let sandbox =
        sandbox("features = [\"local\"]\nprofile = \"release\"\nenv = { WORD = \"word\" }");
    sandbox.ansar(["build"]).run().success();
    prints(&sandbox, "release", "word false\n");
    sandbox.ansar(["check"]).run().success();
}

#[test]
fn flags_add_features_and_replace_the_profile() {
    let sandbox =
        sandbox("features = [\"local\"]\nprofile = \"release\"\nenv = { WORD = \"word\" }");
    sandbox
        .ansar(["build", "--profile=dev", "-F", "other"])
        .run()
        .success();
    prints(&sandbox, "debug", "word true\n");
}

#[test]
fn a_profile_that_does_not_exist_is_an_error_of_cargo() {
    let sandbox = sandbox("features = [\"local\"]\nprofile = \"no-such\"");
    sandbox
        .ansar(["build"])
        .run()
        .code(101)
        .stderr_has("`no-such`");
}

/// A package whose build script needs a server, `db-0`, and a test.
fn needy(db: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let manifest = format!(
        "[package]\nname = \"api\"\nedition = \"2024\"\n[workspace]\n\
         [workspace.metadata.ansar.build]\nenv = {{ DB = \"{{address:db-0}}\" }}\n\
         needs = [\"db-0\"]\n\
         [workspace.metadata.ansar.role.db-0]\n{db}\n\
         [workspace.metadata.ansar.role.api-0]\nexecutable = \"api\"\nready = \"done\"\n\
         [workspace.metadata.ansar.role.test-db]\nprogram = \"./connect.py\"\n\
         args = [\"{{address:db-0}}\"]\nafter = [\"api-0\", \"db-0\"]\n"
    );
    sandbox.write("Cargo.toml", &manifest);
    sandbox.write(
        "src/main.rs",
        "fn main() { println!(\"{}\", env!(\"DB\")); }\n",
    );
    sandbox.write(
        "build.rs",
        "fn main() {\n    let db = std::env::var(\"DB\").unwrap();\n    \
         std::net::TcpStream::connect(&db).expect(\"the server runs\");\n    \
         println!(\"cargo::rerun-if-changed=ask\\ncargo::rustc-env=DB={db}\");\n}\n",
    );
    sandbox.write("ask", "");
    let connect = sandbox.write(
        "connect.py",
        "#!/usr/bin/env python3\nimport socket, sys\n\
         host, port = sys.argv[1].split(\":\")\nsocket.create_connection((host, int(port)))\n",
    );
    std::fs::set_permissions(connect, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    sandbox
}

const SERVER: &str = "program = \"python3\"\n\
                      args = [\"-m\", \"http.server\", \"{port}\", \"--bind\", \"{bind}\"]";

#[test]
fn needed_roles_run_while_cargo_does() {
    let sandbox = needy(SERVER);
    sandbox.ansar(["build"]).run().success();
    sandbox.ansar(["stop", "db-0"]).run().code(105);
    // The home has roles only for the build, and is still deployed first.
    let start = sandbox.ansar(["start"]).run();
    start
        .success()
        .stderr_has("1 of 1 executable")
        .stderr_lacks("Stopping");
    sandbox.ansar(["stop", "-f"]).run().success();
    // The port stays the same, so that nothing is compiled again.
    sandbox
        .ansar(["test"])
        .run()
        .success()
        .stderr_lacks("Compiling");
    sandbox.write("ask", "1");
    sandbox.ansar(["check"]).run().success();
    sandbox.write("ask", "2");
    sandbox.ansar(["deploy"]).run().success();
}

#[test]
fn a_fresh_test_run_starts_needed_roles_first() {
    let sandbox = needy(SERVER);
    sandbox.ansar(["test"]).run().success();
}

#[test]
fn a_needed_role_in_the_background_is_used() {
    let sandbox = needy(SERVER);
    sandbox.ansar(["start", "db-0"]).run().success();
    sandbox.write("ask", "1");
    sandbox.ansar(["build"]).run().success();
    sandbox.ansar(["status"]).run().stdout_has("db-0");
    sandbox.ansar(["stop", "db-0"]).run().success();
}

#[test]
fn a_needed_role_that_fails_is_named() {
    let sandbox = needy("program = \"sh\"\nargs = [\"-c\", \"exit 3\"]\nports = { port = 4000 }");
    sandbox
        .ansar(["build"])
        .run()
        .code(105)
        .stderr_has("error: role `db-0`, which the build needs, failed: ")
        .stderr_has("hint: see what it printed with `cargo ansar log db-0`")
        .stderr_lacks("Compiling");
}

#[test]
fn an_example_is_an_executable() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "Cargo.toml",
        "[package]\nname = \"api\"\nedition = \"2024\"\n[workspace]\n\
         [workspace.metadata.ansar.role.test-a]\nexecutable = \"prüfung\"\nargs = [\"x\"]\n",
    );
    sandbox.write("src/lib.rs", "");
    sandbox.write(
        "examples/prüfung.rs",
        "fn main() { assert_eq!(std::env::args().nth(1).as_deref(), Some(\"x\")); }\n",
    );
    sandbox.ansar(["test"]).run().success();
    sandbox
        .ansar(["test"])
        .run()
        .success()
        .stderr_lacks("Deploying");
}
