//! Files of a home that are replaced by other types of file: no command waits
//! for them, follows or reads them, and the error names them.

use std::fs::File;
use std::os::unix::fs::symlink;

use tests::Sandbox;

use super::with_roles;

/// Each file, and a command that needs it.
const FILES: [(&str, &[&str]); 13] = [
    ("home.json", &["list"]),
    ("entry/noop-0.json", &["run"]),
    ("settings/noop-0.json", &["settings", "noop-0"]),
    ("input/noop-0.json", &["input", "noop-0"]),
    ("deploy.json", &["deploy", "--storage-path", "materials"]),
    ("restore.json", &["deploy", "--storage-path", "materials"]),
    ("history/noop-0", &["history", "noop-0"]),
    ("last/run.jsonl", &["report"]),
    ("lock/noop-0", &["run"]),
    ("lock/.home", &["add", "noop", "other"]),
    ("engine/999999.engine", &["run"]),
    ("logs/noop-0/20260101T000000.000000.log", &["log", "noop-0"]),
    ("kept/edit/noop-0.retry.json", &["edit", "retry", "noop-0"]),
];

/// Each kind of file, and its name in errors.
const KINDS: [(&str, &str); 4] = [
    ("FIFO", "not a regular file (FIFO)"),
    ("symlink", "not a regular file (symlink)"),
    ("directory", "not a regular file (directory)"),
    ("huge", "larger than "),
];

fn place(sandbox: &Sandbox, path: &str, kind: &str) {
    let path = sandbox.path().join(".ansar-home").join(path);
    let path = path.to_str().expect("the path is text");
    sandbox
        .program("sh")
        .args([
            "-c",
            "rm -rf \"$0\" && mkdir -p \"$(dirname \"$0\")\"",
            path,
        ])
        .run()
        .success();
    match kind {
        "FIFO" => {
            sandbox.program("mkfifo").arg(path).run().success();
        }
        "directory" => std::fs::create_dir(path).expect("nothing is there"),
        "symlink" => symlink(sandbox.path().join("precious"), path).expect("nothing is there"),
        _ => File::create_new(path)
            .and_then(|file| file.set_len(1 << 40))
            .expect("nothing is there"),
    }
}

#[test]
fn irregular_files_are_refused_at_once() {
    for (path, command) in FILES {
        let sandbox = with_roles(&["noop"]);
        sandbox.write("precious", "not ours");
        sandbox.write("materials/model-by-role/noop-0/words", "one");
        for (kind, error) in KINDS {
            // A lock and a log may have any size: neither is read as a whole.
            if kind == "huge" && (path.starts_with("lo") || path.starts_with("engine")) {
                continue;
            }
            place(&sandbox, path, kind);
            // The editor's text opens first, and it is in the way here.
            let output = sandbox.ansar(command).env("EDITOR", "true").run();
            output
                .code(96)
                .stdout_is("")
                .stderr_has(&format!("/scratch/.ansar-home/{path}`"))
                .stderr_has(error);
        }
        assert_eq!(sandbox.read("precious"), "not ours");
    }
}

#[test]
fn holes_in_a_log_are_skipped() {
    let sandbox = with_roles(&["noop"]);
    sandbox.ansar(["run"]).run().success();
    place(&sandbox, "logs/noop-0/20990101T000000.000000.log", "huge");
    let log = sandbox.ansar(["log", "noop-0", "--from=2020-01-01"]).run();
    log.success().stdout_has("noop");
}

#[test]
fn sockets_and_devices_are_refused() {
    let sandbox = with_roles(&["noop"]);
    let path = sandbox.path().join(".ansar-home/home.json");
    std::fs::remove_file(&path).expect("it is there");
    let _socket = std::os::unix::net::UnixListener::bind(&path).expect("nothing is there");
    let list = sandbox.ansar(["list"]).run();
    list.code(96).stderr_has("not a regular file (socket)");
    let sandbox = with_roles(&["noop"]);
    let device = sandbox.ansar(["settings", "noop-0", "--set-file=/dev/zero"]);
    device.run().code(2).stderr_has("larger than 64 MiB");
}

#[test]
fn files_named_by_the_user_may_be_irregular() {
    let sandbox = with_roles(&[]);
    sandbox.write("settings.json", r#"{"value": {"seconds": 0.25}}"#);
    symlink("settings.json", sandbox.path().join("link.json")).expect("nothing is there");
    let add = sandbox.ansar(["add", "snooze", "linked", "--settings-file=link.json"]);
    add.run().success();
    let get = sandbox.ansar(["settings", "linked"]).run();
    get.success().stdout_has("0.25");
}

#[test]
fn outputs_follow_symlinks_and_replace_no_fifo() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("man")).unwrap();
    let at = |name: &str| sandbox.path().join("man").join(name);
    symlink("../file", at("cargo-ansar.1")).unwrap();
    let fifo = at("cargo-ansar-test.1");
    sandbox.program("mkfifo").arg(&fifo).run().success();
    let reader = sandbox.program("cat").arg(&fifo).start();
    sandbox.ansar(["man", "--dir=man"]).run().success();
    reader.wait().success().stdout_has(".TH");
    assert!(at("cargo-ansar.1").is_symlink());
    assert!(sandbox.read("file").contains(".TH"));
    let is_fifo = sandbox.program("test").arg("-p").arg(&fifo).run();
    is_fifo.success();
}
