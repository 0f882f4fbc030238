//! The demonstration: the first minutes of a reader of the README.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::{loopback, repository};

use super::{CLIENT, CLIENT_RS, Group, PASSED, SERVER, WORDS, only_place, places, roles};

#[test]
fn the_demo_passes_as_it_is_described() {
    let group = Group::of(&[]);
    let own = fs::read_to_string(repository().join("Cargo.toml")).expect("it is there");
    let at = own
        .find("[workspace.metadata.ansar]")
        .expect("it is described");
    let address = loopback().to_string();
    group.manifest(&own[at..].replace("127.0.0.1", &address));

    let first = group.test([]).run();
    first.success().stdout_is(PASSED);
    first
        .stderr_has("     Created home")
        .stderr_has("(3 of 3 executables), 3 roles affected")
        .stderr_has("     Testing 1 role against 2 operational roles")
        .stderr_has("      Passed 3 checks in 1 role, ")
        .stderr_lacks("warning");
    group.is_still();
}

#[test]
fn a_second_run_deploys_nothing() {
    let group = Group::demo();
    group.test([]).run().success();
    for _ in 0..2 {
        let again = group.test([]).run();
        again.success().stdout_is(PASSED).stderr_lacks("Deploying");
        again.stderr_lacks("Created").stderr_lacks("Compiling");
        group.is_still();
    }
}

#[test]
fn a_touched_source_deploys_nothing() {
    let group = Group::demo();
    group.test([]).run().success();
    let text = group.read(CLIENT_RS);
    group.write(CLIENT_RS, &text);
    let again = group.test([]).run();
    again
        .success()
        .stderr_has("Compiling")
        .stderr_lacks("Deploying");
}

#[test]
fn a_home_is_private_and_never_committed() {
    let group = Group::demo();
    group.test(["--no-run"]).run().success();
    let folders = [
        "",
        "bin",
        "logs",
        "model",
        "model/server-0",
        "settings",
        "engine",
    ];
    for folder in folders {
        let mode = fs::metadata(group.home().join(folder)).expect("it is there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o700, "`{folder}`");
    }
    assert_eq!(group.read(".ansar-home/.gitignore"), "*\n");
}

#[test]
fn a_changed_word_fails_at_its_line() {
    let group = Group::demo();
    group.test([]).run().success();

    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    let failed = group.test([]).run();
    failed
        .code(100)
        .stdout_has("role \"test-client\" (pass/fail): 2/1\n")
        .stderr_has("Deploying client (1 of 3 executables), 1 role affected")
        .stderr_has("      Failed 1 of 3 checks in 1 of 1 role, ");
    let place = only_place(&failed);
    assert_eq!(place.file, group.path().join(CLIENT_RS));
    assert_eq!(
        place.text,
        "expected b\"keen\" for b\"fervent\", got b\"eager\""
    );
    assert!(place.source().contains("cx.test("), "{place:?}");

    // Another build may have happened in between.
    group.edit(CLIENT_RS, "async fn client(", "\n\n\nasync fn client(");
    group.cargo_build().run().success();
    let moved = group.test([]).run();
    moved
        .code(100)
        .stderr_has("Deploying client (1 of 3 executables), 1 role affected");
    let place_now = only_place(&moved);
    assert_eq!(place_now.line, place.line + 3);
    assert!(place_now.source().contains("cx.test("), "{place_now:?}");

    let again = group.test([]).run();
    again.code(100).stderr_lacks("Deploying");
    assert_eq!(only_place(&again).line, place_now.line);

    group.remove(WORDS);
    let without_words = group.test([]).run();
    without_words
        .code(100)
        .stderr_has("Deploying model/server-0, 1 role affected");
    assert_eq!(places(&without_words).len(), 3);
}

#[test]
fn executables_built_by_hand_are_deployed() {
    let group = Group::demo();
    group.test([]).run().success();
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    group.cargo_build().run().success().stderr_has("Compiling");
    let failed = group.test([]).run();
    failed
        .code(100)
        .stderr_has("Deploying client (1 of 3")
        .stderr_lacks("Compiling");
    only_place(&failed);
}

#[test]
fn words_are_removed_and_restored_by_the_snapshot() {
    let group = Group::demo();
    group.test([]).run().success();
    let words = format!("{WORDS}/word-map.json");
    let text = group.read(&words);
    group.write(".ansar-home/model/server-0/learnt.json", "mine");

    group.remove(&words);
    let failed = group.test([]).run();
    failed
        .code(100)
        .stdout_has("role \"test-client\" (pass/fail): 0/3\n");
    assert_eq!(places(&failed).len(), 3);
    assert!(!group.home().join("model/server-0/word-map.json").exists());

    group.write(&words, &text);
    group.test([]).run().success().stdout_is(PASSED);
    assert_eq!(group.read(".ansar-home/model/server-0/learnt.json"), "mine");
}

#[test]
fn words_changed_by_the_server_are_kept() {
    let group = Group::demo();
    group.test([]).run().success();
    let own = "{\"value\": [[\"fervent\", \"keen\"]]}";
    group.write(".ansar-home/model/server-0/word-map.json", own);
    group.edit(format!("{WORDS}/word-map.json"), "droll", "amusing");
    let failed = group.test([]).run();
    failed
        .code(100)
        .stderr_has("warning: `")
        .stderr_has("model/server-0/word-map.json` is left alone: ");
    assert_eq!(group.read(".ansar-home/model/server-0/word-map.json"), own);
}

#[test]
fn forty_one_clients_pass() {
    let numbered = CLIENT
        .replace("test-client", "\"test-client-{number}\"")
        .replace("settings", "start = 10, count = 40, settings");
    let group = Group::of(&[SERVER, CLIENT, &numbered]);
    let output = group.test([]).run();
    output
        .success()
        .stderr_has("Testing 41 roles against 1 operational role")
        .stderr_has("Passed 123 checks in 41 roles, ");
    let roles = roles(&output);
    assert_eq!(roles.len(), 41);
    assert!(roles.is_sorted(), "{roles:?}");
    assert_eq!(output.stdout.lines().count(), 41);
    let again = group.test([]).run();
    again.success().stderr_lacks("Deploying");
}
