//! Unusual files: with old dates, with holes, or symbolic links.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::home;
use crate::test::Group;

const DEPLOY: [&str; 2] = ["deploy", "--storage-path=testing"];

fn set_modified(path: &Path, at: SystemTime) {
    let file = File::options().append(true).open(path);
    let file = file.expect("the file is there");
    let times = FileTimes::new().set_modified(at);
    file.set_times(times).expect("the file is ours");
}

#[test]
fn a_changed_file_with_a_wrong_date() {
    let sandbox = home(&["noop"]);
    let there = sandbox.write("testing/model-by-role/noop-0/file", "version 1");
    let own = ".ansar-home/model/noop-0/file";
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let far_away = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    sandbox.ansar(DEPLOY).run().success();
    let is_deployed = |text: &str| {
        let deployed = sandbox.ansar(DEPLOY).run();
        deployed.success().stderr_has("Deploying model/noop-0");
        assert_eq!(sandbox.read(own), text);
        let again = sandbox.ansar(DEPLOY).run();
        again.success().stderr_has("Nothing to deploy");
    };

    // Another file, older than the deployed one.
    let restored = sandbox.write("restored", "version 2");
    set_modified(&restored, long_ago);
    fs::rename(&restored, &there).expect("one file system");
    is_deployed("version 2");
    // The same file, and the same date.
    fs::write(&there, "version 3").expect("it is ours");
    set_modified(&there, long_ago);
    is_deployed("version 3");
    // A wrong clock, and then a wrong clock again.
    for text in ["version 4", "version 5"] {
        fs::write(&there, text).expect("it is ours");
        set_modified(&there, far_away);
        is_deployed(text);
    }
    // The clock went back.
    fs::write(&there, "version 6").expect("it is ours");
    is_deployed("version 6");
}

#[test]
fn a_changed_executable_with_an_old_date() {
    let sandbox = home(&["noop"]);
    let dist = sandbox.path().join("dist/noop");
    let date = fs::metadata(&dist).and_then(|metadata| metadata.modified());
    let date = date.expect("it is there");
    let mut bytes = fs::read(&dist).expect("it is there");
    bytes.push(0);
    fs::write(&dist, &bytes).expect("it is ours");
    sandbox.ansar(["deploy", "dist"]).run().success();
    for byte in [1, 2] {
        // The same file, with an earlier size and date.
        bytes.pop();
        bytes.push(byte);
        fs::write(&dist, &bytes).expect("it is ours");
        set_modified(&dist, date);
        let deployed = sandbox.ansar(["deploy", "dist"]).run();
        deployed.success().stderr_has("Deploying noop");
        let same = sandbox.ansar(["deploy", "dist"]).run();
        same.success().stderr_has("Nothing to deploy");
        let own = fs::read(sandbox.path().join(".ansar-home/bin/noop"));
        assert!(own.expect("it is there") == bytes);
    }
}

#[test]
fn a_sparse_file_stays_sparse() {
    const SIZE: u64 = 64 << 20;
    let sandbox = home(&["noop"]);
    let path = sandbox.write("testing/model-by-role/noop-0/sparse", "");
    let file = File::options().write(true).open(&path);
    let file = file.expect("it is ours");
    file.set_len(SIZE).expect("holes need no room");
    file.write_all_at(b"middle", SIZE / 2)
        .expect("there is room");
    sandbox.ansar(DEPLOY).run().success();
    sandbox.ansar(["snapshot", "backup"]).run().success();
    let copies = [
        ".ansar-home/model/noop-0/sparse",
        "backup/model-by-role/noop-0/sparse",
    ];
    for copy in copies {
        let copy = File::open(sandbox.path().join(copy)).expect("it was copied");
        let metadata = copy.metadata().expect("it is open");
        assert_eq!(metadata.len(), SIZE);
        assert!(
            metadata.blocks() * 512 < SIZE / 8,
            "{} blocks",
            metadata.blocks()
        );
        let mut bytes = [0; 8];
        copy.read_exact_at(&mut bytes, SIZE / 2 - 1)
            .expect("it has bytes");
        assert_eq!(&bytes, b"\0middle\0");
    }
}

#[test]
fn links_inside_and_out_of_the_folder() {
    let sandbox = home(&["noop"]);
    sandbox.write("testing/model-by-role/noop-0/folder/file", "1");
    let at = |path: &str| {
        sandbox
            .path()
            .join("testing/model-by-role/noop-0")
            .join(path)
    };
    symlink("folder/file", at("inside")).expect("it is new");
    symlink("/etc/passwd", at("absolute")).expect("it is new");
    symlink("../../../secret", at("folder/out")).expect("it is new");
    let deployed = sandbox.ansar(DEPLOY).run();
    deployed
        .success()
        .stderr_has("noop-0/absolute` is not deployed: a symlink that does not stay inside")
        .stderr_has("noop-0/folder/out` is not deployed: a symlink that does not stay inside");
    let model = sandbox.path().join(".ansar-home/model/noop-0");
    let inside = fs::read_link(model.join("inside"));
    assert_eq!(inside.expect("it is a link"), Path::new("folder/file"));
    for refused in ["absolute", "folder/out"] {
        assert!(
            fs::symlink_metadata(model.join(refused)).is_err(),
            "{refused}"
        );
    }
}

#[test]
fn executables_are_linked_or_copied() {
    let group = Group::demo();
    group.test(["--no-run"]).run().success();
    let inode = |path: &str| {
        let metadata = fs::metadata(group.path().join(path));
        metadata.expect("it is there").ino()
    };
    let (built, own) = ("target/debug/client", ".ansar-home/bin/client");
    assert_eq!(inode(built), inode(own));
    let links = group.read("Cargo.toml");
    let copies = links.replace(
        "[workspace.metadata.ansar]\n",
        "[workspace.metadata.ansar]\ndeploy = \"copy\"\n",
    );
    assert_ne!(links, copies);
    group.write("Cargo.toml", &copies);
    group.edit(crate::test::CLIENT_RS, "Connected to", "Joined to");
    let deployed = group.test(["--no-run"]).run();
    deployed.success().stderr_has("Deploying client (1 of 3");
    assert_ne!(inode(built), inode(own));
    let again = group.test(["--no-run"]).run();
    again.success().stderr_lacks("Deploying");
}

#[test]
fn a_large_file() {
    const SIZE: usize = 20 << 20;
    let sandbox = home(&["noop"]);
    let path = sandbox.write("testing/model-by-role/noop-0/large", "");
    let own = sandbox.path().join(".ansar-home/model/noop-0/large");
    let mut bytes = vec![b'1'; SIZE];
    let deploys = |bytes: &[u8], told: &str| {
        fs::write(&path, bytes).expect("there is room");
        let deployed = sandbox.ansar(DEPLOY).run();
        deployed.success().stderr_has(told);
        assert!(fs::read(&own).expect("it is there") == bytes);
    };
    deploys(&bytes, "Deploying model/noop-0");
    for changed in [SIZE - 1, SIZE / 2, 0] {
        bytes[changed] = b'2';
        deploys(&bytes, "Deploying model/noop-0");
        // A file rewritten with the same bytes counts as deployed.
        deploys(&bytes, "Nothing to deploy");
        deploys(&bytes, "Nothing to deploy");
    }
    // The home's file differs from the deployed one: both sides have changed.
    fs::write(&own, "own").expect("it is ours");
    bytes.push(b'3');
    fs::write(&path, &bytes).expect("there is room");
    let deployed = sandbox.ansar(DEPLOY).run();
    deployed.stderr_has("left alone");
    assert_eq!(fs::read(&own).expect("it is there"), b"own");
}
