//! The commands and code of the README, in a project of its own.

use std::fs;

use tests::{Sandbox, Workspace, bins_of, repository};

use crate::documents::page::Page;

fn readme() -> String {
    let readme = fs::read_to_string(repository().join("README.md"));
    readme.expect("there is a README")
}

/// Returns the code blocks of a language in the README.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let fence = format!("\n```{language}\n");
    let behind = readme.split(&fence).skip(1);
    let code = behind.map(|text| text.split("\n```").next().expect("split gives one"));
    code.map(|code| format!("{code}\n")).collect()
}

/// Returns the commands of the README with this beginning.
fn commands(beginning: &str) -> Vec<String> {
    let readme = readme();
    let commands = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = commands.filter(|line| line.starts_with(beginning));
    commands
        .map(|line| line.split(" #").next().unwrap_or(line).trim().to_owned())
        .collect()
}

/// A server that listens where it is told to.
const SERVER: &str = r#"
fn main() {
    let port = std::env::var("PORT").expect("the port");
    let listener = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).expect("a listener");
    for client in listener.incoming() {
        drop(client);
    }
}
"#;

/// `test::demo` runs the demonstration.
#[test]
fn the_first_commands_run_the_demonstration() {
    assert_eq!(commands("cargo run "), ["cargo run -p cargo-ansar -- test"]);
    assert_eq!(commands("cargo test"), ["cargo test"]);
    assert_eq!(bins_of("cargo-ansar"), ["cargo-ansar"]);
    assert!(readme().contains("`Passed 3 checks in 1 role`"));
}

#[test]
fn its_code_works_in_a_new_project() {
    // Provides the library and its compiled dependencies.
    let library = Workspace::new();
    let project = Sandbox::new();
    let target = library.path().join("target");
    let rust = blocks("rust");
    let [test, client] = rust.as_slice() else {
        panic!("a test and a client: {rust:?}");
    };
    let description = blocks("toml").concat();

    project.write(
        "Cargo.toml",
        "[package]\nname = \"word-map\"\nedition = \"2024\"\n\n[dependencies]\n",
    );
    project.write("src/bin/client.rs", client);
    project.write("src/bin/server.rs", SERVER);
    project.write("tests/api.rs", test);
    let lock = library.read("Cargo.lock");
    project.write("Cargo.lock", &lock);

    let own = library.path().join("ansar-runtime").display().to_string();
    let adds = commands("cargo add ");
    assert!(!adds.is_empty(), "the README says what to depend on");
    for add in adds {
        let words = add.replace("../cargo-ansar/ansar-runtime", &own);
        let words = words.split_whitespace().skip(1);
        project.cargo(words).run().success();
    }

    let ansar = |arguments: &[&str]| {
        let ansar = project.ansar(arguments).env("CARGO_TARGET_DIR", &target);
        ansar
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("CARGO_INCREMENTAL", "0")
            .run()
    };
    assert_eq!(
        commands("cargo ansar "),
        ["cargo ansar init", "cargo ansar test", "cargo ansar watch"]
    );
    let manifest = project.read("Cargo.toml");
    ansar(&["init"]).success();
    let proposed = project.read("Cargo.toml");
    assert!(proposed.starts_with(&manifest) && proposed.contains("[workspace.metadata.ansar]"));

    project.write("Cargo.toml", &format!("{manifest}\n{description}"));
    let tested = ansar(&["test"]);
    tested.success().stderr_has("Passed 41 checks in 41 roles");
    let live = ansar(&["with", "--", "cargo", "test", "--test", "api"]);
    live.success().stdout_has("1 passed");
    // nextest is optional; CI has it.
    let nextest = project.cargo(["nextest", "--version"]).run();
    if nextest.status.success() {
        let words = "with -- cargo nextest run";
        let guide = Page::chapter("guides/testing.md");
        assert!(guide.text.contains(&format!("`cargo ansar {words}`")));
        let words: Vec<&str> = words.split(' ').collect();
        ansar(&words).success().stderr_has("1 test run: 1 passed");
    }
    project.is_still();
}
