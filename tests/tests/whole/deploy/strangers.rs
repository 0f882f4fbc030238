//! Files in a deployed folder that are not deployed: each is named.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::Mode;
use tests::{Output, Sandbox};

use super::{contents, fill, home, pids};

fn deploy(sandbox: &Sandbox) -> Output {
    sandbox.ansar(["deploy", "--storage-path=testing"]).run()
}

#[test]
fn unknown_files_in_a_snapshot_are_named() {
    let sandbox = home(&["server", "noop"]);
    for (path, text) in [
        ("notes.txt", ""),
        (".gitignore", ""),
        ("models-by-role/server-0/file", ""),
        ("model-by-role/server-0/.hidden", "of the role"),
        ("model-by-role/server-1/file", ""),
        ("model-by-role/ser.ver/file", ""),
        ("model-by-role/noop-0", "a file"),
        ("resource-by-executable/servr/file", ""),
        (
            "settings-by-role/server-0.jsn",
            "{\"value\": {\"port\": 7}}",
        ),
        (
            "settings-by-role/servr-0.json",
            "{\"value\": {\"port\": 7}}",
        ),
        ("settings-by-role/noop-0.json/deep", ""),
        ("setting-value-by-role/server-0/port.txt", "7"),
        ("input-by-role/.keep", ""),
    ] {
        sandbox.write(format!("testing/{path}"), text);
    }
    let strange = sandbox.path().join("testing/input-by-role");
    fs::write(strange.join(OsStr::from_bytes(b"not-\xff.json")), "").expect("it is new");
    let done = deploy(&sandbox);
    done.success()
        .stderr_has("testing/notes.txt` is not deployed: no part of a snapshot\n")
        .stderr_has("models-by-role` is not deployed: no part of a snapshot; did you mean `model-by-role`?")
        .stderr_has("model-by-role/server-1` is not deployed: no role of this name; did you mean `server-0`?")
        .stderr_has("model-by-role/ser.ver` is not deployed: role name `ser.ver` holds `.`")
        .stderr_has("model-by-role/noop-0` is not deployed: a regular file, expected a directory")
        .stderr_has("servr` is not deployed: no executable of this name that a role runs; did you mean `server`?")
        .stderr_has("server-0.jsn` is not deployed: expected the name of a role and `.json`; did you mean `server-0.json`?")
        .stderr_has("servr-0.json` is not deployed: no role of this name; did you mean `server-0.json`?")
        .stderr_has("noop-0.json` is not deployed: a directory, expected a regular file")
        .stderr_has("port.txt` is not deployed: expected the name of a setting and `.json`")
        .stderr_has("is not deployed: no name of a role: not UTF-8")
        .stderr_lacks(".gitignore")
        .stderr_lacks(".keep");
    assert_eq!(
        sandbox.read(".ansar-home/model/server-0/.hidden"),
        "of the role"
    );
    let told = sandbox.ansar(["settings", "server-0"]).run();
    assert!(!told.success().stdout.contains("\"port\": 7"));
}

