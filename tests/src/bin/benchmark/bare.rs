//! Baseline processes: the same executables with the same arguments, started
//! and reaped in a plain loop.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::World;

/// Starts a component with the arguments and environment the tool would use.
pub(crate) fn start(
    world: &World,
    home: &Path,
    executable: &str,
    role: &str,
    notify: Option<&Path>,
) -> Child {
    let mut command = world.program(world.bin(executable));
    command
        .args(["--call-signature=o", "--point-of-origin=3"])
        .arg(format!("--home-path={}", home.display()))
        .arg(format!("--role-name={role}"))
        .env("ANSAR_PARENT", std::process::id().to_string())
        .env("ANSAR_ROLE", role);
    if let Some(notify) = notify {
        command.env("NOTIFY_SOCKET", notify);
    }
    command.spawn().expect("the executable starts")
}

/// Starts one process per role, all at once.
pub(crate) fn start_all(world: &World, home: &Path, executable: &str, count: usize) -> Vec<Child> {
    let roles = (0..count).map(|number| format!("test-{number}"));
    roles
        .map(|role| start(world, home, executable, &role, None))
        .collect()
}

/// Starts a role that serves the others and drains its output on a thread: with
/// hundreds of clients, the output exceeds a pipe buffer.
pub(crate) fn serve(world: &World, home: &Path, role: &str, notify: &Path) -> Child {
    let executable = role.trim_end_matches("-0");
    let mut child = start(world, home, executable, role, Some(notify));
    let stderr = child.stderr.take();
    thread::spawn(move || read(stderr, &mut Vec::new()));
    child
}

/// Reads the output of the processes and waits for their exits, one after the
/// other. None writes more than a pipe holds, so none blocks meanwhile.
pub(crate) fn finish(children: Vec<Child>) {
    let mut text = Vec::new();
    for mut child in children {
        read(child.stderr.take(), &mut text);
        read(child.stdout.take(), &mut text);
        let status = child.wait().expect("a child can be waited for");
        assert!(
            status.success(),
            "{status}\n{}",
            String::from_utf8_lossy(&text)
        );
        text.clear();
    }
}

/// Reads a pipe, if there is one, to its end.
fn read(pipe: Option<impl Read>, text: &mut Vec<u8>) {
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(text).expect("a pipe can be read");
    }
}

/// Sends SIGINT to the processes.
pub(crate) fn interrupt(children: &[Child]) {
    for child in children {
        signal(child.id());
    }
}

/// Sends SIGINT to one process.
pub(crate) fn signal(pid: u32) {
    kill(
        Pid::from_raw(i32::try_from(pid).expect("it is a process")),
        Signal::SIGINT,
    )
    .expect("it runs");
}

/// Notification socket that receives which components are ready.
pub(crate) struct Ready {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Ready {
    pub(crate) fn listen(world: &World) -> Self {
        // Kept short: it is the path of a socket.
        let path = world.root().join("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("the path is short enough");
        Self { socket, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the server listens and the zombie is ready.
    pub(crate) fn wait(&self) {
        let (mut server, mut zombie) = (false, false);
        let mut datagram = [0; 4096];
        while !(server && zombie) {
            let length = self.socket.recv(&mut datagram).expect("the socket is ours");
            let text = String::from_utf8_lossy(&datagram[..length]);
            server |= text.lines().any(|line| line == "READY=1");
            zombie |= text.contains("X_ANSAR_ANNOUNCES=0");
        }
    }
}

/// Returns the children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Reads a number from `/proc/PID/status`.
pub(crate) fn status(pid: u32, name: &str, radix: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find(|(it, _)| *it == name).map(|(_, value)| value);
    let digits = value.and_then(|value| value.split_whitespace().next());
    u64::from_str_radix(digits.unwrap_or_default(), radix).unwrap_or(0)
}

/// Waits until every process has set its disposition of SIGINT: caught, or
/// ignored (`SigIgn`).
pub(crate) fn wait_until_settled(pids: &[u32], mask: &str) {
    const SIGTERM: u64 = 1 << 14;
    for pid in pids {
        while status(*pid, mask, 16) & SIGTERM == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
}
