//! Homes and folders that belong to others, or that no home created: nothing in
//! them is removed, emptied, written or run.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use serde_json::{Value, json};
use tests::Sandbox;

use super::{in_place, tree, with_roles};

const HOME: &str = ".ansar-home/home.json";

/// Creates a home with a role that has run, and a folder of the user's.
fn with_a_precious_folder() -> Sandbox {
    let sandbox = with_roles(&["noop"]);
    sandbox.ansar(["run", "-q"]).run().success();
    for name in ["noop-0", "noop-0.called", "other"] {
        sandbox.write(format!("precious/{name}/file"), "1");
    }
    sandbox
}

fn redirect(sandbox: &Sandbox, area: &str, to: &Path) {
    let mut home: Value = serde_json::from_str(&sandbox.read(HOME)).expect("it is JSON");
    home["redirect"][area] = json!(to);
    sandbox.write(HOME, &home.to_string());
}

fn set_mode(path: &Path, mode: u32) {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).expect("it is ours");
}

/// Commands that empty, remove and write.
const COMMANDS: [&[&str]; 5] = [
    &["run"],
    &["delete"],
    &["add", "noop", "other"],
    &["deploy", "--storage-path", "materials"],
    &["destroy"],
];

#[track_caller]
fn refused(sandbox: &Sandbox, why: &str) {
    let before = tree(sandbox, ".");
    for command in COMMANDS {
        let output = sandbox.ansar(command).run();
        output.code(96).stderr_has(why).stderr_has("\nhint: ");
    }
    assert_eq!(tree(sandbox, "."), before);
}

#[test]
fn a_foreign_area_is_left_alone() {
    let sandbox = with_a_precious_folder();
    let home = sandbox.read(HOME);
    std::fs::create_dir(sandbox.path().join("materials")).expect("it is new");
    symlink("precious", sandbox.path().join("link")).expect("it is new");
    let at = |path: &str| sandbox.path().join(path);
    for area in ["tmp", "model", "logs", "lock", "entry", "resource"] {
        for (to, why) in [
            (at("precious"), "no home made this folder"),
            (at("precious/../precious"), "no home made this folder"),
            (at("link"), "not a directory (symlink)"),
            (at(".ansar-home"), "no home made this folder"),
            (at(".ansar-home/model"), "no home made this folder"),
            (at("precious/noop-0/file"), "not a directory (regular file)"),
            (at("nowhere"), "no such folder"),
            ("/".into(), "no home made this folder"),
            ("precious".into(), "expected an absolute path"),
            ("../scratch/precious".into(), "expected an absolute path"),
        ] {
            redirect(&sandbox, area, &to);
            refused(&sandbox, why);
        }
        sandbox.write(HOME, &home);
    }
}

#[test]
fn an_area_of_another_home_or_kind() {
    let sandbox = with_a_precious_folder();
    let elsewhere = ["--redirect-tmp=there", "--redirect-model=there"];
    let create = sandbox.ansar(["create", "other", &in_place()]);
    create.args(elsewhere).run().success();
    let other: Value = serde_json::from_str(&sandbox.read("other/home.json")).expect("it is JSON");
    let folder =
        |area: &str| Path::new(other["redirect"][area].as_str().expect("a path")).to_owned();
    std::fs::create_dir(sandbox.path().join("materials")).expect("it is new");
    redirect(&sandbox, "tmp", &folder("tmp"));
    refused(&sandbox, "it belongs to home `");
    // Also not by a home that claims to be the other one.
    let mut home: Value = serde_json::from_str(&sandbox.read(HOME)).expect("it is JSON");
    home["id"] = other["id"].clone();
    sandbox.write(HOME, &home.to_string());
    refused(&sandbox, "it belongs to home `");
    home["redirect"] = json!({"tmp": folder("model")});
    home["root"] = other["root"].clone();
    sandbox.write(HOME, &home.to_string());
    refused(&sandbox, "it belongs to home `");
    sandbox.ansar(["destroy", "other"]).run().success();
    assert!(tree(&sandbox, "there").is_empty());
}

