//! Processes that came to this one because whoever started them is gone.
//!
//! A subreaper is given the orphans of everything below it. Owns how they are
//! found, told apart and reaped; which role one belongs to is not known here.
//! Where the platform has no subreapers there are none.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal as NixSignal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getsid};

use ansar_contract::launch;

use tokio::signal::unix::{SignalKind, signal};

use crate::host::process::procfs;
use crate::host::process::procfs::Stat;
use crate::host::process::signal::Signal;
use crate::host::process::tag;
use crate::host::process::{KILLED_IN, reaped_within};
use crate::host::{clock, process};

/// The variable in the environment of Cargo, and of what Cargo starts.
pub const BUILD: &str = "ANSAR_BUILD";

/// The variable in the environment of an engine in the background.
pub const BACKGROUND: &str = "ANSAR_BACKGROUND";

/// A process that was adopted. Its number and its start time together mean no
/// other process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its number.
    pub pid: u32,
    /// Its group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// When it was started, in ticks since the machine was.
    pub started: Option<u64>,
    /// Its environment, as it was at its start.
    pub environment: Vec<(String, String)>,
}

impl Orphan {
    /// The value of a variable in its environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut all = self.environment.iter();
        all.find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Sends it a signal, and wakes it so that it hears it. Returns false if it
    /// belongs to another user, who may not be signalled.
    pub fn signal(&self, signal: Signal) -> bool {
        // It may have been reaped, and its number given to another process.
        if !is_alive(self.pid, self.started) {
            return true;
        }
        let sent = kill(id(self.pid), signal.number());
        let _ = kill(id(self.pid), NixSignal::SIGCONT);
        sent != Err(Errno::EPERM)
    }
}

/// The adopted processes that were to end.
#[derive(Debug, Default)]
pub struct Killed {
    /// The number of those that ended.
    pub ended: usize,
    /// Those that did not, and the reason.
    pub left: Vec<(u32, String)>,
}

/// Makes this process the one that is given the orphans below it.
pub fn adopt() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(())
}

/// The adopted processes that live. Those that have ended are reaped.
pub fn adopted() -> Vec<Orphan> {
    living(|| process::strangers(children()))
}

/// Those of `children` that live, asked for again until none of them has ended
/// in between: whoever does may leave children, who are ours since.
fn living(mut children: impl FnMut() -> BTreeSet<u32>) -> Vec<Orphan> {
    loop {
        let asked = children();
        let count = asked.len();
        let living: Vec<Orphan> = asked.into_iter().filter_map(look).collect();
        if living.len() == count {
            return living;
        }
    }
}

/// Ends every process that was adopted but those that `spared` spares, and those
/// that come in their place, until none is left that can be ended; reaps them
/// all.
///
/// Only children are signalled: their numbers cannot mean anybody else.
pub fn end_all(spared: impl Fn(&Orphan) -> bool) -> Killed {
    let (mut ended, mut stubborn) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let mut doomed = adopted();
        doomed.retain(|orphan| !spared(orphan) && !stubborn.contains(&orphan.pid));
        if doomed.is_empty() {
            let left = stubborn.into_iter();
            let left = left.filter_map(|pid| Some((pid, obstacle(pid)?)));
            return Killed {
                ended: ended.len(),
                left: left.collect(),
            };
        }
        doomed.retain(|orphan| {
            let hears = orphan.signal(Signal::Kill);
            if !hears {
                stubborn.insert(orphan.pid);
            }
            hears
        });
        let begun = clock::instant();
        for orphan in doomed {
            if reaped_within(orphan.pid, KILLED_IN.saturating_sub(begun.elapsed())) {
                ended.insert(orphan.pid);
            } else {
                stubborn.insert(orphan.pid);
            }
        }
    }
}

/// Ends everything that was adopted, but what is to outlive this process; what
/// was started here is known, and is left alone.
pub fn end_orphans() -> Killed {
    let session = own_session();
    end_all(|orphan| is_daemon(orphan, session))
}

/// The reason why a process goes on though it was killed; none where it has
/// ended.
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
        (None, Some(state)) => format!("it goes on after SIGKILL (state {state})"),
        (None, None) => "it goes on after SIGKILL".to_owned(),
    })
}

