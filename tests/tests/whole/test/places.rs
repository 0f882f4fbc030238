//! Runs from any folder, and with a home in any folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{CLIENT, Group, PASSED, SERVER, log, only_place};

#[test]
fn from_a_sub_folder() {
    let group = Group::demo();
    let output = group.test([]).in_dir("test-fixtures/src/bin").run();
    output.success().stdout_is(PASSED);
    assert!(group.home().join("home.json").is_file());
    group.test([]).run().success().stderr_lacks("Deploying");
}

#[test]
fn from_outside_by_the_path_of_a_manifest() {
    let group = Group::demo();
    for manifest in ["scratch/Cargo.toml", "scratch/test-fixtures/Cargo.toml"] {
        let test = group.test(["--manifest-path", manifest]).in_dir("..");
        test.run().success().stdout_is(PASSED);
    }
    assert!(group.home().join("home.json").is_file());
    let nowhere = group.test(["--manifest-path", "Cargo.toml"]).in_dir("..");
    nowhere
        .run()
        .code(96)
        .stdout_is("")
        .stderr_has("Cargo.toml");
    let nowhere = group
        .test([])
        .in_dir("../tmp/..")
        .env("ANSAR_HOME", "/nothing");
    let nowhere = nowhere.in_dir("/");
    nowhere
        .run()
        .code(96)
        .stderr_has("no `Cargo.toml` in `/` or any folder above")
        .stderr_has("--manifest-path");
}

#[test]
fn in_a_path_with_spaces_and_umlauts() {
    const FOLDER: &str = "wörter büch für & 'mehr'";
    let group = Group::demo();
    let folder = group.path().join(FOLDER);
    fs::create_dir(&folder).expect("it is new");
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        "ansar-runtime",
        "test-fixtures",
        "target",
    ] {
        fs::rename(group.path().join(name), folder.join(name)).expect("it moves");
    }
    let first = group.test([]).in_dir(FOLDER).run();
    first.success().stdout_is(PASSED).stderr_lacks("Compiling");

    let client = format!("{FOLDER}/{}", super::CLIENT_RS);
    group.edit(&client, "b\"eager\"", "b\"keen\"");
    let failed = group.test([]).in_dir(FOLDER).run();
    failed.code(100).stderr_has("Deploying client (1 of 3");
    let place = only_place(&failed);
    assert_eq!(place.file, group.path().join(client));
    assert!(place.source().contains("cx.test("), "{place:?}");
}

#[test]
fn with_a_home_elsewhere() {
    let group = Group::of(&[SERVER, CLIENT]);
    let by_flag = group.test(["--home-path", "../home/by-flag"]);
    by_flag
        .in_dir("test-fixtures")
        .run()
        .success()
        .stdout_is(PASSED);
    let by_variable = group.test([]).env("ANSAR_HOME", "by variable");
    by_variable.run().success().stdout_is(PASSED);
    let both = group
        .test(["--home-path=home/by-flag"])
        .env("ANSAR_HOME", "no");
    both.run().success().stderr_lacks("Deploying");
    for home in ["home/by-flag", "by variable"] {
        let home = group.path().join(home);
        let mode = fs::metadata(&home).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        assert!(log(&home, "server-0").contains("Accepted on"));
    }
    assert!(!group.home().exists() && !group.path().join("no").exists());
}

#[test]
fn with_a_home_that_the_description_names() {
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit("Cargo.toml", "snapshot =", "home = \"a/home\"\nsnapshot =");
    group.test([]).in_dir("test-fixtures").run().success();
    assert!(group.path().join("a/home/home.json").is_file());
    assert!(!group.home().exists());
}

/// The address of a socket has 108 bytes.
#[test]
fn with_a_home_beyond_the_socket_length() {
    let group = Group::demo();
    let deep = ["a-folder-of-some-length"; 8].join("/");
    for _ in 0..2 {
        let test = group.test(["--home-path", &deep]);
        test.run().success().stdout_is(PASSED);
    }
    assert!(
        fs::read_dir(group.path().join(&deep).join("engine"))
            .expect("it is there")
            .next()
            .is_none()
    );
}

#[test]
fn an_incomplete_home_is_completed() {
    let group = Group::of(&[SERVER, CLIENT]);
    for folder in ["bin", "entry", "engine"] {
        fs::create_dir_all(group.home().join(folder)).expect("it is new");
    }
    group.write(".ansar-home/.gitignore", "*\n");
    group.test([]).run().success().stdout_is(PASSED);
}

#[test]
fn a_folder_that_is_no_home() {
    let group = Group::of(&[SERVER, CLIENT]);
    let failed = group.test(["--home-path", "test-fixtures"]).run();
    failed
        .code(96)
        .stdout_is("")
        .stderr_has("is not a home, and not an empty folder");
    assert!(!group.path().join("test-fixtures/bin").exists());
    for file in ["mine/bin/tool", "own/.gitignore"] {
        group.write(file, "of the user");
        let folder = file.split('/').next().expect("it has a folder");
        let failed = group.test(["--home-path", folder]).run();
        failed
            .code(96)
            .stderr_has("is not a home, and not an empty folder");
        assert_eq!(group.read(file), "of the user");
    }
}

#[test]
fn a_syntax_error_in_the_manifest_is_located() {
    let group = Group::demo();
    let manifest = group.read("Cargo.toml");
    let lines = manifest.lines().count();
    group.write("Cargo.toml", &format!("{manifest}\nbroken =\n"));
    for command in ["test", "list", "deploy"] {
        let output = group.ansar([command]).run();
        output
            .code(96)
            .stdout_is("")
            .stderr_has(&format!("Cargo.toml:{}:", lines + 2))
            .stderr_has("invalid TOML: ");
    }
}
