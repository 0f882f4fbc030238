//! Turning a process into a background process: a new session, no inherited
//! descriptors, no streams.

use std::fs::{File, OpenOptions};
use std::io;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::host::process::{rlimit, tag};

/// Starts a session without a terminal, and closes every descriptor except the
/// standard streams. Must be called before this process opens anything.
pub fn begin() -> io::Result<()> {
    setsid().map_err(|error| io::Error::other(format!("cannot begin a session: {error}")))?;
    // It outlives a role that it may have been started in.
    tag::remove();
    rlimit::without_reserved(|| {
        for descriptor in open_descriptors() {
            if descriptor > 2 {
                // The descriptor that the listing used is closed already.
                let _ = close(descriptor);
            }
        }
    });
    Ok(())
}

/// Returns the open descriptors; all possible ones if they cannot be listed.
fn open_descriptors() -> Vec<i32> {
    const MOST: u64 = 1 << 16;
    let Ok(entries) = std::fs::read_dir("/dev/fd") else {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(MOST, |(soft, _)| soft);
        return (0..i32::try_from(limit.min(MOST)).unwrap_or_default()).collect();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// Replaces the standard streams with `/dev/null`, so that their readers get
/// the end.
pub fn finish() -> io::Result<()> {
    let empty = File::open("/dev/null")?;
    let sink = OpenOptions::new().write(true).open("/dev/null")?;
    dup2_stdin(&empty)?;
    dup2_stdout(&sink)?;
    dup2_stderr(&sink)?;
    Ok(())
}