/// Reaps adopted processes as they end, for as long as this is polled. The end
/// of a process that was started here is left to whoever waits for it.
pub async fn reap_as_they_end() -> io::Result<()> {
    /// Those that end within this time are reaped together.
    const TOGETHER: Duration = Duration::from_millis(10);
    let mut ends = signal(SignalKind::child())?;
    while ends.recv().await.is_some() {
        tokio::time::sleep(TOGETHER).await;
        reap(process::is_waited_for);
    }
    Ok(())
}

/// Reaps the children that have ended, but those that `is_waited_for` says
/// others wait for.
pub(crate) fn reap(is_waited_for: impl Fn(u32) -> bool) {
    let reap = |pid: Pid| waitpid(pid, Some(WaitPidFlag::WNOHANG));
    while let Some(ended) = any_ended() {
        if is_waited_for(ended.as_raw().unsigned_abs()) {
            // It hides those behind it, which have to be looked for.
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

/// A child that has ended, which is not reaped by this.
fn any_ended() -> Option<Pid> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags).ok()?.pid()
}

/// Whether an adopted process is to outlive this one, and no role's: one that
/// Cargo started to serve the next build, or an engine in the background.
pub fn is_daemon(orphan: &Orphan, session: u32) -> bool {
    let marked = [BUILD, BACKGROUND].map(|mark| orphan.variable(mark).is_some());
    orphan.session != session && marked.contains(&true) && orphan.variable(launch::TOKEN).is_none()
}

/// The session of this process.
pub fn own_session() -> u32 {
    getsid(None).map_or(0, |session| session.as_raw().unsigned_abs())
}

/// The outcome of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KillReport {
    /// How many processes were ended.
    pub ended: usize,
    /// Those that could not be.
    pub left: Vec<u32>,
}

/// Time that processes get to be gone once they are killed.
#[cfg(target_os = "linux")]
const KILLED: std::time::Duration = std::time::Duration::from_secs(5);

/// Ends every process that carries `token` in its environment or its
/// [`tag`], or is of a session that began with such a process.
///
/// Each is held by a descriptor before it is looked at, so that its number
/// cannot come to mean another one.
#[cfg(target_os = "linux")]
pub fn kill_marked(token: &str) -> KillReport {
    kill_marked_among(all, token)
}

/// Sweeps among `listed`, asked for again until everybody there has been
/// looked at in life: whoever ended before may have left children, who are not
/// in the list.
#[cfg(target_os = "linux")]
fn kill_marked_among(mut listed: impl FnMut() -> Vec<u32>, token: &str) -> KillReport {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    let tag = tag::of_text(token);
    let until = clock::instant() + KILLED;
    let mut report = KillReport::default();
    let mut ended = BTreeSet::new();
    let mut sessions = BTreeSet::new();
    let (mut looked_at, mut unseen) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let mut again = false;
        let mut dying = Vec::new();
        for pid in listed() {
            if looked_at.contains(&pid) {
                continue;
            }
            let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let held = number.map(|pid| pidfd_open(pid, PidfdFlags::empty()));
            let stat = Stat::of(pid);
            let session = stat.as_ref().and_then(Stat::session);
            let (Some(Ok(held)), Some(stat), Some(session)) = (held, stat, session) else {
                // It is gone, or nobody may look at it, however often.
                again |= unseen.insert(pid);
                continue;
            };
            let marked = || {
                let mut environment = environment(pid).into_iter();
                tag::of(pid) == Some(tag)
                    || environment.any(|(name, value)| name == launch::TOKEN && value == token)
            };
            if stat.has_ended() {
                again = true;
                looked_at.insert(pid);
            } else if sessions.contains(&session) || marked() {
                if session == pid && sessions.insert(session) {
                    // Some of it may have been looked at before that was known.
                    looked_at.clear();
                }
                if clock::instant() >= until || pidfd_send_signal(&held, Signal::KILL).is_err() {
                    // Another user's, or deep in the kernel.
                    report.left.push(pid);
                    looked_at.insert(pid);
                    continue;
                }
                again = true;
                ended.insert(pid);
                dying.push(held);
            } else {
                looked_at.insert(pid);
            }
        }
        if !again {
            report.left.retain(|pid| start_time(*pid).is_some());
            report.left.sort_unstable();
            report.left.dedup();
            report.ended = ended
                .iter()
                .filter(|pid| !report.left.contains(pid))
                .count();
            return report;
        }
        for held in dying {
            ends(&held, until);
        }
    }
}

