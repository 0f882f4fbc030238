//! The environment of `start`: folders, descriptors, terminals and sessions.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use tests::{Sandbox, Workspace, executable};

use super::{ansar, down, engine, home_with, is_quiet, processes};

/// Returns the file descriptors of a process with their targets.
fn descriptors(pid: i32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    let links = entries.flatten();
    links
        .filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.display().to_string()))
        .collect()
}

#[test]
fn start_leaves_no_descriptors_open() {
    let sandbox = home_with(&["zombie"]);
    let given = sandbox.write("given", "");
    // `cat` ends when the pipe is closed; `run` waits for that.
    let script = "exec 7>given; cargo ansar start zombie-0 2>&1 | cat; echo over";
    let output = sandbox.shell(script).run();
    output
        .success()
        .stdout_has("Started `zombie-0`")
        .stdout_has("over\n");
    let (guardian, engine) = engine(&sandbox).expect("it runs");
    for pid in [guardian, engine, processes(&sandbox)["zombie-0"]] {
        let held = descriptors(pid);
        let given = given.display().to_string();
        assert!(!held.contains(&given), "{pid}: {held:?}");
    }
    down(&sandbox);
}

#[test]
fn a_home_with_a_long_path() {
    let sandbox = Sandbox::new();
    let folder = executable("noop").parent().expect("a file is in a folder");
    let in_place = format!("--redirect-bin={}", folder.display());
    let deep = format!("{}/home", ["a-folder-of-a-name-that-is-long"; 6].join("/"));
    std::fs::create_dir_all(sandbox.path().join(&deep).parent().expect("it has one"))
        .expect("the folders are new");
    let home = format!("--home-path={deep}");
    let at = |words: &str| sandbox.ansar([&*home]).args(words.split(' ')).run();
    at("create").check(true, String::new);
    sandbox.ansar([&*home, "create", &in_place]).run();
    at("destroy -f").success();
    sandbox.ansar([&*home, "create", &in_place]).run().success();
    at("add zombie").success();
    at("start").success();
    at("status").success().stdout_is("zombie-0\n");
    at("restart").success();
    at("stop").success();
    sandbox.is_still();
}

#[test]
fn a_home_is_private() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let home = sandbox.path().join(".ansar-home");
    let mut sockets = 0;
    let mut look = |path: &Path| {
        let metadata = std::fs::symlink_metadata(path).expect("it is there");
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        sockets += usize::from(metadata.file_type().is_socket());
        assert_eq!(metadata.mode() & 0o777, expected, "{}", path.display());
    };
    look(&home);
    for area in std::fs::read_dir(&home).expect("it is there").flatten() {
        look(&area.path());
        if area.path().is_dir() {
            let inside = std::fs::read_dir(area.path()).expect("it is there");
            inside.flatten().for_each(|entry| look(&entry.path()));
        }
    }
    assert_eq!(sockets, 2, "one to ask, one to be told");
    down(&sandbox);
}

#[test]
fn two_homes_are_independent() {
    let sandbox = home_with(&["zombie"]);
    let folder = executable("noop").parent().expect("a file is in a folder");
    let in_place = format!("--redirect-bin={}", folder.display());
    let other = |words: &str| {
        let words = words.split(' ');
        sandbox.ansar(["--home-path=other"]).args(words).run()
    };
    sandbox
        .ansar(["create", "other", &in_place])
        .run()
        .success();
    other("add zombie").success();
    ansar(&sandbox, "start").success();
    let first = processes(&sandbox);
    other("status").success().stdout_is("");
    other("stop").code(105);
    other("start").success();
    other("stop").success();
    assert_eq!(processes(&sandbox), first);
    down(&sandbox);
}

#[test]
fn background_roles_outlive_the_command_of_with() {
    let workspace = Workspace::new();
    let host = tests::loopback();
    workspace.manifest(&format!(
        "[workspace.metadata.ansar.role.server-0]\nexecutable = \"server\"\n\
         settings = {{ host = \"{host}\" }}\n\
         [workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n"
    ));
    let script = "cargo ansar with server-0 -- cargo ansar start zombie-0";
    let with = workspace.shell(script).run();
    with.success().stderr_lacks("left behind");
    let up: Vec<String> = processes(&workspace).into_keys().collect();
    assert_eq!(up, ["zombie-0"]);
    ansar(&workspace, "status")
        .success()
        .stdout_is("zombie-0\n");
    ansar(&workspace, "stop zombie-0").success();
    is_quiet(&workspace);
}

#[test]
fn an_engine_needs_no_workspace() {
    let sandbox = home_with(&["zombie"]);
    sandbox.write("Cargo.toml", "this is no manifest");
    let elsewhere = Sandbox::new();
    let home = format!(
        "--home-path={}",
        sandbox.path().join(".ansar-home").display()
    );
    let start = elsewhere.ansar([&*home, "start"]).run();
    start.success().stderr_has("Started `zombie-0`");
    elsewhere.ansar([&*home, "stop"]).run().success();
    elsewhere.is_still();
}

#[test]
fn an_engine_ends_when_its_home_is_removed() {
    for away in ["rm -r .ansar-home", "mv .ansar-home elsewhere"] {
        let sandbox = home_with(&["zombie", "snooze"]);
        sandbox.ansar(["start", "zombie-0"]).run().success();
        sandbox.shell(away).run().success();
        let left = tests::eventually(|| sandbox.processes().is_empty().then_some(()));
        assert!(left.is_some(), "{away}: {:?}", sandbox.processes());
        assert!(!sandbox.path().join(".ansar-home").exists(), "{away}");
        sandbox.ansar(["create"]).run().success();
    }
}