#[test]
fn a_symlinked_folder_is_not_followed() {
    let sandbox = with_a_precious_folder();
    std::fs::create_dir(sandbox.path().join("materials")).expect("it is new");
    for folder in [
        "tmp", "model", "logs", "entry", "lock", "engine", "history", "last", "kept",
    ] {
        let path = sandbox.path().join(".ansar-home").join(folder);
        let kept = sandbox.path().join("kept");
        let was_there = std::fs::rename(&path, &kept).is_ok();
        symlink(sandbox.path().join("precious"), &path).expect("nothing is there");
        refused(&sandbox, "not a directory (symlink)");
        std::fs::remove_file(&path).expect("it is there");
        if was_there {
            std::fs::rename(&kept, &path).expect("nothing is there");
        }
    }
    for area in ["tmp", "model", "logs"] {
        let path = sandbox.path().join(".ansar-home").join(area).join("noop-0");
        std::fs::remove_dir_all(&path).expect("it is there");
        symlink(sandbox.path().join("precious/other"), &path).expect("nothing is there");
        let run = sandbox.ansar(["run"]).run();
        if area == "tmp" {
            run.success();
        } else {
            run.code(96).stderr_has("not a directory (symlink)");
            std::fs::remove_file(&path).expect("it is there");
        }
        assert_eq!(sandbox.read("precious/other/file"), "1");
    }
}

#[test]
fn a_home_of_the_previous_version() {
    let sandbox = Sandbox::new();
    let elsewhere = ["--redirect-tmp=there", "--redirect-logs=there"];
    let create = sandbox.ansar(["create", &in_place()]);
    create.args(elsewhere).run().success();
    let mut home: Value = serde_json::from_str(&sandbox.read(HOME)).expect("it is JSON");
    // An old home stored neither its path nor the owner of its areas.
    home.as_object_mut().expect("an object").remove("root");
    sandbox.write(HOME, &home.to_string());
    for area in ["tmp", "logs"] {
        let folder = home["redirect"][area].as_str().expect("a path");
        std::fs::remove_file(Path::new(folder).join(".ansar-area")).expect("it is there");
    }
    sandbox.ansar(["add", "noop"]).run().success();
    sandbox.ansar(["run", "-q"]).run().success();
    let marks = tree(&sandbox, "there").into_iter();
    assert_eq!(
        marks.filter(|path| path.ends_with("/.ansar-area")).count(),
        2
    );
    // A folder that merely has the right name is not used.
    let own = sandbox.path().join("precious-1");
    sandbox.write("precious-1/file", "1");
    let mut other = home.clone();
    other["id"] = json!("1");
    other["redirect"] = json!({});
    other["redirect"]["tmp"] = json!(sandbox.path().join("tmp-1"));
    std::fs::rename(own, sandbox.path().join("tmp-1")).expect("it is ours");
    sandbox.write("stranger/home.json", &other.to_string());
    set_mode(&sandbox.path().join("stranger"), 0o700);
    let destroy = sandbox.ansar(["destroy", "stranger"]).run();
    destroy.code(96).stderr_has("no home made this folder");
    assert_eq!(sandbox.read("tmp-1/file"), "1");
    sandbox.ansar(["destroy"]).run().success();
    assert!(tree(&sandbox, "there").is_empty());
}

#[test]
fn a_home_with_open_permissions() {
    let sandbox = with_roles(&["noop"]);
    let home = sandbox.path().join(".ansar-home");
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    set_mode(&home, 0o755);
    sandbox
        .ansar(["list"])
        .run()
        .success()
        .stdout_is("noop-0\n");
    assert_eq!(mode(&home), 0o700);
    set_mode(&home, 0o777);
    let list = sandbox.ansar(["list"]).run();
    list.code(96)
        .stderr_has("other users can write to `")
        .stderr_has("hint: ");

    let open = sandbox.path().join("open");
    std::fs::create_dir(&open).expect("it is new");
    set_mode(&open, 0o777);
    let below = sandbox.ansar(["create", "open/home"]).run();
    below
        .code(96)
        .stderr_has("other users can replace `")
        .stderr_has("/scratch/open`");
    assert!(!open.join("home").exists());
    sandbox.ansar(["create", "open"]).run().success();
    assert_eq!(mode(&open), 0o700);
}

