//! What the kernel tells of a process in one line, `/proc/PID/stat`.

use std::sync::OnceLock;

/// The line about a process, as it was when it was read.
///
/// Where the platform has no such lines there are none.
#[derive(Debug, Clone)]
pub(crate) struct Stat {
    /// What stands behind the name, from the third field on.
    fields: String,
}

const FLAGS: usize = 9;
/// Set last where a process becomes another program.
const CODE_END: usize = 27;
const ENVIRONMENT: usize = 50;
const ENVIRONMENT_END: usize = 51;

/// Among the flags: what is ending, and may have let go of its files already.
const ENDING: u64 = 0x0000_0004;
/// Among the flags: what the kernel started for itself.
const OF_THE_KERNEL: u64 = 0x0020_0000;

impl Stat {
    /// What there is to tell of a process; none where it is gone.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        if !is_of_this_namespace() {
            return None;
        }
        Self::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Returns the lines about the threads of a process.
    pub(crate) fn of_threads(pid: u32) -> impl Iterator<Item = Self> {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let threads = threads.into_iter().flatten().flatten();
        threads.filter_map(|thread| Self::parse(&std::fs::read(thread.path().join("stat")).ok()?))
    }

    /// The name in the line may hold anything, so the last parenthesis is what
    /// the fields follow.
    fn parse(line: &[u8]) -> Option<Self> {
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let fields = std::str::from_utf8(&line[end + 1..]).ok()?.to_owned();
        let stat = Self { fields };
        stat.session()?;
        Some(stat)
    }

    /// A field by its number among all, as the kernel's manual has it.
    fn field(&self, number: usize) -> Option<&str> {
        self.fields.split_ascii_whitespace().nth(number - 3)
    }

    fn number<T: std::str::FromStr>(&self, number: usize) -> Option<T> {
        self.field(number)?.parse().ok()
    }

    /// Whether it has ended, its first thread at least, and waits for somebody
    /// to take note.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.field(3), Some("Z" | "X"))
    }

    /// Returns true if it runs, waits for its turn or a disk, or has just ended:
    /// if it does anything else than wait for others.
    pub(crate) fn is_at_work(&self) -> bool {
        self.has_ended() || matches!(self.field(3), Some("R" | "D"))
    }

    /// Returns true if it is about to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.number::<u64>(FLAGS).unwrap_or_default() & ENDING != 0
    }

    /// Its state, one letter.
    pub(crate) fn state(&self) -> Option<char> {
        self.number(3)
    }

    /// Whose child it is.
    pub(crate) fn parent(&self) -> Option<u32> {
        self.number(4)
    }

    /// Its group.
    pub(crate) fn group(&self) -> Option<u32> {
        self.number(5)
    }

    /// Its session.
    pub(crate) fn session(&self) -> Option<u32> {
        self.number(6)
    }

    /// The processor time that it has used, in ticks.
    pub(crate) fn ticks(&self) -> Option<u64> {
        Some(self.number::<u64>(14)? + self.number::<u64>(15)?)
    }

    /// When it was started, in ticks since the machine was.
    pub(crate) fn start_time(&self) -> Option<u64> {
        self.number(22)
    }

    /// The memory that it has in use, in pages.
    pub(crate) fn pages(&self) -> Option<u64> {
        self.number(24)
    }

    /// How long its environment is, in bytes; none where it is just becoming
    /// another program. Told of one whose environment may be read.
    pub(crate) fn environment_length(&self) -> Option<u64> {
        let number = |number| self.number::<u64>(number).unwrap_or_default();
        let has_become = number(CODE_END) != 0;
        if self.has_ended() || number(FLAGS) & OF_THE_KERNEL != 0 {
            Some(0)
        } else if has_become {
            number(ENVIRONMENT_END).checked_sub(number(ENVIRONMENT))
        } else {
            None
        }
    }
}

/// Returns true if `/proc` numbers processes as this process does. In a PID
/// namespace it may be absent, or that of the namespace around, where a number
/// means another process.
pub(crate) fn is_of_this_namespace() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| {
        let own = std::fs::read_link("/proc/self").ok();
        own.is_some_and(|own| own.to_str() == Some(&std::process::id().to_string()))
    })
}

/// The user that a process belongs to, as a number.
pub(crate) fn owner(pid: u32) -> Option<u32> {
    field_of_status(pid, "Uid:")
}

/// The process that traces another one.
pub(crate) fn tracer(pid: u32) -> Option<u32> {
    field_of_status(pid, "TracerPid:").filter(|tracer| *tracer != 0)
}

/// The first number behind a name in `/proc/PID/status`.
fn field_of_status(pid: u32, name: &str) -> Option<u32> {
    if !is_of_this_namespace() {
        return None;
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns true if a thread of a process waits for the kernel and cannot be
/// interrupted.
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

    /// A line with this state, these flags, and where its code ends, and its
    /// environment begins and ends.
    fn line(state: char, flags: u64, [code, begin, end]: [u64; 3]) -> Stat {
        let text = format!(
            "7 (a) b) (c) {state} 1 5 6 0 -1 {flags} 100 0 0 0 20 3 0 0 20 0 1 0 99 2000 12 \
             1 1 {code} 1 1 1 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 1 1 1 1 {begin} {end} 0"
        );
        Stat::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_line_is_read_whatever_the_name() {
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
    fn what_is_no_line_is_none() {
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
    fn whoever_has_no_environment_yet_is_told_from_whoever_has_none() {
        for (stat, expected) in [
            (line('S', 0, [9, 100, 200]), Some(100)),
            (line('S', 0, [9, 100, 100]), Some(0)),
            (line('R', 0, [0, 0, 0]), None),
            (line('R', 0, [0, 100, 100]), None),
            (line('R', 0, [9, 200, 100]), None),
            (line('Z', 0, [0, 0, 0]), Some(0)),
            (line('S', OF_THE_KERNEL, [0, 0, 0]), Some(0)),
        ] {
            assert_eq!(stat.environment_length(), expected, "{stat:?}");
        }
    }
}
