//! Orphans: processes that this one adopted because their parent has exited.
//!
//! A subreaper adopts the orphans of all its descendants. This module finds,
//! identifies and reaps them; it does not know which role one belongs to. On
//! platforms without subreapers there are no orphans.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal as NixSignal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getsid};

use ansar_contract::launch;

use tokio::signal::unix::{SignalKind, signal};

use crate::host::process::procfs;
use crate::host::process::procfs::Stat;
use crate::host::process::signal::Signal;
#[cfg(target_os = "linux")]
use crate::host::process::tag;
use crate::host::process::{EXIT_TIMEOUT, reaped_within};
use crate::host::{clock, process};

/// The environment variable that marks Cargo and its descendants.
pub const BUILD: &str = "ANSAR_BUILD";

/// The environment variable that marks a background engine.
pub const BACKGROUND: &str = "ANSAR_BACKGROUND";

/// An adopted process. The process id and the start time together identify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The process id.
    pub pid: u32,
    /// The process group.
    pub group: u32,
    /// The session.
    pub session: u32,
    /// The start time, in clock ticks since boot.
    pub started: Option<u64>,
    /// The environment it was started with.
    pub environment: Vec<(String, String)>,
}

impl Orphan {
    /// Returns the value of an environment variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut all = self.environment.iter();
        all.find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Sends it a signal, and continues it so that a stopped process receives
    /// it. Returns false if the process belongs to another user and cannot be
    /// signalled.
    pub fn signal(&self, signal: Signal) -> bool {
        // It may have been reaped, and its id reused.
        if !is_alive(self.pid, self.started) {
            return true;
        }
        let sent = kill(id(self.pid), signal.number());
        let _ = kill(id(self.pid), NixSignal::SIGCONT);
        sent != Err(Errno::EPERM)
    }
}

/// The outcome of killing adopted processes.
#[derive(Debug, Default)]
pub struct Killed {
    /// Number of processes that exited.
    pub ended: usize,
    /// Processes that did not exit, each with the reason.
    pub left: Vec<(u32, String)>,
}

/// Makes this process adopt the orphans among its descendants.
pub fn adopt() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(())
}

/// Returns the adopted processes that are alive, and reaps those that have
/// exited.
pub fn adopted() -> Vec<Orphan> {
    list_living(|| process::strangers(children()))
}

/// Lists `children` until none of them has exited in between: the orphans of
/// one that has are children of this process since.
fn list_living(mut children: impl FnMut() -> BTreeSet<u32>) -> Vec<Orphan> {
    loop {
        let asked = children();
        let count = asked.len();
        let living: Vec<Orphan> = asked.into_iter().filter_map(examine).collect();
        if living.len() == count {
            return living;
        }
    }
}

/// Kills every adopted process except those for which `spared` returns true,
/// and the orphans that this creates, until none is left that can be killed.
/// Reaps them all.
///
/// Only children are signalled, so a process id cannot have been reused.
pub fn end_all(spared: impl Fn(&Orphan) -> bool) -> Killed {
    let (mut ended, mut unkillable) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let mut targets = adopted();
        targets.retain(|orphan| !spared(orphan) && !unkillable.contains(&orphan.pid));
        if targets.is_empty() {
            let left = unkillable.into_iter();
            let left = left.filter_map(|pid| Some((pid, obstacle(pid)?)));
            return Killed {
                ended: ended.len(),
                left: left.collect(),
            };
        }
        targets.retain(|orphan| {
            let signalled = orphan.signal(Signal::Kill);
            if !signalled {
                unkillable.insert(orphan.pid);
            }
            signalled
        });
        let begun = clock::instant();
        for orphan in targets {
            if reaped_within(orphan.pid, EXIT_TIMEOUT.saturating_sub(begun.elapsed())) {
                ended.insert(orphan.pid);
            } else {
                unkillable.insert(orphan.pid);
            }
        }
    }
}

/// Gives every adopted process except those for which `spared` returns true time to
/// end by itself, and asks those that remain to end, with SIGTERM. Each of both gets
/// this time.
pub fn ask_to_end(spared: impl Fn(&Orphan) -> bool, limit: Duration) {
    if !all_end(&spared, limit, |_| {}) {
        all_end(&spared, limit, |orphan| {
            orphan.signal(Signal::TERMINATE);
        });
    }
}