/// Waits until a process has ended, but no longer than `until`.
#[cfg(target_os = "linux")]
fn ends(held: &std::os::fd::OwnedFd, until: std::time::Instant) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let left = until.saturating_duration_since(clock::instant());
    let left = Timespec::try_from(left).ok();
    // A signal in between is no harm: the caller looks again.
    let _ = poll(&mut [PollFd::new(held, PollFlags::IN)], left.as_ref());
}

/// There is no way to look at other processes here.
#[cfg(not(target_os = "linux"))]
pub fn kill_marked(_: &str) -> KillReport {
    KillReport::default()
}

/// When a process was started, in ticks since the machine was; none where
/// there is no such process, or nobody has taken note of its end yet.
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = Stat::of(pid).filter(|stat| !stat.has_ended())?;
    stat.start_time()
}

/// Returns true if a process is about to end: it runs no code of its own any
/// more, and may have let go of its files.
pub fn is_ending(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.is_ending())
}

/// The process that another one is a child of; none where that is gone.
pub fn parent(pid: u32) -> Option<u32> {
    Stat::of(pid)?.parent()
}

/// Whether a process runs that was started at `started`, in ticks since the
/// machine was; where that is not known, whether there is one of this number.
pub fn is_alive(pid: u32, started: Option<u64>) -> bool {
    match started {
        Some(_) => start_time(pid) == started,
        None => kill(id(pid), None).is_ok(),
    }
}

/// All processes that there are.
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

/// The children of this process's first thread: processes are started by it,
/// and orphans are given to it.
pub fn children() -> BTreeSet<u32> {
    let list = format!("/proc/self/task/{}/children", std::process::id());
    let list = std::fs::read_to_string(list).unwrap_or_default();
    if !procfs::is_of_this_namespace() {
        return BTreeSet::new();
    }
    let pids = list.split_ascii_whitespace();
    pids.filter_map(|pid| pid.parse().ok()).collect()
}

/// What there is to know of a child; `None` where it has ended, and it is
/// reaped then.
fn look(pid: u32) -> Option<Orphan> {
    let stat = Stat::of(pid)?;
    if stat.has_ended() {
        let reaped = waitpid(id(pid), Some(WaitPidFlag::WNOHANG));
        // Its first thread may have ended, and others go on.
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

/// The environment that a process was started with; empty where it is gone, or
/// somebody else's. While it is just becoming another program it has none, or
/// not all of it, and is looked at again.
pub fn environment(pid: u32) -> Vec<(String, String)> {
    // It takes less than a few looks, unless a disk does not answer.
    const LOOKS: usize = 1_000;
    if !procfs::is_of_this_namespace() {
        return Vec::new();
    }
    let mut block = Vec::new();
    for _ in 0..LOOKS {
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
    // Where the kernel does not tell how long it is, what was read is it.
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
    // Numbers of processes are positive and fit, as the kernel gave them.
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "real processes end")]
    fn children_are_listed_again_when_one_has_ended() {
        let start = |program: &str| {
            let mut command = std::process::Command::new(program);
            command.stdin(std::process::Stdio::piped()).spawn().unwrap()
        };
        let (ended, mut heir) = (start("true"), start("cat"));
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(id(ended.id())), flags).unwrap();

        let mut lists = vec![BTreeSet::from([heir.id()]), BTreeSet::from([ended.id()])];
        let found = living(|| lists.pop().unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pid, heir.id());
        heir.kill().unwrap();
        heir.wait().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "real processes end")]
    fn processes_are_listed_again_when_one_has_ended() {
        const TOKEN: &str = "a token that nobody else has";
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
    #[expect(clippy::disallowed_methods, reason = "real processes become others")]
    fn environment_is_read_during_exec() {
        const NAME: &str = "A_NAME_THAT_IS_LOOKED_FOR";
        // Again and again the same process, which is between two programs most
        // of the time, and hardly ever when it is looked at only once.
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
