//! A workspace that was moved or copied together with its home.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tests::{Output, Sandbox, executable};

use super::{is_quiet, processes};

/// Creates a workspace in the folder `w`, with a home whose temporary files are
/// inside of the workspace and whose `more` areas are outside.
fn with_workspace(more: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("w/Cargo.toml", "[workspace]\n");
    let folder = executable("noop").parent().expect("a file is in a folder");
    let in_place = format!("--redirect-bin={}", folder.display());
    let create = ["create", &in_place, "--redirect-tmp=areas"];
    let create = sandbox.ansar(create).args(more).in_dir("w");
    create.run().success();
    for executable in ["noop", "zombie"] {
        in_folder(&sandbox, "w", &["add", executable]).success();
    }
    in_folder(&sandbox, "w", &["run", "noop-0", "-q"]).success();
    sandbox
}

#[track_caller]
fn in_folder(sandbox: &Sandbox, folder: &str, words: &[&str]) -> Output {
    sandbox.ansar(words).in_dir(folder).run()
}

fn copy(sandbox: &Sandbox, to: &str) {
    let copied = sandbox.program("cp").args(["-a", "w", to]);
    copied.run().success();
}

fn home(sandbox: &Sandbox, folder: &str) -> Value {
    let text = sandbox.read(format!("{folder}/.ansar-home/home.json"));
    serde_json::from_str(&text).expect("it is JSON")
}

fn path(value: &Value) -> PathBuf {
    value.as_str().expect("a path").into()
}

/// Returns the folder that a role runs in.
fn folder_of(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs")
}

#[test]
fn a_moved_workspace_works() {
    let sandbox = with_workspace(&["--redirect-logs=../logs"]);
    let at = |name: &str| sandbox.path().join(name);
    let before = home(&sandbox, "w");
    fs::create_dir(at("deep")).expect("it is new");
    fs::rename(at("w"), at("deep/moved")).expect("nothing is there");
    in_folder(&sandbox, "deep/moved", &["start", "zombie-0"]).success();
    let pid = processes(&sandbox)["zombie-0"];
    assert_eq!(folder_of(pid), at("deep/moved"));
    let now = home(&sandbox, "deep/moved");
    assert_eq!(now["id"], before["id"]);
    assert_eq!(path(&now["workspace"]), at("deep/moved"));
    assert!(path(&now["redirect"]["tmp"]).starts_with(at("deep/moved/areas")));
    assert_eq!(now["redirect"]["logs"], before["redirect"]["logs"]);
    let log = in_folder(&sandbox, "deep/moved", &["log", "noop-0", "--last=DAY"]);
    log.code(0);
    in_folder(&sandbox, "deep/moved", &["stop", "zombie-0"]).success();
    in_folder(&sandbox, "deep/moved", &["destroy"]).success();
    assert!(!at("w").exists());
    assert_eq!(fs::read_dir(at("logs")).expect("it is there").count(), 0);
    assert_eq!(
        fs::read_dir(at("deep/moved/areas"))
            .expect("it is there")
            .count(),
        0
    );
    is_quiet(&sandbox);
}

#[test]
fn a_copied_workspace_is_independent() {
    let sandbox = with_workspace(&[]);
    let at = |name: &str| sandbox.path().join(name);
    in_folder(&sandbox, "w", &["start", "zombie-0"]).success();
    let original = processes(&sandbox);
    let before = home(&sandbox, "w");
    copy(&sandbox, "copy");

    // Roles of the original do not run in the copy.
    let status = in_folder(&sandbox, "copy", &["status"]);
    status.success().stdout_is("");
    let history = in_folder(&sandbox, "copy", &["history", "zombie-0"]);
    history
        .success()
        .check(!history.stdout.contains("running"), || {
            "expected no run".to_owned()
        });
    let stop = in_folder(&sandbox, "copy", &["stop", "zombie-0"]);
    stop.code(105);
    in_folder(&sandbox, "copy", &["run", "noop-0", "-q"])
        .success()
        .stderr_lacks("warning");
    assert_eq!(processes(&sandbox), original);

    let start = in_folder(&sandbox, "copy", &["start", "zombie-0"]);
    start.success();
    let folders = sandbox.processes().into_iter();
    let folders = folders.filter(|(_, command)| command.contains("--role-name=zombie-0"));
    let mut folders: Vec<PathBuf> = folders.map(|(pid, _)| folder_of(pid)).collect();
    folders.sort();
    assert_eq!(folders, [at("copy"), at("w")]);
    let now = home(&sandbox, "copy");
    assert_ne!(now["id"], before["id"]);
    assert!(path(&now["redirect"]["tmp"]).starts_with(at("copy/areas")));
    assert_eq!(home(&sandbox, "w"), before);

    in_folder(&sandbox, "copy", &["destroy", "-f"]).success();
    assert_eq!(processes(&sandbox), original);
    assert!(path(&before["redirect"]["tmp"]).join("zombie-0").is_dir());
    in_folder(&sandbox, "w", &["stop", "zombie-0"]).success();
    sandbox.is_still();
}

#[test]
fn a_copy_shares_no_areas_with_the_original() {
    let sandbox = with_workspace(&["--redirect-model=../models"]);
    copy(&sandbox, "copy");
    for words in [&["run", "noop-0"][..], &["delete"], &["destroy"]] {
        let output = in_folder(&sandbox, "copy", words);
        output
            .code(96)
            .stderr_has("/scratch/models/model-")
            .stderr_has("it belongs to home `")
            .stderr_has("hint: a copy of a home does not share folders");
    }
    // The target of a copied link belongs to the original.
    let sandbox = with_workspace(&[]);
    let at = |name: &str| sandbox.path().join(name);
    fs::rename(at("w/areas"), at("areas")).expect("nothing is there");
    std::os::unix::fs::symlink(at("areas"), at("w/areas")).expect("nothing is there");
    in_folder(&sandbox, "w", &["run", "noop-0", "-q"]).success();
    copy(&sandbox, "copy");
    let run = in_folder(&sandbox, "copy", &["run", "noop-0"]);
    run.code(96).stderr_has("it belongs to home `");
    in_folder(&sandbox, "w", &["run", "noop-0", "-q"]).success();
    down_in(&sandbox, "w");
}

fn down_in(sandbox: &Sandbox, folder: &str) {
    in_folder(sandbox, folder, &["destroy"]).success();
    sandbox.is_still();
}
