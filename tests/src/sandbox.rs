//! The isolated world of one test: its folders, environment and processes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, process, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::deadline::eventually;
use crate::executables::{cargo, executable};
use crate::program::Program;

/// Environment variable that marks every process of a sandbox, at any depth.
const MARK: &str = "ANSAR_TEST_ID";

/// The isolated world of one test.
///
/// Dropping it kills the processes that were started in it and removes its
/// folder. Unless the test has failed already, it fails if such a process was
/// still running, or if the folder for temporary files is not empty.
pub struct Sandbox {
    folder: TempDir,
    id: String,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// Creates a sandbox below the system's temporary folder, outside of any
    /// workspace.
    pub fn new() -> Self {
        Self::among(&temporary_files())
    }

    /// Creates a sandbox in `folder`.
    pub(crate) fn among(folder: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("ansar-test-")
            .tempdir_in(folder)
            .expect("a folder for the test is made");
        for part in ["scratch", "home", "config", "tmp"] {
            fs::create_dir(folder.path().join(part)).expect("the folder is empty");
        }
        let id = format!("{}-{}", process::id(), unique());
        Self { folder, id }
    }

    /// Working folder of every program in the sandbox.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// The user's configuration folder in the sandbox.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// Writes a file, relative to the working folder, and returns its path.
    /// Missing folders are created.
    #[track_caller]
    pub fn write(&self, path: impl AsRef<Path>, text: &str) -> PathBuf {
        let path = self.path().join(path);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("the folder is made");
        fs::write(&path, text).expect("the file is written");
        path
    }

    /// Reads a file, relative to the working folder.
    #[track_caller]
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.path().join(path);
        match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => panic!("`{}` is not read: {error}", path.display()),
        }
    }

    /// The component `name`.
    #[track_caller]
    pub fn component(&self, name: &str) -> Program<'_> {
        self.program(executable(name))
    }

    /// `cargo-ansar`, as cargo starts it for `cargo ansar ARGUMENTS`. Cargo
    /// below it is offline.
    pub fn ansar<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program<'_> {
        self.program(executable("cargo-ansar"))
            .arg("ansar")
            .args(arguments)
            .envs(toolchain())
    }

    /// `cargo ARGUMENTS`, offline.
    pub fn cargo<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program<'_> {
        self.program(cargo()).args(arguments).envs(toolchain())
    }

    /// `sh -c SCRIPT`, with `cargo` and `cargo ansar` in its `PATH`.
    pub fn shell(&self, script: &str) -> Program<'_> {
        let own = executable("cargo-ansar").parent().map(Path::to_owned);
        let usual = variable("PATH").unwrap_or_default();
        let path = own.into_iter().chain(std::env::split_paths(&usual));
        let path = std::env::join_paths(path).expect("no folder has a colon");
        let shell = self.program("sh").args(["-c", script]);
        shell.envs(toolchain()).env("PATH", path)
    }

    /// `sh -c SCRIPT` in a terminal of its own, with `cargo` in its `PATH`:
    /// text written to stdin is typed, and stdout receives the terminal's
    /// output.
    pub fn terminal(&self, script: &str) -> Program<'_> {
        let terminal = self.program("script");
        let terminal = terminal.args(["-qec", script, "/dev/null"]);
        terminal.envs(toolchain())
    }

    /// Any program, by its path or by its name in `PATH`.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Program<'_> {
        let part = |name| self.folder.path().join(name).into_os_string();
        Program::new(self, program.as_ref()).envs([
            ("PATH", variable("PATH").unwrap_or_default()),
            ("HOME", part("home")),
            ("XDG_CONFIG_HOME", part("config")),
            ("TMPDIR", part("tmp")),
            ("LC_ALL", "C".into()),
            (MARK, self.id.as_str().into()),
        ])
    }

    /// Returns the running processes of the sandbox: pid and command line.
    pub fn processes(&self) -> BTreeMap<i32, String> {
        let mark = format!("{MARK}={}", self.id);
        let entries = fs::read_dir("/proc").expect("there is a /proc");
        entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let pid = path.file_name()?.to_str()?.parse().ok()?;
                let environment = environment(&path)?;
                let mut variables = environment.split(|byte| *byte == 0);
                variables.find(|variable| *variable == mark.as_bytes())?;
                let command = fs::read(path.join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                Some((pid, command))
            })
            .collect()
    }

    /// Asserts that no process of the sandbox runs.
    #[track_caller]
    pub fn is_still(&self) {
        let left = self.processes();
        assert!(left.is_empty(), "processes are left behind: {left:?}");
    }

    fn kill_all(&self) {
        // A process that is started during a pass is found by the next one.
        let none_left = eventually(|| {
            let left = self.processes();
            for pid in left.keys() {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            left.is_empty().then_some(())
        });
        assert!(none_left.is_some(), "processes cannot be killed");
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let left = self.processes();
        self.kill_all();
        if thread::panicking() {
            return;
        }
        assert!(left.is_empty(), "processes are left behind: {left:?}");
        let temporary: Vec<_> = fs::read_dir(self.folder.path().join("tmp"))
            .expect("the sandbox is there")
            .flatten()
            // A linker killed midway leaves its own files, `ccXXXXXX` and those
            // it passes on; the tool does not clean them up.
            .filter(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                !(name.starts_with("cc") || name.starts_with("rustc"))
            })
            .map(|entry| entry.path())
            .collect();
        assert!(temporary.is_empty(), "files are left behind: {temporary:?}");
    }
}

