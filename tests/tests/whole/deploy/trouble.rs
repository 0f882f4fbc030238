//! Deploys in adverse conditions: full disks, read-only files, and concurrent
//! writers.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tests::{Program, Sandbox, executable};

use super::kills::{component, deployed, materials};
use super::{contents, home};

const DEPLOY: [&str; 2] = ["deploy", "--storage-path=testing"];

/// Script that mounts a disk for the home and deploys once for every number of
/// free pages, from none on; the outputs are copied out.
const FULL: &str = r#"
set -e
mkdir small
mount -t tmpfs -o size=2m none small
cp -a before small/before
for free in $(seq 0 30); do
    cp -a small/before small/home
    cat /dev/zero > small/filler 2> /dev/null || true
    truncate -s -$((free * 4096)) small/filler
    code=0
    "$@" > "out.$free" 2>&1 || code=$?
    echo $code > "code.$free"
    rm small/filler
    cp -a small/home "result.$free"
    "$@" > again 2>&1 || { cat again; exit 1; }
    cp -a small/home "ended.$free"
    rm -r small/home
done
"#;

#[test]
#[expect(clippy::print_stderr, reason = "a reader of the result needs it")]
fn a_full_disk_leaves_old_or_new() {
    let sandbox = Sandbox::new();
    if !sandbox
        .program("unshare")
        .args(["-Urm", "true"])
        .run()
        .status
        .success()
    {
        eprintln!("skipped: disks cannot be mounted here");
        return;
    }
    component(&sandbox, 1);
    sandbox.ansar(["create"]).run().success();
    sandbox.ansar(["deploy", "dist"]).run().success();
    sandbox.ansar(["add", "app", "--count=2"]).run().success();
    materials(&sandbox, 1);
    let deploy = ["deploy", "dist", "testing"];
    sandbox.ansar(deploy).run().success();
    let path = |name: &str| sandbox.path().join(name);
    fs::rename(path(".ansar-home"), path("before")).expect("one file system");
    let old = deployed(&path("before"));
    component(&sandbox, 2);
    materials(&sandbox, 2);
    let script = ["-Urm", "sh", "-c", FULL, "sh"];
    let scene = sandbox.program("unshare").args(script);
    let scene = scene.arg(executable("cargo-ansar")).arg("ansar");
    let scene = scene.args(["--home-path", "small/home"]).args(deploy);
    scene.run().success();

    let new = deployed(&path("ended.30"));
    assert_ne!(old, new);
    let mut failed = 0;
    for free in 0..=30 {
        let (code, said) = (
            sandbox.read(format!("code.{free}")),
            sandbox.read(format!("out.{free}")),
        );
        let result = deployed(&path(&format!("result.{free}")));
        if code.trim() == "0" {
            assert!(result == new, "{free} pages: {said}");
        } else {
            failed += 1;
            assert_eq!(said.matches("error: ").count(), 1, "{said}");
            assert!(said.contains("No space left on device"), "{said}");
        }
        for (file, bytes) in result {
            let sides = [&old, &new].map(|side| side.get(&file) == Some(&bytes));
            let file = file.display();
            assert!(
                sides.contains(&true),
                "{free} pages: `{file}` is torn or left"
            );
        }
        let ended = deployed(&path(&format!("ended.{free}")));
        assert!(ended == new, "{free} pages: another end");
    }
    assert!(failed > 0 && failed < 31, "{failed} of 31 failed");
}

#[test]
fn a_source_that_changes_during_a_deploy() {
    const SIZE: u64 = 64 << 20;
    let sandbox = home(&["noop"]);
    let busy = sandbox.write("testing/model-by-role/noop-0/busy", "before");
    sandbox.write("testing/model-by-role/noop-0/other", "before");
    sandbox.ansar(DEPLOY).run().success();
    let own = sandbox.path().join(".ansar-home/model/noop-0");
    let before = contents(&own);
    sandbox.write("testing/model-by-role/noop-0/other", "after");
    let file = File::options().write(true).open(&busy).expect("it is ours");
    file.set_len(SIZE).expect("holes need no room");
    let is_over = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0_u64.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let bytes = count.to_le_bytes();
                file.write_all_at(&bytes, SIZE - 8).expect("there is room");
                thread::yield_now();
            }
        });
        let output = sandbox.ansar(DEPLOY).run();
        is_over.store(true, Ordering::Relaxed);
        output
    });
    if !output.status.success() {
        output
            .code(103)
            .stderr_has("error: failed to deploy `model/noop-0`")
            .stderr_has("noop-0/busy` changed while it was read");
        assert_eq!(output.log("error: ").len(), 1);
        assert!(contents(&own) == before, "the home is another");
    }
    sandbox.ansar(DEPLOY).run().success();
    let there = sandbox.path().join("testing/model-by-role/noop-0");
    for name in ["busy", "other"] {
        let sides = [&own, &there].map(|side| fs::read(side.join(name)).expect("it is there"));
        assert!(sides[0] == sides[1], "`{name}`");
    }
}

