//! Tags: a number that a process passes to all its descendants.
//!
//! The tag is the soft limit on file locks (`RLIMIT_LOCKS`), which Linux keeps
//! for every process, inherits across fork and exec, and has not enforced since
//! 2.4.25. A program keeps it even if it clears its environment, starts a
//! session or forks twice. If the limit cannot be set, or the platform has
//! none, there are no tags.

#[cfg(target_os = "linux")]
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::host::fs::Hash;

/// Returns the tag for a text; equal texts have equal tags.
pub(crate) fn of_text(text: &str) -> u64 {
    // 60 bits of a hash do not collide by chance, and with bit 60 set the
    // number is not a limit that a user would choose.
    let digits = Hash::of(text.as_bytes()).to_string();
    let bits = u64::from_str_radix(digits.get(..15).unwrap_or_default(), 16);
    bits.unwrap_or_default() | 1 << 60
}

/// Runs `work` with a tag on this process, which children started by it
/// inherit. Must be called by one thread at a time.
#[cfg(target_os = "linux")]
pub(crate) fn during<T>(tag: Option<u64>, work: impl FnOnce() -> T) -> T {
    let (Some(tag), Ok((soft, hard))) = (tag, getrlimit(Resource::RLIMIT_LOCKS)) else {
        return work();
    };
    // If the hard limit is lower, children carry the token in their environment
    // only.
    let _ = setrlimit(Resource::RLIMIT_LOCKS, tag, hard);
    let done = work();
    let _ = setrlimit(Resource::RLIMIT_LOCKS, soft, hard);
    done
}

/// Runs `work`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn during<T>(_: Option<u64>, work: impl FnOnce() -> T) -> T {
    work()
}

/// Removes the tag that this process inherited.
pub(crate) fn remove() {
    #[cfg(target_os = "linux")]
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_LOCKS) {
        let _ = setrlimit(Resource::RLIMIT_LOCKS, hard, hard);
    }
}

/// Returns the tag of a process; `None` if the process is gone or has no limit.
#[cfg(target_os = "linux")]
pub(crate) fn of(pid: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_has_one_tag() {
        assert_eq!(of_text("a:1"), of_text("a:1"));
        assert_ne!(of_text("a:1"), of_text("a:2"));
        assert!(of_text("") > 1 << 60);
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "a real process is started")]
    fn a_child_keeps_it_and_this_process_does_not() {
        let before = of(std::process::id());
        let mut command = std::process::Command::new("env");
        command
            .args(["-i", "cat"])
            .stdin(std::process::Stdio::piped());
        let mut child = during(Some(of_text("test")), || command.spawn()).unwrap();
        assert_eq!(of(child.id()), Some(of_text("test")));
        assert_eq!(of(std::process::id()), before);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