/// Returns the running processes with `text` on their command line, in any
/// environment: pid and command line.
pub fn processes_named(text: &str) -> BTreeMap<i32, String> {
    let entries = fs::read_dir("/proc").expect("there is a /proc");
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            // The command line of a process that has ended is empty.
            let command = fs::read(path.join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            command.contains(text).then_some((pid, command))
        })
        .collect()
}

/// Reads the environment of the process with this folder in `/proc`; `None` if
/// the process has ended or belongs to another user. During an exec, the
/// environment is empty or incomplete for a moment.
fn environment(process: &Path) -> Option<Vec<u8>> {
    eventually(|| {
        let environment = fs::read(process.join("environ")).ok();
        let Some(read) = &environment else {
            return Some(None);
        };
        let is_whole = environment_length(process) == Some(read.len());
        is_whole.then_some(environment)
    })
    .flatten()
}

/// Returns the length of a process's environment; `None` while an exec sets it.
fn environment_length(process: &Path) -> Option<usize> {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Counted from the state, which is the third field.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or("0");
    let number = |field: &str| field.parse::<usize>().unwrap_or_default();
    let (state, group, code) = (field(3), field(5), field(27));
    if matches!(state, "Z" | "X" | "0") || group == "0" {
        // The process has ended, is gone, or is a kernel thread.
        Some(0)
    } else if code == "0" {
        // This field is set last.
        None
    } else {
        number(field(51)).checked_sub(number(field(50)))
    }
}

/// Returns the children of all threads of a process; empty if it is gone.
pub fn children_of(pid: u32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists = threads
        .map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let lists: Vec<String> = lists.collect();
    let pids = lists.iter().flat_map(|list| list.split_ascii_whitespace());
    pids.filter_map(|pid| pid.parse().ok()).collect()
}

/// Returns a loopback address that no other test uses, so that components keep
/// their ports while tests run side by side.
pub fn loopback() -> Ipv4Addr {
    let [_, _, middle, low] = process::id().to_be_bytes();
    let number = unique();
    let [_, _, _, high] = (number / 254).to_be_bytes();
    let [_, _, _, last] = (1 + number % 254).to_be_bytes();
    // Every 127.0.x.y is usable, and the last byte is neither 0 nor 255.
    Ipv4Addr::new(127, 1 + (middle ^ low) % 254, high, last)
}

/// Environment variables that cargo sets for its subcommands.
pub(crate) fn toolchain() -> Vec<(&'static str, OsString)> {
    let home = variable("HOME").map(PathBuf::from).unwrap_or_default();
    let folder =
        |name, usual: &str| variable(name).unwrap_or_else(|| home.join(usual).into_os_string());
    let mut variables = vec![
        ("CARGO", cargo().into_os_string()),
        ("CARGO_HOME", folder("CARGO_HOME", ".cargo")),
        ("RUSTUP_HOME", folder("RUSTUP_HOME", ".rustup")),
        ("CARGO_NET_OFFLINE", "true".into()),
    ];
    variables.extend(variable("RUSTUP_TOOLCHAIN").map(|name| ("RUSTUP_TOOLCHAIN", name)));
    variables
}

/// Returns a number that this process has not used yet.
fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn temporary_files() -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(std::env::temp_dir);
    FOLDER.clone()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a sandbox picks what it keeps of the environment"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