/// Returns a user without processes and files.
fn another_user() -> u32 {
    70_000 + std::process::id() % 50_000
}

/// `cargo ansar` as a user without write permission everywhere: this one, or
/// another if this one is root.
fn as_other_user<'s>(sandbox: &'s Sandbox, arguments: &[&str]) -> Program<'s> {
    let id = sandbox.program("id").arg("-u").run();
    if id.stdout.trim() != "0" {
        return sandbox.ansar(arguments);
    }
    let user = format!("--reuid={}", another_user());
    let own = sandbox.program("setpriv").arg(user).arg("--clear-groups");
    own.arg(executable("cargo-ansar"))
        .arg("ansar")
        .args(arguments)
}

/// Sets the permissions of a folder and all folders below.
fn chmod(sandbox: &Sandbox, mode: &str, path: &str) {
    let chmod = ["-type", "d", "-exec", "chmod", mode, "{}", "+"];
    let find = sandbox.program("find").arg(path).args(chmod);
    find.run().success();
}

#[test]
fn files_without_permission_change_nothing() {
    let sandbox = Sandbox::new();
    // The user needs access to it, and owns the folder of the home.
    for folder in sandbox.path().ancestors().take(2) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    if sandbox.program("id").arg("-u").run().stdout.trim() == "0" {
        chown(sandbox.path(), Some(another_user()), None).expect("root may do that");
    }
    let ansar = |arguments: &[&str]| as_other_user(&sandbox, arguments);
    super::fill(&sandbox, &["noop"]);
    ansar(&["create"]).run().success();
    ansar(&["deploy", "dist"]).run().success();
    ansar(&["add", "noop"]).run().success();
    let file = "testing/model-by-role/noop-0/file";
    sandbox.write(file, "before");
    ansar(&DEPLOY).run().success();
    sandbox.write(file, "after");
    let own = sandbox.path().join(".ansar-home");
    let before = deployed(&own);

    for area in ["", "model", "model/noop-0"] {
        let folder = format!(".ansar-home/{area}");
        chmod(&sandbox, "a-w", &folder);
        let refused = ansar(&DEPLOY).run();
        assert!(!refused.status.success(), "{area}: {refused:?}");
        refused
            .stderr_has("Permission denied")
            .stderr_has(".ansar-home");
        assert_eq!(refused.log("error: ").len(), 1, "{area}");
        assert!(deployed(&own) == before, "{area}: the home is another");
        chmod(&sandbox, "u+w", &folder);
    }

    let hidden = fs::Permissions::from_mode(0o000);
    fs::set_permissions(sandbox.path().join(file), hidden).expect("it is ours");
    let unread = ansar(&DEPLOY).run();
    unread
        .code(103)
        .stderr_has("error: failed to deploy `model/noop-0`")
        .stderr_has("noop-0/file`")
        .stderr_has("Permission denied");
    let shown = fs::Permissions::from_mode(0o644);
    fs::set_permissions(sandbox.path().join(file), shown).expect("it is ours");
    ansar(&DEPLOY).run().success();
    assert_eq!(
        fs::read(own.join("model/noop-0/file")).expect("there"),
        b"after"
    );

    // A folder that has vanished as a whole was most likely moved.
    fs::rename(sandbox.path().join("testing"), sandbox.path().join("moved")).expect("it is ours");
    let gone = ansar(&DEPLOY).run();
    gone.code(2).stderr_has("error: no folder `");
    assert_eq!(
        fs::read(own.join("model/noop-0/file")).expect("there"),
        b"after"
    );
}
