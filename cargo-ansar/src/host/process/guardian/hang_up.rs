//! Notices the end of the stream on stdin, which the engine reads.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::host::process::fd_store::POKE;

/// The end of the stream on stdin.
pub(super) struct HangUp(Arc<AtomicBool>);

impl HangUp {
    /// Watches stdin from now on, without reading it. At its end, this process gets
    /// [`POKE`]. Must be called before the guardian closes its streams.
    pub(super) fn watch_stdin() -> Self {
        let has_ended = Arc::new(AtomicBool::new(false));
        if let Ok(stdin) = rustix::stdio::stdin().try_clone_to_owned() {
            let shared = has_ended.clone();
            // Without a thread, the engine has to notice it alone.
            let _ = std::thread::Builder::new().spawn(move || {
                if ends(&stdin).is_ok() {
                    shared.store(true, Ordering::Release);
                    let _ = kill(Pid::this(), POKE);
                }
            });
        }
        Self(has_ended)
    }

    /// Returns true once after the end.
    pub(super) fn is_new(&self) -> bool {
        self.0.swap(false, Ordering::Acquire)
    }
}

/// Waits until all writers of a pipe have closed it, or a peer its socket. Bytes that
/// arrive are left to the reader.
fn ends(stream: &OwnedFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let flags = PollFlags::RDHUP;
    #[cfg(not(target_os = "linux"))]
    let flags = PollFlags::empty();
    loop {
        match poll(&mut [PollFd::new(&stream.as_fd(), flags)], None) {
            Err(Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}
