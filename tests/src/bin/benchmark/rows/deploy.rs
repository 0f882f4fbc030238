//! Deploys of folders: unchanged ones, compared with walking both trees; one
//! changed file, compared with copying it to the disk. Measurements of other
//! programs are printed beside.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{MANY_PAIRS, PAIRS, same};
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, run};

/// Size of a large file, in bytes.
const LARGE: usize = 100_000_000;
/// Number of files in one folder of a tree.
const PER_FOLDER: usize = 100;

/// A home with one role, and a snapshot for it.
struct Scene<'w> {
    world: &'w World,
    home: PathBuf,
    snapshot: PathBuf,
}

impl<'w> Scene<'w> {
    fn new(world: &'w World, name: &str) -> Self {
        let home = world.make_home(name, &same("noop", 1));
        let snapshot = world.root().join("snapshots").join(name);
        let scene = Self {
            world,
            home,
            snapshot,
        };
        fs::create_dir_all(scene.model()).expect("the workspace can be written");
        scene
    }

    fn model(&self) -> PathBuf {
        self.snapshot.join("model-by-role/test-0")
    }

    fn deploy(&self) -> Duration {
        let mut deploy = self.world.ansar(&self.home);
        deploy
            .arg("deploy")
            .arg("--storage-path")
            .arg(&self.snapshot);
        timed(|| run(&mut deploy))
    }

    /// Prints the time that `rsync`, if installed, takes to copy `from`
    /// elsewhere.
    fn beside(&self, from: &Path, prepare: impl Fn(usize)) {
        let to = self.world.root().join("mirror");
        let rsync = || {
            let mut rsync = Command::new("rsync");
            rsync.arg("-a").arg(from).arg(&to);
            rsync
        };
        if rsync().output().is_err() {
            println!("{:<14} no rsync to set beside it", "");
            return;
        }
        let mut times: Vec<Duration> = (0..5)
            .map(|round| {
                prepare(round);
                timed(|| run(&mut rsync()))
            })
            .collect();
        times.sort();
        println!(
            "{:<14} rsync -a takes {:.1} ms",
            "",
            times[times.len() / 2].as_secs_f64() * 1e3
        );
        fs::remove_dir_all(&to).expect("it is ours");
    }
}

/// Nothing has changed in so many files.
pub(crate) fn unchanged(world: &World, files: usize) -> Judged {
    let scene = Scene::new(world, &format!("deploy-{files}"));
    for file in 0..files {
        let folder = scene.model().join(format!("{:04}", file / PER_FOLDER));
        fs::create_dir_all(&folder).expect("there is room");
        let path = folder.join(format!("{file:06}"));
        fs::write(path, format!("file {file}\n")).expect("there is room");
    }
    scene.deploy();
    // A file written a moment ago is read again.
    settle();
    scene.deploy();
    let trees = [scene.model(), scene.home.join("model/test-0")];
    let find = || {
        let mut find = world.program("find");
        find.args(&trees)
            .args(["-printf", "%p %y %m %s %T@ %C@ %D %i\n"]);
        timed(|| run(&mut find))
    };
    let pairs = if files > 10_000 { PAIRS } else { MANY_PAIRS };
    let judged = interleaved(pairs, 1.5, || scene.deploy(), find);
    scene.beside(&scene.model(), |_| {});
    judged
}

/// One large executable has changed.
pub(crate) fn executable(world: &World) -> Judged {
    let scene = Scene::new(world, "deploy-exe");
    let built = world.root().join("built");
    // Marks a folder of Cargo's, which writes every file anew.
    fs::create_dir_all(built.join(".fingerprint")).expect("there is room");
    let noop = fs::read(world.bin("noop")).expect("it is built");
    // Neither side pays for freeing the space of the replaced file.
    let former = world.root().join("former");
    fs::create_dir_all(&former).expect("there is room");
    let mut round = 0;
    let ours = || {
        round += 1;
        let mut bytes = noop.clone();
        bytes.resize(LARGE, 0);
        bytes.extend(i32::to_le_bytes(round));
        anew(&built.join("noop"), &bytes, 0o755);
        fs::hard_link(built.join("noop"), former.join(round.to_string())).expect("one file system");
        let mut deploy = world.ansar(&scene.home);
        deploy.arg("deploy").arg(&built);
        timed(|| run(&mut deploy))
    };
    let judged = interleaved(PAIRS, 0.2, ours, || copy(world, &built.join("noop")));
    fs::remove_dir_all(&former).expect("it is ours");
    scene.beside(&built, |round| {
        let byte = u8::try_from(round).unwrap_or(0);
        anew(&built.join("noop"), &vec![byte; LARGE], 0o755);
    });
    judged
}

/// One large file of a model has changed.
pub(crate) fn model(world: &World) -> Judged {
    let scene = Scene::new(world, "deploy-model");
    let file = scene.model().join("large");
    let mut round = 0_i32;
    let mut bytes = vec![7; LARGE];
    let ours = || {
        round += 1;
        bytes[..4].copy_from_slice(&round.to_le_bytes());
        anew(&file, &bytes, 0o644);
        scene.deploy()
    };
    // A file copied into a home is synced to the disk, as is its replacement.
    let judged = interleaved(PAIRS, 1.1, ours, || copied(world, &file));
    let mut alone: Vec<_> = (0..5).map(|_| copy(world, &file)).collect();
    alone.sort();
    let alone = alone[alone.len() / 2].as_secs_f64() * 1e3;
    println!("{:<14} cp alone, not on the disk, takes {alone:.1} ms", "");
    scene.beside(&scene.model(), |round| {
        let byte = u8::try_from(round).unwrap_or(0);
        anew(&file, &vec![byte; LARGE], 0o644);
    });
    judged
}

fn copy(world: &World, file: &Path) -> Duration {
    let to = world.root().join("copied");
    let _ = fs::remove_file(&to);
    let mut copy = world.program("cp");
    copy.arg("--reflink=auto").arg(file).arg(&to);
    timed(|| run(&mut copy))
}

/// Copies a file in place of another and syncs it; returns the duration.
fn copied(world: &World, file: &Path) -> Duration {
    let to = world.root().join("replaced");
    let mut copy = world.program("cp");
    copy.arg("--reflink=auto").arg(file).arg(&to);
    let mut sync = world.program("sync");
    sync.arg(&to);
    timed(|| {
        run(&mut copy);
        run(&mut sync);
    })
}

/// Writes a new file, as a linker does, and syncs it.
fn anew(path: &Path, bytes: &[u8], mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    let _ = fs::remove_file(path);
    let mut file = File::create(path).expect("there is room");
    file.write_all(bytes).expect("there is room");
    let mode = fs::Permissions::from_mode(mode);
    file.set_permissions(mode).expect("it is ours");
    file.sync_all().expect("there is a disk");
}

/// Waits until the times of files are old enough to be trusted.
fn settle() {
    std::thread::sleep(Duration::from_secs(3));
}
