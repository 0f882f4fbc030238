//! The commands and code of the README, in a project of its own.

use std::fs;

use tests::{Sandbox, Workspace, bins_of, loopback, repository};

use crate::documents::page::Page;

fn readme() -> String {
    let readme = fs::read_to_string(repository().join("README.md"));
    readme.expect("there is a README")
}

/// Returns the first code block of a language in the README.
#[track_caller]
fn block(language: &str) -> String {
    let readme = readme();
    let fence = format!("\n```{language}\n");
    let (_, behind) = readme.split_once(&fence).expect("it has such a block");
    let (code, _) = behind.split_once("\n```").expect("the block ends");
    format!("{code}\n")
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

/// An ordinary test of a project, against a running server.
const LIVE: &str = r#"
#[test]
fn the_server_answers() {
    use std::io::{Read, Write};
    let host = std::env::var("ANSAR_SERVER_0_HOST").unwrap();
    let port: u16 = std::env::var("ANSAR_SERVER_0_PORT").unwrap().parse().unwrap();
    let mut server = std::net::TcpStream::connect((host.as_str(), port)).unwrap();
    server.write_all(b"echo").unwrap();
    let mut answer = [0; 4];
    server.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"echo");
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
    let host = loopback().to_string();
    // Tests run side by side, but the README has one address.
    let elsewhere = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "`{from}` in\n{text}");
        text.replace(from, to)
    };
    let client = elsewhere(&block("rust"), "127.0.0.1", &host);
    let port = format!("host = \"{host}\", port = 65432");
    let description = elsewhere(&block("toml"), "port = 65432", &port);

    project.write(
        "Cargo.toml",
        "[package]\nname = \"word-map\"\nedition = \"2024\"\n\n[dependencies]\n",
    );
    project.write("src/bin/client.rs", &client);
    let server = fs::read_to_string(repository().join("test-fixtures/src/bin/server.rs"));
    project.write("src/bin/server.rs", &server.expect("there is a server"));
    project.write("tests/live.rs", LIVE);
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
    // The demonstration's server, and its dependencies.
    let tokio = ["add", "tokio", "--features", "net,io-util,macros"];
    project.cargo(tokio).run().success();

    let ansar = |arguments: &[&str]| {
        let ansar = project.ansar(arguments).env("CARGO_TARGET_DIR", &target);
        ansar
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("CARGO_INCREMENTAL", "0")
            .run()
    };
    assert_eq!(
        commands("cargo ansar "),
        ["cargo ansar init", "cargo ansar test"]
    );
    let manifest = project.read("Cargo.toml");
    ansar(&["init"]).success();
    let proposed = project.read("Cargo.toml");
    assert!(proposed.starts_with(&manifest) && proposed.contains("[workspace.metadata.ansar]"));

    project.write("Cargo.toml", &format!("{manifest}\n{description}"));
    project.write(
        "testing/model-by-role/server-0/word-map.json",
        r#"{"value": []}"#,
    );
    let tested = ansar(&["test"]);
    tested.success().stderr_has("Passed 40 checks in 40 roles");
    let live = ansar(&["with", "--", "cargo", "test", "--test", "live"]);
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