/// Waits until no adopted process is left except those that are spared, and calls
/// `seen` once for each that is. Returns false when the time is over.
fn all_end(spared: &impl Fn(&Orphan) -> bool, limit: Duration, seen: impl Fn(&Orphan)) -> bool {
    /// Time after which it looks for orphans of those that have ended.
    const PAUSE: Duration = Duration::from_millis(50);
    let begun = clock::instant();
    let mut known = BTreeSet::new();
    while begun.elapsed() < limit {
        let mut targets = adopted();
        targets.retain(|orphan| !spared(orphan));
        let Some(first) = targets.first() else {
            return true;
        };
        for orphan in &targets {
            if known.insert((orphan.pid, orphan.started)) {
                seen(orphan);
            }
        }
        reaped_within(first.pid, PAUSE.min(limit.saturating_sub(begun.elapsed())));
    }
    false
}

/// Kills all adopted processes except daemons, which outlive this process.
/// Processes that were started here are not affected.
pub fn end_orphans() -> Killed {
    let session = own_session();
    end_all(|orphan| is_daemon(orphan, session))
}

/// Returns the reason a killed process is still running; `None` if it has
/// exited.
pub fn obstacle(pid: u32) -> Option<String> {
    match kill(id(pid), None) {
        Err(Errno::EPERM) => {
            return Some(match procfs::owner(pid) {
                Some(user) => format!("it belongs to user {user}: operation not permitted"),
                None => "operation not permitted".to_owned(),
            });
        }
        Err(_) => return None,
        Ok(()) => {}
    }
    let state = Stat::of(pid).and_then(|stat| stat.state());
    Some(match (procfs::tracer(pid), state) {
        (Some(tracer), _) => format!("it is traced by process {tracer}"),
        _ if procfs::is_uninterruptible(pid) => {
            "it is in uninterruptible sleep (state D)".to_owned()
        }
        (None, Some(state)) => format!("it is still running after SIGKILL (state {state})"),
        (None, None) => "it is still running after SIGKILL".to_owned(),
    })
}

/// Reaps adopted processes as they exit, for as long as the future is polled.
/// Children that were started here are left to their own waiters.
pub async fn reap_as_they_end() -> io::Result<()> {
    /// Processes that exit within this time are reaped together.
    const TOGETHER: Duration = Duration::from_millis(10);
    let mut ends = signal(SignalKind::child())?;
    while ends.recv().await.is_some() {
        tokio::time::sleep(TOGETHER).await;
        reap(process::is_waited_for);
    }
    Ok(())
}

/// Reaps children that have exited, except those for which `is_waited_for`
/// returns true.
pub(crate) fn reap(is_waited_for: impl Fn(u32) -> bool) {
    let reap = |pid: Pid| waitpid(pid, Some(WaitPidFlag::WNOHANG));
    while let Some(ended) = any_ended() {
        if is_waited_for(ended.as_raw().unsigned_abs()) {
            // `waitid` returns this one each time, so look for the others.
            let others = children().into_iter().filter(|pid| !is_waited_for(*pid));
            for other in others {
                let _ = reap(id(other));
            }
            return;
        }
        if !matches!(reap(ended), Ok(status) if status != WaitStatus::StillAlive) {
            return;
        }
    }
}

/// Returns a child that has exited, without reaping it.
#[cfg(target_os = "linux")]
fn any_ended() -> Option<Pid> {
    use nix::sys::wait::{Id, waitid};

    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags).ok()?.pid()
}

/// Returns no child: without a subreaper, no process is adopted, and each child is
/// waited for.
#[cfg(not(target_os = "linux"))]
fn any_ended() -> Option<Pid> {
    None
}

/// Returns true if an adopted process belongs to no role and outlives this
/// process: a daemon that Cargo started for later builds, or a background
/// engine.
pub fn is_daemon(orphan: &Orphan, session: u32) -> bool {
    let marked = [BUILD, BACKGROUND].map(|mark| orphan.variable(mark).is_some());
    orphan.session != session && marked.contains(&true) && orphan.variable(launch::TOKEN).is_none()
}

/// Returns the session of this process.
pub fn own_session() -> u32 {
    getsid(None).map_or(0, |session| session.as_raw().unsigned_abs())
}

/// The outcome of [`kill_marked`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KillReport {
    /// Number of processes that were killed.
    pub ended: usize,
    /// Processes that could not be killed.
    pub left: Vec<u32>,
}

