//! The read end of a pipe, with peeking: bytes can be stored elsewhere before
//! they are consumed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The read end of a pipe. Must be used within the runtime.
#[derive(Debug)]
pub struct Pipe {
    pipe: Arc<OwnedFd>,
    /// Its registration with the runtime, since the first wait.
    watched: OnceLock<AsyncFd<Arc<OwnedFd>>>,
}

impl Pipe {
    /// Takes over a read end and makes it non-blocking.
    pub fn new(pipe: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self {
            pipe: Arc::new(pipe),
            watched: OnceLock::new(),
        })
    }

    /// Returns the registration, and registers first if needed.
    fn watched(&self) -> io::Result<&AsyncFd<Arc<OwnedFd>>> {
        if let Some(watched) = self.watched.get() {
            return Ok(watched);
        }
        let pipe = self.pipe.clone();
        #[expect(unsafe_code, reason = "there is no safe way to watch a descriptor")]
        // SAFETY: `AsyncFd` shares the descriptor, so nothing closes or replaces
        // it while it is registered.
        let watched = unsafe { AsyncFd::register_with_interest(pipe, Interest::READABLE) };
        let watched = watched.map_err(io::Error::from)?;
        Ok(self.watched.get_or_init(|| watched))
    }

    /// Waits until the pipe may be readable or all writers have closed it.
    pub async fn wait(&self) -> io::Result<()> {
        self.watched()?.readable().await.map(drop)
    }

    /// Reads available bytes. Returns their number, 0 at the end, or `None` if
    /// the pipe is empty. Call it after [`wait`](Self::wait).
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        empty_is_none(self.watched()?.try_io(Interest::READABLE, |pipe| {
            Ok(nix::unistd::read(pipe, buffer)?)
        }))
    }

    /// Like [`read`](Self::read), without asking the runtime for readiness.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        empty_is_none(nix::unistd::read(&self.pipe, buffer).map_err(io::Error::from))
    }

    /// Reads to the end.
    pub async fn read_to_end(&self, all: &mut Vec<u8>) -> io::Result<()> {
        while self.read_more(all).await? {}
        Ok(())
    }

    /// Waits for more bytes and appends them. Returns false at the end.
    pub async fn read_more(&self, all: &mut Vec<u8>) -> io::Result<bool> {
        const PIECE: usize = 16 << 10;
        loop {
            self.wait().await?;
            let length = all.len();
            all.resize(length + PIECE, 0);
            let read = self.read(&mut all[length..]);
            let more = read.as_ref().map_or(0, |read| read.unwrap_or(0));
            all.truncate(length + more);
            if let Some(read) = read? {
                return Ok(read > 0);
            }
        }
    }

    /// Clears the readiness, so that [`wait`](Self::wait) waits for new bytes
    /// or for the last writer to close.
    pub fn wait_for_more(&self) {
        let nothing = |_: &Arc<OwnedFd>| Err::<(), _>(io::ErrorKind::WouldBlock.into());
        if let Some(watched) = self.watched.get() {
            let _ = watched.try_io(Interest::READABLE, nothing);
        }
    }

    /// Consumes `length` bytes that were peeked at.
    #[cfg(target_os = "linux")]
    pub fn skip(&self, mut length: usize) -> io::Result<()> {
        let mut away = [0; 4096];
        while length > 0 {
            let most = length.min(away.len());
            match nix::unistd::read(&self.pipe, &mut away[..most])? {
                0 => return Ok(()),
                read => length -= read,
            }
        }
        Ok(())
    }

    /// Does nothing: on this platform [`Peeking::peek`] consumes.
    #[cfg(not(target_os = "linux"))]
    pub fn skip(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Creates a pipe that started programs do not inherit. Returns its read end and
/// its write end.
pub fn create() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(target_os = "linux")]
    let ends = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    #[cfg(not(target_os = "linux"))]
    let ends = {
        use rustix::io::{FdFlags, fcntl_setfd};

        let (read, write) = rustix::pipe::pipe()?;
        fcntl_setfd(&read, FdFlags::CLOEXEC)?;
        fcntl_setfd(&write, FdFlags::CLOEXEC)?;
        (read, write)
    };
    Ok(ends)
}

/// Returns true if a stream is a pipe.
pub fn is_pipe(stream: impl AsFd) -> bool {
    let stat = nix::sys::stat::fstat(stream);
    stat.is_ok_and(|stat| stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFIFO)
}

/// Enlarges a pipe's buffer, so that a writer of much output blocks less often.
/// Ignores errors and streams that are not pipes.
pub fn make_roomy(pipe: impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, 1 << 20);
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}

/// Reads from pipes without consuming. On platforms without `tee`, consumes.
#[derive(Debug)]
pub struct Peeking {
    #[cfg(target_os = "linux")]
    copy: (OwnedFd, OwnedFd),
}

impl Peeking {
    /// Creates the helper pipe, which serves any number of pipes.
    pub fn new() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        return Ok(Self { copy: create()? });
        #[cfg(not(target_os = "linux"))]
        Ok(Self {})
    }

    /// Copies bytes from the front of the pipe. Returns their number, 0 at the
    /// end, or `None` if the pipe is empty.
    #[cfg(target_os = "linux")]
    pub fn peek(&self, pipe: &Pipe, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        use rustix::pipe::{SpliceFlags, tee};

        let (out, into) = &self.copy;
        let copied = tee(pipe, into, buffer.len(), SpliceFlags::NONBLOCK);
        let Some(length) = empty_is_none(copied.map_err(io::Error::from))? else {
            return Ok(None);
        };
        let mut read = 0;
        while read < length {
            read += nix::unistd::read(out, &mut buffer[read..length])?;
        }
        Ok(Some(length))
    }

    /// Consumes bytes from the front of the pipe, as this platform has no
    /// `tee`.
    #[cfg(not(target_os = "linux"))]
    pub fn peek(&self, pipe: &Pipe, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        pipe.read_now(buffer)
    }
}

fn empty_is_none(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
