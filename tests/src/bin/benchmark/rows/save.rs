//! From a save to the verdict, compared with a build and the bare test
//! processes. Other programs that run tests at every save are printed beside.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use super::same;
use crate::bare::{self, Ready};
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, run};

/// Number of saves.
const SAVES: usize = 20;
/// Debounce time: a save that was not followed by another for so long is
/// complete.
pub(super) const DEBOUNCE: Duration = Duration::from_millis(50);

/// The source that is saved, and the text in it that changes each time.
const SOURCE: &str = "test-fixtures/src/bin/client.rs";
const TEXT: &str = "Connected to {}";

/// A source file of one world.
struct Source {
    path: PathBuf,
    text: String,
    saves: usize,
}

impl Source {
    fn of(world: &World) -> Self {
        let path = world.root().join(SOURCE);
        let text = fs::read_to_string(&path).expect("the client has a source");
        Self {
            path,
            text,
            saves: 0,
        }
    }

    /// Saves it with a new text, which the executable will contain.
    fn save(&mut self) {
        self.saves += 1;
        let text = self.text.replace(TEXT, &format!("{TEXT}, {}", self.saves));
        fs::write(&self.path, text).expect("there is room");
    }
}

/// A program that runs the tests at every save.
pub(super) struct Watch {
    child: Child,
    told: BufReader<ChildStderr>,
}

impl Watch {
    pub(super) fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let told = child.stderr.take().expect("it is a pipe");
        Self {
            child,
            told: BufReader::new(told),
        }
    }

    /// Waits until its output contains `text`.
    pub(super) fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let length = self.told.read_line(&mut line).expect("it tells text");
            assert!(length > 0, "it has ended before it told `{text}`");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        bare::signal(self.child.id());
        let _ = self.child.wait();
    }
}

/// A home with a server, an independent role, and one client.
fn home(world: &World) -> PathBuf {
    let settings = "settings = { host = \"HOST\", port = 65432 }";
    let roles = format!(
        "snapshot = \"test-fixtures/testing\"\n{}{settings}\n\
         [workspace.metadata.ansar.role.server-0]\nexecutable = \"server\"\n{settings}\n\
         [workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n",
        same("client", 1)
    );
    world.make_home("save", &roles)
}

/// The budget limits the ratio of our time, less the debounce.
pub(crate) fn row(world: &World) -> Judged {
    let mut watch = Watch::start(&mut world.ansar_watch(&home(world)));
    watch.wait_for("Watching");
    let mut source = Source::of(world);
    let ours = || {
        let time = timed(|| {
            source.save();
            watch.wait_for("      Passed ");
        });
        watch.wait_for("Watching");
        time.saturating_sub(DEBOUNCE)
    };

    // In a world of its own: a watcher of the first world would see its saves.
    let other = World::new();
    let home = home(&other);
    let ready = Ready::listen(&other);
    let operational = ["server-0", "zombie-0"];
    let operational = operational.map(|role| bare::serve(&other, &home, role, ready.path()));
    ready.wait();
    let mut source = Source::of(&other);
    let bare = || {
        timed(|| {
            source.save();
            run(&mut other.cargo_build(&["client", "server", "zombie"]));
            bare::finish(bare::start_all(&other, &home, "client", 1));
        })
    };
    let mut judged = interleaved(SAVES, 1.10, ours, bare);
    judged.ours += DEBOUNCE.as_secs_f64() * 1e3;
    bare::interrupt(&operational);
    bare::finish(operational.into());
    drop(watch);
    beside(&other, &home, &mut source);
    judged
}

/// Measures `watchexec`, if installed, with `cargo ansar test`.
fn beside(world: &World, home: &Path, source: &mut Source) {
    let version = Command::new("watchexec").arg("--version").output();
    if version.is_err() {
        println!("{:<14} no watchexec to set beside it", "");
        return;
    }
    let mut test = world.ansar_test(home);
    let mut watchexec = world.program("watchexec");
    watchexec
        .env("ANSAR_HOME", home)
        // A save during the end of a run must not be lost, and version control
        // may ignore the folder of this world.
        .args(["--on-busy-update=queue", "--ignore-nothing"])
        .args(["--watch", "test-fixtures/src", "--"])
        .arg(test.get_program())
        .args(test.get_args());
    // The first run must find everything built.
    run(&mut test);
    let mut watchexec = Watch::start(&mut watchexec);
    watchexec.wait_for("      Passed ");
    let mut times: Vec<Duration> = (0..SAVES)
        .map(|_| {
            timed(|| {
                source.save();
                watchexec.wait_for("      Passed ");
            })
        })
        .collect();
    times.sort();
    println!(
        "{:<14} watchexec -- cargo ansar test takes {:.1} ms",
        "",
        times[times.len() / 2].as_secs_f64() * 1e3
    );
}
