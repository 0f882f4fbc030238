//! Reading `/proc/PID/stat` and `/proc/PID/status`.

use std::sync::OnceLock;

/// The content of `/proc/PID/stat`, as it was when it was read.
///
/// Not available on platforms without `/proc`.
#[derive(Debug, Clone)]
pub(crate) struct Stat {
    /// The fields after the name, from the third on.
    fields: String,
}

const FLAGS: usize = 9;
/// Set last during an exec.
const CODE_END: usize = 27;
const ENVIRONMENT: usize = 50;
const ENVIRONMENT_END: usize = 51;

/// Flag: the process is exiting, and may already have closed its files.
const EXITING: u64 = 0x0000_0004;
/// Flag: a kernel thread.
const KERNEL_THREAD: u64 = 0x0020_0000;

impl Stat {
    /// Reads the line of a process; `None` if it is gone.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        if !is_of_this_namespace() {
            return None;
        }
        Self::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads the lines of a process's threads.
    pub(crate) fn of_threads(pid: u32) -> impl Iterator<Item = Self> {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let threads = threads.into_iter().flatten().flatten();
        threads.filter_map(|thread| Self::parse(&std::fs::read(thread.path().join("stat")).ok()?))
    }

    /// Parses a line. The name may contain any bytes, so the fields start after
    /// the last parenthesis.
    fn parse(line: &[u8]) -> Option<Self> {
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let fields = std::str::from_utf8(&line[end + 1..]).ok()?.to_owned();
        let stat = Self { fields };
        stat.session()?;
        Some(stat)
    }

    /// Returns a field by its number in proc(5).
    fn field(&self, number: usize) -> Option<&str> {
        self.fields.split_ascii_whitespace().nth(number - 3)
    }

    fn number<T: std::str::FromStr>(&self, number: usize) -> Option<T> {
        self.field(number)?.parse().ok()
    }

    /// Returns true if the process, or at least its first thread, has exited
    /// and is not reaped yet.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.field(3), Some("Z" | "X"))
    }

    /// Returns true if it runs, waits for a processor or a disk, or has just
    /// exited: anything except waiting for other processes.
    pub(crate) fn is_at_work(&self) -> bool {
        self.has_ended() || matches!(self.field(3), Some("R" | "D"))
    }

    /// Returns true if it is of the process that started at `started`, and that
    /// is neither exiting nor has exited.
    pub(crate) fn is_of_running(&self, started: u64) -> bool {
        let is_exiting = self.number::<u64>(FLAGS).unwrap_or_default() & EXITING != 0;
        self.start_time() == Some(started) && !is_exiting && !self.has_ended()
    }

    /// Returns the state letter.
    pub(crate) fn state(&self) -> Option<char> {
        self.number(3)
    }

    /// Returns the parent.
    pub(crate) fn parent(&self) -> Option<u32> {
        self.number(4)
    }

    /// Returns the process group.
    pub(crate) fn group(&self) -> Option<u32> {
        self.number(5)
    }

    /// Returns the session.
    pub(crate) fn session(&self) -> Option<u32> {
        self.number(6)
    }

    /// Returns the processor time used so far, in clock ticks.
    pub(crate) fn ticks(&self) -> Option<u64> {
        Some(self.number::<u64>(14)? + self.number::<u64>(15)?)
    }

    /// Returns the start time, in clock ticks since boot.
    pub(crate) fn start_time(&self) -> Option<u64> {
        self.number(22)
    }

    /// Returns the resident memory, in pages.
    pub(crate) fn pages(&self) -> Option<u64> {
        self.number(24)
    }

    /// Returns the length of the environment in bytes; `None` in the middle of
    /// an exec. Valid only for processes whose environment may be read.
    pub(crate) fn environment_length(&self) -> Option<u64> {
        let number = |number| self.number::<u64>(number).unwrap_or_default();
        let has_become = number(CODE_END) != 0;
        if self.has_ended() || number(FLAGS) & KERNEL_THREAD != 0 {
            Some(0)
        } else if has_become {
            number(ENVIRONMENT_END).checked_sub(number(ENVIRONMENT))
        } else {
            None
        }
    }
}

/// Returns true if `/proc` belongs to the PID namespace of this process.
/// Otherwise it may be absent, or list the outer namespace, where the same id
/// means another process.
pub(crate) fn is_of_this_namespace() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| {
        let own = std::fs::read_link("/proc/self").ok();
        own.is_some_and(|own| own.to_str() == Some(&std::process::id().to_string()))
    })
}

/// Returns the user id of a process's owner.
pub(crate) fn owner(pid: u32) -> Option<u32> {
    field_of_status(pid, "Uid:")
}

/// Returns the process that traces another one.
pub(crate) fn tracer(pid: u32) -> Option<u32> {
    field_of_status(pid, "TracerPid:").filter(|tracer| *tracer != 0)
}

/// Returns the first number after `name` in `/proc/PID/status`.
fn field_of_status(pid: u32, name: &str) -> Option<u32> {
    if !is_of_this_namespace() {
        return None;
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns true if a thread of the process is in uninterruptible sleep.
pub(crate) fn is_uninterruptible(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lines = threads.filter_map(|thread| std::fs::read(thread.path().join("stat")).ok());
    let mut states = lines.filter_map(|line| Stat::parse(&line)?.state());
    is_of_this_namespace() && states.any(|state| state == 'D')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a line with this state, these flags, the end of the code, and the
    /// bounds of the environment.
    fn line(state: char, flags: u64, [code, begin, end]: [u64; 3]) -> Stat {
        let text = format!(
            "7 (a) b) (c) {state} 1 5 6 0 -1 {flags} 100 0 0 0 20 3 0 0 20 0 1 0 99 2000 12 \
             1 1 {code} 1 1 1 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 1 1 1 1 {begin} {end} 0"
        );
        Stat::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn line_is_parsed_with_any_name() {
        let stat = line('S', 0, [1, 1, 2]);
        assert_eq!(stat.parent(), Some(1));
        assert_eq!(stat.group(), Some(5));
        assert_eq!(stat.session(), Some(6));
        assert_eq!(stat.ticks(), Some(23));
        assert_eq!(stat.start_time(), Some(99));
        assert_eq!(stat.pages(), Some(12));
        assert!(!stat.has_ended() && line('Z', 0, [0, 0, 0]).has_ended());
    }

    #[test]
    fn an_exiting_process_does_not_run() {
        const CODE: [u64; 3] = [1, 1, 2];
        assert!(line('S', 0, CODE).is_of_running(99));
        assert!(!line('S', 0, CODE).is_of_running(98));
        assert!(!line('R', EXITING, CODE).is_of_running(99));
        assert!(!line('Z', 0, CODE).is_of_running(99));
    }

    #[test]
    fn malformed_line_is_none() {
        for text in [
            &b""[..],
            b"7 (a",
            b"7 (a)",
            b"7 (a) S 1",
            b"7 (a) S 1 5 \xff",
        ] {
            assert!(Stat::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn missing_environment_differs_from_an_empty_one() {
        for (stat, expected) in [
            (line('S', 0, [9, 100, 200]), Some(100)),
            (line('S', 0, [9, 100, 100]), Some(0)),
            (line('R', 0, [0, 0, 0]), None),
            (line('R', 0, [0, 100, 100]), None),
            (line('R', 0, [9, 200, 100]), None),
            (line('Z', 0, [0, 0, 0]), Some(0)),
            (line('S', KERNEL_THREAD, [0, 0, 0]), Some(0)),
        ] {
            assert_eq!(stat.environment_length(), expected, "{stat:?}");
        }
    }
}