/// Time that killed processes get to exit.
#[cfg(target_os = "linux")]
const KILL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Kills every process that carries `token` in its environment or as its
/// [`tag`], and every process of a session whose leader does.
///
/// Each process is opened as a pidfd before it is examined, so that its id
/// cannot be reused in between.
#[cfg(target_os = "linux")]
pub fn kill_marked(token: &str) -> KillReport {
    kill_marked_among(all, token)
}

/// Kills the marked processes among `listed`, which is called until every
/// process was seen alive: one that exited before may have left orphans that
/// are not in the list.
#[cfg(target_os = "linux")]
fn kill_marked_among(mut listed: impl FnMut() -> Vec<u32>, token: &str) -> KillReport {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    let tag = tag::of_text(token);
    let until = clock::instant() + KILL_TIMEOUT;
    let mut report = KillReport::default();
    let mut ended = BTreeSet::new();
    let mut sessions = BTreeSet::new();
    let (mut examined, mut unreadable) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let mut repeat = false;
        let mut killed_now = Vec::new();
        for pid in listed() {
            if examined.contains(&pid) {
                continue;
            }
            let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let pidfd = number.map(|pid| pidfd_open(pid, PidfdFlags::empty()));
            let stat = Stat::of(pid);
            let session = stat.as_ref().and_then(Stat::session);
            let (Some(Ok(pidfd)), Some(stat), Some(session)) = (pidfd, stat, session) else {
                // It is gone, or will never be readable: look once more.
                repeat |= unreadable.insert(pid);
                continue;
            };
            let marked = || {
                let mut environment = environment(pid).into_iter();
                tag::of(pid) == Some(tag)
                    || environment.any(|(name, value)| name == launch::TOKEN && value == token)
            };
            if stat.has_ended() {
                repeat = true;
                examined.insert(pid);
            } else if sessions.contains(&session) || marked() {
                if session == pid && sessions.insert(session) {
                    // Processes examined before may be of this session.
                    examined.clear();
                }
                if clock::instant() >= until || pidfd_send_signal(&pidfd, Signal::KILL).is_err() {
                    // It belongs to another user, or is in an uninterruptible
                    // wait.
                    report.left.push(pid);
                    examined.insert(pid);
                    continue;
                }
                repeat = true;
                ended.insert(pid);
                killed_now.push(pidfd);
            } else {
                examined.insert(pid);
            }
        }
        if !repeat {
            report.left.retain(|pid| start_time(*pid).is_some());
            report.left.sort_unstable();
            report.left.dedup();
            report.ended = ended
                .iter()
                .filter(|pid| !report.left.contains(pid))
                .count();
            return report;
        }
        for pidfd in killed_now {
            ends(&pidfd, until);
        }
    }
}

/// Waits until a process has exited, or until the deadline.
#[cfg(target_os = "linux")]
fn ends(pidfd: &std::os::fd::OwnedFd, until: std::time::Instant) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let left = until.saturating_duration_since(clock::instant());
    let left = Timespec::try_from(left).ok();
    // If a signal interrupts this, the caller looks again.
    let _ = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], left.as_ref());
}

/// Returns nothing: other processes cannot be examined on this platform.
#[cfg(not(target_os = "linux"))]
pub fn kill_marked(_: &str) -> KillReport {
    KillReport::default()
}

/// Returns the start time of a process, in clock ticks since boot; `None` if
/// there is no such process, or it has exited and is not reaped yet.
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = Stat::of(pid).filter(|stat| !stat.has_ended())?;
    stat.start_time()
}

/// Returns true if the process that started at `started` (clock ticks since
/// boot) runs. One that is exiting runs no code any more, and may already have
/// closed its files.
pub fn is_running(pid: u32, started: u64) -> bool {
    // One reading: the process may be reaped at any time.
    Stat::of(pid).is_some_and(|stat| stat.is_of_running(started))
}

/// Returns the parent of a process; `None` if the process is gone.
pub fn parent(pid: u32) -> Option<u32> {
    Stat::of(pid)?.parent()
}

/// Returns true if the process that started at `started` (clock ticks since
/// boot) is running. Without a start time, returns true if any process has this
/// id.
pub fn is_alive(pid: u32, started: Option<u64>) -> bool {
    match started {
        Some(_) => start_time(pid) == started,
        None => kill(id(pid), None).is_ok(),
    }
}