#[test]
fn nothing_is_run_that_others_can_replace() {
    let sandbox = Sandbox::new();
    let noop = tests::executable("noop");
    std::fs::create_dir(sandbox.path().join("bin")).expect("it is new");
    std::fs::copy(noop, sandbox.path().join("bin/noop")).expect("it is copied");
    sandbox
        .ansar(["create", "--redirect-bin=bin"])
        .run()
        .success();
    sandbox.ansar(["add", "noop"]).run().success();
    for path in ["bin", "bin/noop", "."] {
        let path = sandbox.path().join(path);
        let mode = path.metadata().expect("it is there").permissions().mode();
        set_mode(&path, 0o777);
        for command in [&["run"][..], &["add", "noop", "other"]] {
            let output = sandbox.ansar(command).run();
            output.code(96).stderr_has("other users can replace `");
        }
        set_mode(&path, mode);
    }
    sandbox.ansar(["run", "-q"]).run().success();
    sandbox.ansar(["destroy"]).run().success();
    assert!(sandbox.path().join("bin/noop").exists());
}

/// A root-owned folder may have any permissions; a program that others can
/// write is not run, even if root owns it.
#[test]
fn a_writable_executable_of_root_is_not_run() {
    let sandbox = Sandbox::new();
    let scratch = sandbox.path();
    let is_root = scratch.metadata().expect("it is there").uid() == 0;
    if !is_root || !Path::new("/usr/bin/setpriv").exists() {
        return;
    }
    set_mode(scratch.parent().expect("it has one"), 0o755);
    for (from, to) in [("cargo-ansar", "tool"), ("noop", "open/bin/noop")] {
        sandbox.write(to, "");
        // In another process: a file open for writing cannot be executed.
        let copy = sandbox.program("cp").arg(tests::executable(from));
        copy.arg(scratch.join(to)).run().success();
        set_mode(&scratch.join(to), 0o755);
    }
    for folder in ["open", "open/bin"] {
        set_mode(&scratch.join(folder), 0o777);
    }
    let as_user = |words: &str| {
        let user = ["--reuid=64321", "--regid=64321", "--clear-groups"];
        let user = sandbox.program("setpriv").args(user);
        let user = user.arg(scratch.join("tool")).arg("ansar");
        user.args(words.split(' ')).env("HOME", &scratch).run()
    };
    as_user("create open/home --redirect-bin=open/bin").success();
    as_user("--home-path=open/home add noop").success();
    as_user("--home-path=open/home run -q").success();
    set_mode(&scratch.join("open/bin/noop"), 0o757);
    let run = as_user("--home-path=open/home run -q");
    run.code(96)
        .stderr_has("other users can replace `")
        .stderr_has("/open/bin/noop`");
}

#[test]
fn only_one_home_can_be_named() {
    let sandbox = Sandbox::new();
    for words in [
        ["create", "a", "--home-path=b"],
        ["--home-path=b", "create", "a"],
    ] {
        let two = sandbox.ansar(words).run();
        two.code(2).stderr_has("two homes: `a` and `--home-path b`");
    }
    assert!(tree(&sandbox, ".").is_empty());
    let by_variable = sandbox.ansar(["create", "a"]).env("ANSAR_HOME", "b");
    by_variable.run().success();
    sandbox.read("a/home.json");
}

#[test]
fn a_removed_working_folder_is_named() {
    let sandbox = Sandbox::new();
    let script = "mkdir gone && cd gone && rmdir ../gone && cargo-ansar ansar list";
    let list = sandbox.shell(script).run();
    list.code(96)
        .stderr_has("error: the current directory is gone: ")
        .stderr_has("\nhint: ");
}

#[test]
fn an_unfinished_removal_spares_foreign_files() {
    let sandbox = with_a_precious_folder();
    redirect(&sandbox, "tmp", &sandbox.path().join("precious"));
    sandbox.write(".ansar-home/pending.json", r#"{"destroy": true}"#);
    sandbox.ansar(["list"]).run().code(96);
    assert!(!sandbox.path().join(HOME).exists());
    assert_eq!(sandbox.read("precious/noop-0/file"), "1");

    // A copy does not finish an operation that was begun in the original.
    let create = sandbox.ansar(["create", &in_place(), "--redirect-tmp=there"]);
    create.run().success();
    let copied = sandbox.program("cp").args(["-a", ".ansar-home", "copy"]);
    copied.run().success();
    sandbox.write("copy/pending.json", r#"{"destroy": true}"#);
    sandbox.ansar(["destroy", "copy"]).run().success();
    assert_eq!(tree(&sandbox, "there").len(), 2);
    sandbox.ansar(["destroy"]).run().success();
    assert!(tree(&sandbox, "there").is_empty());
}
