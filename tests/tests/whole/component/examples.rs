//! `examples/components`, as its users run it.

use std::fs;

use tests::{Workspace, repository};

/// Copies the example to a workspace whose dependencies are compiled already, as
/// a member of it.
fn components() -> Workspace {
    let workspace = Workspace::new();
    let example = repository().join("examples/components");
    let read = |file: &str| fs::read_to_string(example.join(file)).expect("it is read");
    let manifest = read("Cargo.toml");
    let (package, tables) = manifest
        .split_once("[workspace]\n")
        .expect("it is a workspace of its own");
    workspace.manifest(tables);
    workspace.edit(
        "Cargo.toml",
        "members = [\"ansar-runtime\", \"test-fixtures\"]",
        "members = [\"ansar-runtime\", \"examples/components\"]",
    );
    workspace.write("examples/components/Cargo.toml", package);
    let bins = fs::read_dir(example.join("src/bin")).expect("it is read");
    let bins = bins.map(|entry| entry.expect("it is read").file_name());
    let bins = bins.map(|name| format!("src/bin/{}", name.to_string_lossy()));
    for file in bins.chain(["src/lib.rs".to_owned()]) {
        workspace.write(format!("examples/components/{file}"), &read(&file));
    }
    workspace
}

#[test]
fn the_components_of_the_example_pass() {
    let workspace = components();
    let test = workspace.ansar(["test"]).run();
    test.success()
        .stdout_is("role \"test-calls\" (pass/fail): 2/0\nrole \"test-client\" (pass/fail): 1/0\n");
    for (role, line) in [
        ("hello-0", "Hello"),
        ("primes-0", "25 primes below 100"),
        ("echo-0", "Listening on 127.0.0.1:"),
    ] {
        let log = workspace.ansar(["log", role]).run();
        log.success().stdout_has(line);
    }
    let history = workspace.ansar(["history", "primes-0"]).run();
    history.success().stdout_has("(Primes)");
    // It stops by itself, and is not killed.
    let history = workspace.ansar(["history", "-l", "echo-0"]).run();
    history.success().stdout_has("stopped");
}
