//! Command lines of running processes.
//!
//! Empty on platforms without `/proc`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

use crate::host::process::orphans;
use crate::host::process::procfs::Stat;

/// A running process and its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The process id.
    pub pid: u32,
    /// The arguments, starting with the executable.
    pub arguments: Vec<OsString>,
    /// Time since it was started.
    pub uptime: Duration,
}

/// Returns the processes that have an argument starting with `flag`.
pub fn with_flag(flag: &str) -> Vec<Command> {
    let since_boot = since_boot();
    let commands = orphans::all().into_iter().filter_map(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let arguments = line.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        let arguments: Vec<_> = arguments.map(<[u8]>::to_vec).collect();
        let has_flag = |word: &Vec<u8>| word.starts_with(flag.as_bytes());
        if !arguments.iter().any(has_flag) {
            return None;
        }
        let started = Stat::of(pid)?.start_time()?;
        let started = Duration::from_millis(1000 * started / clock_ticks_per_second());
        Some(Command {
            pid,
            arguments: arguments.into_iter().map(OsString::from_vec).collect(),
            uptime: since_boot.saturating_sub(started),
        })
    });
    commands.collect()
}

/// Returns the time since boot.
fn since_boot() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|text| text.parse().ok());
    let since = seconds.map(Duration::try_from_secs_f64);
    since.and_then(Result::ok).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "a real process is searched")]
    fn a_process_is_found_by_its_flag() {
        let mut sleep = std::process::Command::new("sleep");
        let flag = format!("0{}", std::process::id());
        let mut child = sleep.args(["60", &flag]).spawn().unwrap();
        // Before its exec, the child has the command line of this process.
        let found = std::iter::repeat_with(|| with_flag(&flag)).find(|found| !found.is_empty());
        let found = found.unwrap();
        assert_eq!(found[0].pid, child.id());
        assert_eq!(found[0].arguments, ["sleep", "60", &*flag]);
        assert!(found[0].uptime < Duration::from_secs(60 * 60));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