/// Returns the ids of all processes.
pub(crate) fn all() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    if !procfs::is_of_this_namespace() {
        return Vec::new();
    }
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// Returns the children of this process's first thread, which starts all
/// processes and adopts all orphans.
pub fn children() -> BTreeSet<u32> {
    let list = format!("/proc/self/task/{}/children", std::process::id());
    let list = std::fs::read_to_string(list).unwrap_or_default();
    if !procfs::is_of_this_namespace() {
        return BTreeSet::new();
    }
    let pids = list.split_ascii_whitespace();
    pids.filter_map(|pid| pid.parse().ok()).collect()
}

/// Examines a child; reaps it and returns `None` if it has exited.
fn examine(pid: u32) -> Option<Orphan> {
    let stat = Stat::of(pid)?;
    if stat.has_ended() {
        let reaped = waitpid(id(pid), Some(WaitPidFlag::WNOHANG));
        // The first thread may have exited while others run.
        if reaped != Ok(WaitStatus::StillAlive) {
            return None;
        }
    }
    Some(Orphan {
        pid,
        group: stat.group()?,
        session: stat.session()?,
        started: stat.start_time(),
        environment: environment(pid),
    })
}

/// Returns the environment a process was started with; empty if the process is
/// gone or belongs to another user. During an exec the environment is missing
/// or incomplete, so it is read again.
pub fn environment(pid: u32) -> Vec<(String, String)> {
    // An exec takes a few iterations, unless a disk hangs.
    const ATTEMPTS: usize = 1_000;
    if !procfs::is_of_this_namespace() {
        return Vec::new();
    }
    let mut block = Vec::new();
    for _ in 0..ATTEMPTS {
        let (read, stat) = (std::fs::read(format!("/proc/{pid}/environ")), Stat::of(pid));
        let (Ok(read), Some(stat)) = (read, stat) else {
            return Vec::new();
        };
        block = read;
        if stat.environment_length() == Some(block.len() as u64) {
            break;
        }
        std::thread::yield_now();
    }
    // If the kernel reports no length, this is the last read.
    variables(&block)
}

fn variables(block: &[u8]) -> Vec<(String, String)> {
    let variables = block.split(|byte| *byte == 0);
    variables
        .filter_map(|variable| {
            let variable = String::from_utf8_lossy(variable);
            let (name, value) = variable.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

fn id(pid: u32) -> Pid {
    // The kernel returns positive ids that fit.
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "real processes exit")]
    fn children_are_listed_again_when_one_has_ended() {
        let start = |program: &str| {
            let mut command = std::process::Command::new(program);
            command.stdin(std::process::Stdio::piped()).spawn().unwrap()
        };
        let (ended, mut heir) = (start("true"), start("cat"));
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(nix::sys::wait::Id::Pid(id(ended.id())), flags).unwrap();

        let mut lists = vec![BTreeSet::from([heir.id()]), BTreeSet::from([ended.id()])];
        let found = list_living(|| lists.pop().unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pid, heir.id());
        heir.kill().unwrap();
        heir.wait().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "real processes exit")]
    fn processes_are_listed_again_when_one_has_ended() {
        const TOKEN: &str = "a token of this test";
        let start = |program: &str| {
            let mut command = std::process::Command::new(program);
            command.env(launch::TOKEN, TOKEN);
            command.stdin(std::process::Stdio::piped()).spawn().unwrap()
        };
        let (mut ended, mut heir) = (start("true"), start("cat"));
        ended.wait().unwrap();

        let heirs = vec![heir.id()];
        let mut lists = vec![heirs.clone(), heirs.clone(), heirs, vec![ended.id()]];
        let report = kill_marked_among(|| lists.pop().unwrap_or_default(), TOKEN);
        assert_eq!((report.ended, report.left), (1, Vec::new()));
        assert_eq!(heir.wait().unwrap().code(), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "real processes execute programs")]
    fn environment_is_read_during_exec() {
        const NAME: &str = "A_NAME_THAT_IS_LOOKED_FOR";
        // One process that executes a new program over and over, so that it is
        // mostly in the middle of an exec.
        let script = format!(
            "[ ${NAME} = 300 ] && exec cat; {NAME}=$((${NAME} + 1)) exec sh -c \"$0\" \"$0\""
        );
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, &script]).env(NAME, "1");
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut value = String::new();
        while value != "300" {
            let environment = environment(child.id());
            let found = environment.into_iter().find(|(name, _)| name == NAME);
            value = found.expect("it has it all the time").1;
        }
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