#[test]
fn links_out_of_a_snapshot_are_not_followed() {
    let outside = "{\"value\": {\"port\": 42424242424242}}";
    let parts = [
        "model-by-role",
        "model-by-role/server-0",
        "resource-by-executable/server",
        "settings-by-role",
        "settings-by-role/server-0.json",
        "setting-value-by-role/server-0",
        "setting-value-by-role/server-0/port.json",
    ];
    for part in parts {
        let sandbox = home(&["server"]);
        // They are not deployed under any of these names.
        for folder in ["secret", "secret/server-0", "secret/server"] {
            sandbox.write(format!("{folder}/secret"), "secret");
            sandbox.write(format!("{folder}/server-0.json"), outside);
            sandbox.write(format!("{folder}/port.json"), "{\"value\": 42424242424242}");
        }
        let path = sandbox.path().join("testing").join(part);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
        let secret = match part.strip_suffix(".json") {
            Some(_) => sandbox
                .path()
                .join("secret")
                .join(path.file_name().expect("it has one")),
            None => sandbox.path().join("secret"),
        };
        // By an absolute link, and by a link to one.
        symlink(&secret, sandbox.path().join("hop")).expect("it is new");
        let depth = part.split('/').count();
        for target in [
            secret,
            "../".repeat(depth).into(),
            "../".repeat(depth).into(),
        ] {
            let target = if target.is_absolute() {
                target
            } else {
                target.join("hop")
            };
            let _ = fs::remove_file(&path);
            symlink(&target, &path).expect("it is new");
            let done = deploy(&sandbox);
            done.success().stderr_has(&format!(
                "testing/{part}` is not deployed: a symlink that does not"
            ));
            let home = contents(&sandbox.path().join(".ansar-home"));
            for (file, bytes) in &home {
                let text = String::from_utf8_lossy(bytes);
                let is_elf = text.starts_with('\u{7f}');
                assert!(
                    is_elf || !(text.contains("42424242424242") || text == "secret"),
                    "{part}: {file:?}"
                );
            }
        }
    }
}

#[test]
fn links_and_pipes_inside_of_a_snapshot() {
    let sandbox = home(&["server", "noop"]);
    let settings = sandbox.path().join("testing/settings-by-role");
    sandbox.write("testing/shared.json", "{\"value\": {\"port\": 77}}");
    fs::create_dir_all(&settings).expect("it is made");
    symlink("../shared.json", settings.join("server-0.json")).expect("it is new");
    nix::unistd::mkfifo(&settings.join("noop-0.json"), Mode::S_IRWXU).expect("it is new");
    sandbox.write("testing/model-by-role/server-0/file", "1");
    let models = sandbox.path().join("testing/model-by-role");
    symlink("server-0", models.join("noop-0")).expect("it is new");
    let done = deploy(&sandbox);
    done.success()
        .stderr_has("noop-0.json` is not deployed: a FIFO, expected a regular file")
        .stderr_lacks("a symlink");
    assert_eq!(sandbox.read(".ansar-home/model/noop-0/file"), "1");
    let told = sandbox.ansar(["settings", "server-0"]).run();
    told.success().stdout_has("\"port\": 77");
}

#[test]
fn a_snapshot_is_not_written_through_a_link() {
    let sandbox = home(&["server"]);
    sandbox.write(".ansar-home/model/server-0/data", "of the role");
    sandbox.write("outside/file", "1");
    let models = sandbox.path().join("testing/model-by-role");
    fs::create_dir_all(&models).expect("it is made");
    symlink("../../outside", models.join("server-0")).expect("it is new");
    let settings = sandbox.path().join("testing/settings-by-role");
    symlink("../outside", &settings).expect("it is new");
    let taken = sandbox.ansar(["snapshot", "testing"]).run();
    taken
        .success()
        .stderr_has("a symlink that does not stay inside");
    let outside = contents(&sandbox.path().join("outside"));
    assert_eq!(outside.len(), 1, "{outside:?}");
}

#[test]
fn a_folder_without_executables_is_an_error() {
    let sandbox = home(&["noop"]);
    sandbox.write("testing/model-by-role/noop-0/file", "1");
    let snapshot = sandbox.ansar(["-f", "deploy", "testing"]).run();
    snapshot
        .code(2)
        .stderr_has("error: no executables in `")
        .stderr_has("hint: the folder looks like a snapshot: deploy it with `cargo ansar deploy --storage-path ");
    sandbox.write("empty/readme", "");
    let empty = sandbox.ansar(["deploy", "empty"]).run();
    empty
        .code(2)
        .stderr_has("/empty`")
        .stderr_lacks("looks like a snapshot");
}

