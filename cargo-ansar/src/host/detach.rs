//! What makes a process one of the background: a session of its own, nothing
//! that it inherited, and no streams.

use std::fs::{File, OpenOptions};
use std::io;

use nix::unistd::{close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::tag;

/// Begins a session without a terminal, and lets go of every descriptor but
/// the standard streams. To be called before this process opened anything.
pub fn begin() -> io::Result<()> {
    setsid()?;
    // It outlives the role that it may have been started in.
    tag::remove();
    let names = std::fs::read_dir("/dev/fd")?.flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    for name in names {
        if let Some(descriptor) = name.to_str().and_then(|name| name.parse::<i32>().ok())
            && descriptor > 2
        {
            // The one that the folder was read through is closed already.
            let _ = close(descriptor);
        }
    }
    Ok(())
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
