//! What makes a process one of the background: a session of its own, nothing
//! that it inherited, and no streams.

use std::fs::{File, OpenOptions};
use std::io;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::host::process::{rlimit, tag};

/// Begins a session without a terminal, and lets go of every descriptor but
/// the standard streams. To be called before this process opened anything.
pub fn begin() -> io::Result<()> {
    setsid().map_err(|error| io::Error::other(format!("cannot begin a session: {error}")))?;
    // It outlives the role that it may have been started in.
    tag::remove();
    rlimit::without_places(|| {
        for descriptor in open_descriptors() {
            if descriptor > 2 {
                // The one that the folder was read through is closed already.
                let _ = close(descriptor);
            }
        }
    });
    Ok(())
}

/// The descriptors that are open; all that may be where the system has no list.
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

/// Lets go of the standard streams: whoever reads them hears their end.
pub fn finish() -> io::Result<()> {
    let empty = File::open("/dev/null")?;
    let sink = OpenOptions::new().write(true).open("/dev/null")?;
    dup2_stdin(&empty)?;
    dup2_stdout(&sink)?;
    dup2_stderr(&sink)?;
    Ok(())
}
