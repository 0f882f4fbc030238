//! Signals that arrive while files are copied or removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tests::{Program, Sandbox, eventually};

use super::{contents, home};

/// So many files that copying them takes a while.
const FILES: usize = 6000;

fn fill(sandbox: &Sandbox, folder: &str) {
    for file in 0..FILES {
        let path = format!("{folder}/{}/{file}", file % 10);
        sandbox.write(path, &format!("content of {file}"));
    }
}

/// Returns the names of files in progress in a folder.
fn under_way(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with(".ansar-alias-"))
        .collect()
}

/// Waits until files are in progress in a folder; those of an interrupted
/// deploy are removed first.
fn copies(folder: &Path, before: &[String]) {
    let is_new = || under_way(folder).iter().any(|name| !before.contains(name));
    eventually(|| is_new().then_some(())).expect("it copies");
}

/// Sends a signal once there are files in progress in `folder`, and checks that
/// the command ends with `code`, and that each file there is whole.
fn interrupt(program: Program<'_>, folder: &Path, source: &Path, signal: Signal, code: i32) {
    let before = under_way(folder);
    let running = program.start();
    copies(folder, &before);
    running.signal(signal);
    running.wait().code(code);
    // Files in progress are in one folder, which the next deploy clears.
    assert!(under_way(folder).len() <= 1, "{signal}: more is left");
    let whole = contents(source);
    for (path, bytes) in placed(folder) {
        let is_whole = whole.get(&source.join(&path)) == Some(&bytes);
        assert!(is_whole, "`{}` is torn", path.display());
    }
}

/// Returns the files below a folder that are in place.
fn placed(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = contents(folder).into_iter();
    let below = all.map(|(path, bytes)| {
        let path = path.strip_prefix(folder).expect("it is below");
        (path.to_owned(), bytes)
    });
    below
        .filter(|(path, _)| !path.to_string_lossy().starts_with(".ansar-alias-"))
        .collect()
}

#[test]
fn an_interrupted_deploy_can_be_repeated() {
    let sandbox = home(&["noop"]);
    let (source, own) = (
        sandbox.path().join("testing/model-by-role/noop-0"),
        sandbox.path().join(".ansar-home/model/noop-0"),
    );
    fill(&sandbox, "testing/model-by-role/noop-0");
    let deploy = ["deploy", "--storage-path=testing"];
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        interrupt(sandbox.ansar(deploy), &own, &source, signal, code);
        assert!(placed(&own).len() < FILES, "{signal}: it was done");
    }
    sandbox.ansar(deploy).run().success();
    assert_eq!(contents(&own).len(), FILES);
    let nothing = sandbox.ansar(deploy).run();
    nothing.success().stderr_has("Nothing to deploy");
}

#[test]
fn an_interrupted_snapshot_can_be_repeated() {
    let sandbox = home(&["noop"]);
    let (own, there) = (
        sandbox.path().join(".ansar-home/model/noop-0"),
        sandbox.path().join("testing/model-by-role/noop-0"),
    );
    fill(&sandbox, ".ansar-home/model/noop-0");
    let snapshot = sandbox.ansar(["snapshot", "testing"]);
    interrupt(snapshot, &there, &own, Signal::SIGINT, 130);
    sandbox.ansar(["snapshot", "testing"]).run().success();
    assert_eq!(contents(&there).len(), FILES);
}

#[test]
fn a_deploy_stops_when_its_command_is_killed() {
    let sandbox = home(&["noop"]);
    let own = sandbox.path().join(".ansar-home/model/noop-0");
    fill(&sandbox, "testing/model-by-role/noop-0");
    let deploy = ["deploy", "--storage-path=testing"];
    let running = sandbox.ansar(deploy).start();
    copies(&own, &[]);
    running.signal(Signal::SIGKILL);
    running.wait();
    // The next deploy waits until the killed one has released the lock of the
    // home, and has work left.
    let next = sandbox.ansar(deploy).run();
    next.success().stderr_has("Deploying model/noop-0");
    assert_eq!(contents(&own).len(), FILES);
}

#[test]
fn an_interrupted_deploy_restarts_stopped_roles() {
    let sandbox = home(&["zombie"]);
    sandbox.ansar(["start"]).run().success();
    let first = super::pids(&sandbox);
    fill(&sandbox, "testing/model-by-role/zombie-0");
    let own = sandbox.path().join(".ansar-home/model/zombie-0");
    let deploy = ["-f", "deploy", "--storage-path=testing"];
    let running = sandbox.ansar(deploy).start();
    copies(&own, &[]);
    running.signal(Signal::SIGINT);
    running.wait().code(130).stderr_has("Restored zombie-0");
    let second = super::pids(&sandbox);
    assert!(second.len() == 1 && second != first, "{second:?}");
    sandbox.ansar(["-f", "stop"]).run().success();
}

/// Fills the model of `noop-0` with so many files that their removal takes a
/// while.
fn crowd(sandbox: &Sandbox) -> PathBuf {
    let models = sandbox.path().join(".ansar-home/model");
    for file in 0..40_000 {
        let path = models.join(format!("noop-0/{file}"));
        fs::write(path, "").expect("the file is written");
    }
    models
}

#[test]
fn the_next_command_completes_an_interrupted_delete() {
    let sandbox = home(&["noop"]);
    let models = crowd(&sandbox);
    let delete = sandbox.ansar(["delete", "noop-0"]).start();
    copies(&models, &[]);
    delete.signal(Signal::SIGINT);
    delete.wait().code(130);
    assert!(!under_way(&models).is_empty(), "it was done");
    sandbox.ansar(["add", "noop"]).run().success();
    assert!(under_way(&models).is_empty());
    assert!(contents(&models).is_empty(), "the new role has old files");
}

#[test]
fn the_next_command_completes_an_interrupted_destroy() {
    let sandbox = home(&["noop"]);
    let models = crowd(&sandbox);
    let destroy = sandbox.ansar(["destroy"]).start();
    let note = sandbox.path().join(".ansar-home/pending.json");
    eventually(|| note.exists().then_some(())).expect("it is noted");
    destroy.signal(Signal::SIGTERM);
    destroy.wait().code(143);
    assert!(models.exists(), "it was done");
    let list = sandbox.ansar(["list"]).run();
    list.code(96).stderr_has("error: no home at `");
    assert!(!sandbox.path().join(".ansar-home").exists());
}
