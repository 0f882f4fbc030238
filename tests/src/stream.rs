//! The output of a process, read while it runs.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::fcntl::OFlag;

use crate::deadline::PATIENCE;

/// Creates a pipe that other programs do not inherit. Returns its read end and
/// its write end.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe is made")
}

/// Everything that was read from a pipe so far.
#[derive(Clone, Default)]
pub(crate) struct Stream(Arc<Shared>);

#[derive(Default)]
struct Shared {
    captured: Mutex<Captured>,
    more: Condvar,
}

#[derive(Default)]
struct Captured {
    bytes: Vec<u8>,
    closed: bool,
}

impl Stream {
    /// Reads `pipe` to its end on a thread.
    pub(crate) fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        let shared = stream.0.clone();
        std::thread::spawn(move || {
            let mut chunk = vec![0; 1 << 16];
            loop {
                let read = pipe.read(&mut chunk).unwrap_or(0);
                let mut captured = shared.lock();
                captured.bytes.extend_from_slice(&chunk[..read]);
                captured.closed = read == 0;
                shared.more.notify_all();
                if captured.closed {
                    return;
                }
            }
        });
        stream
    }

    /// A stream that is empty and closed.
    pub(crate) fn nothing() -> Self {
        let stream = Self::default();
        stream.0.lock().closed = true;
        stream
    }

    /// Returns the text so far; invalid UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().bytes).into_owned()
    }

    /// Waits for the first whole line from byte `from` on that contains `text`;
    /// returns the line and the position after it. `None` if the stream ends or
    /// the time is over first.
    pub(crate) fn line_with(
        &self,
        text: &str,
        from: usize,
        limit: Duration,
    ) -> Option<(String, usize)> {
        let mut from = from;
        let mut found = None;
        self.0.wait_for(limit, |captured| {
            while let Some(length) = captured.bytes[from..].iter().position(|b| *b == b'\n') {
                let line = String::from_utf8_lossy(&captured.bytes[from..from + length]);
                from += length + 1;
                if line.contains(text) {
                    found = Some((line.into_owned(), from));
                    return true;
                }
            }
            captured.closed
        });
        found
    }

    /// Waits for `text` from byte `from` on; returns the position after it.
    /// `None` if the stream ends or the deadline passes first.
    pub(crate) fn after(&self, text: &str, from: usize) -> Option<usize> {
        let mut found = None;
        self.0.wait(|captured| {
            let bytes = &captured.bytes[from..];
            let at = bytes
                .windows(text.len())
                .position(|it| it == text.as_bytes());
            found = at.map(|at| from + at + text.len());
            found.is_some() || captured.closed
        });
        found
    }

    /// Waits until every writer has closed the pipe; false if the deadline
    /// passes first.
    pub(crate) fn ended(&self) -> bool {
        self.0.wait(|captured| captured.closed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Captured> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `enough` returns true; false if the deadline passes first.
    fn wait(&self, enough: impl FnMut(&Captured) -> bool) -> bool {
        self.wait_for(PATIENCE, enough)
    }

    fn wait_for(&self, limit: Duration, mut enough: impl FnMut(&Captured) -> bool) -> bool {
        let waited = self
            .more
            .wait_timeout_while(self.lock(), limit, |captured| !enough(captured));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