#[test]
fn skipped_files_among_executables_are_named() {
    let sandbox = home(&["noop", "zombie"]);
    sandbox.ansar(["add", "noop", "noop-1"]).run().success();
    let dist = sandbox.path().join("dist");
    fs::remove_file(dist.join("noop")).expect("it is there");
    sandbox.write("dist/script", "#!/bin/sh\n");
    sandbox.write("dist/data", "of no program");
    let dotted = sandbox.write("dist/tool.sh", "#!/bin/sh\n");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dotted, mode).expect("it is ours");
    let done = sandbox.ansar(["deploy", "dist"]).run();
    done.success()
        .stderr_has("dist/noop` is not deployed: no such executable, which role `noop-0` and 1 more runs; the one that was deployed before stays")
        .stderr_has("dist/script` is not deployed: it is not a file that may be executed")
        .stderr_has("dist/tool.sh` is not deployed: executable name `tool.sh` holds `.`")
        .stderr_lacks("dist/data");
    sandbox.ansar(["run", "noop-0"]).run().success();
}

#[test]
fn deploying_a_home_onto_itself() {
    let sandbox = Sandbox::new();
    fill(&sandbox, &["zombie"]);
    let create = ["create", "--redirect-bin=dist"];
    sandbox.ansar(create).run().success();
    sandbox.ansar(["add", "zombie"]).run().success();
    sandbox.ansar(["start"]).run().success();
    let first = pids(&sandbox);
    symlink("dist", sandbox.path().join("alias")).expect("it is new");
    fs::create_dir(sandbox.path().join("names")).expect("it is new");
    symlink("../dist/zombie", sandbox.path().join("names/zombie")).expect("it is new");
    for folder in [
        "dist",
        "alias",
        "dist/../alias/",
        ".ansar-home/../dist",
        "names",
    ] {
        let done = sandbox.ansar(["-f", "deploy", folder]).run();
        done.success().stderr_has("Nothing to deploy");
        assert_eq!(pids(&sandbox), first, "{folder}");
    }
    sandbox.ansar(["-f", "stop"]).run().success();
}

#[test]
fn a_folder_inside_of_the_home_is_refused() {
    let sandbox = home(&["zombie"]);
    sandbox.ansar(["start"]).run().success();
    let first = pids(&sandbox);
    symlink(".ansar-home", sandbox.path().join("alias")).expect("it is new");
    sandbox.write(".ansar-home/own/model-by-role/zombie-0/file", "1");
    for folder in [".ansar-home", ".ansar-home/own", "alias/own", "alias/new"] {
        let taken = sandbox.ansar(["-f", "snapshot", folder]).run();
        taken.code(2).stderr_has("cannot copy between `");
        if folder != "alias/new" {
            let storage = format!("--storage-path={folder}");
            let done = sandbox.ansar(["-f", "deploy", &storage]).run();
            done.code(2).stderr_has("cannot copy between `");
        }
        assert_eq!(pids(&sandbox), first, "{folder}");
    }
    assert!(!sandbox.path().join(".ansar-home/new").exists());
    // A home does not conflict with the folders of a snapshot.
    sandbox.write("model-by-role/zombie-0/file", "2");
    let around = sandbox.ansar(["-f", "deploy", "--storage-path=."]).run();
    around.success();
    assert_eq!(sandbox.read(".ansar-home/model/zombie-0/file"), "2");
    sandbox.ansar(["-f", "stop"]).run().success();
}

#[test]
fn flags_that_would_change_nothing_are_refused() {
    let sandbox = home(&["noop"]);
    for arguments in [
        &["deploy", "dist", "--release"][..],
        &["deploy", "--storage-path=dist", "--locked"],
        &["deploy", "--build-path=dist", "-p", "other"],
        &["deploy", "dist", "--take=home"],
        &["run", "noop-0", "--code-path=/nonexistent/folder"],
    ] {
        let refused = sandbox.ansar(arguments.iter().copied()).run();
        let named = arguments.last().expect("there are some");
        let named = named.split('=').next_back().unwrap_or(named);
        refused.code(2);
        assert!(
            refused.stderr.contains(named)
                || refused.stderr.contains("--package")
                || refused.stderr.contains("--take"),
            "{}",
            refused.stderr
        );
    }
}
