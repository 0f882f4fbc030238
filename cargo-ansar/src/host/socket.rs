//! Unix sockets that carry lines of JSON.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::host::fs;

/// Maximum length of a path used directly as a socket address, below the limits
/// of all platforms.
const LONGEST_ADDRESS: usize = 90;
/// Maximum length of a line in bytes; a line may hold the result of a role.
const LONGEST_LINE: u64 = 128 << 20;
/// Maximum length of a request in bytes; a request holds roles and an
/// environment.
const LONGEST_REQUEST: u64 = 16 << 20;
/// Maximum length in bytes of a request that is read without waiting for a
/// permit.
const SHORT_REQUEST: usize = 64 << 10;
/// Number of longer requests that are read at the same time, over all
/// connections.
const LONG_REQUESTS: usize = 2;

/// A socket address for a path of any length.
///
/// For a long path, the address leads through an open directory of this
/// process, and is valid as long as this value exists.
#[derive(Debug)]
pub struct Address {
    path: PathBuf,
    _folder: Option<File>,
}

impl Address {
    /// Creates the address of `path`, whose directory must exist.
    pub fn of(path: &Path) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        let whole = || Self {
            path: path.to_owned(),
            _folder: None,
        };
        if path.as_os_str().len() <= LONGEST_ADDRESS || !cfg!(target_os = "linux") {
            return Ok(whole());
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(whole());
        };
        let folder = File::open(folder)?;
        let (process, descriptor) = (std::process::id(), folder.as_raw_fd());
        Ok(Self {
            path: PathBuf::from(format!("/proc/{process}/fd/{descriptor}")).join(name),
            _folder: Some(folder),
        })
    }

    /// Returns the address, which is valid in every process of this user.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A listening socket; dropping it removes the file.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    turns: Arc<Semaphore>,
}

impl Listener {
    /// Listens at `path`, replacing what is there. Must be called within the
    /// runtime.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let _ = fs::remove_file(path);
        let listener = Self {
            socket: UnixListener::bind(Address::of(path)?.path())?,
            path: path.to_owned(),
            turns: Arc::new(Semaphore::new(LONG_REQUESTS)),
        };
        fs::make_private(path)?;
        Ok(listener)
    }

    /// Waits for the next connection. Cancel safe.
    pub async fn accept(&self) -> io::Result<Connection> {
        let (stream, _) = self.socket.accept().await?;
        let mut connection = Connection::new(stream, LONGEST_REQUEST);
        connection.turns = Some(self.turns.clone());
        Ok(connection)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A connection on which each side writes one JSON value per line.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// Maximum length of a line that is read.
    longest: u64,
    /// Permits for reading long lines.
    turns: Option<Arc<Semaphore>>,
}

impl Connection {
    /// Connects to the socket at `path`.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(Address::of(path)?.path()).await?;
        Ok(Self::new(stream, LONGEST_LINE))
    }

    fn new(stream: UnixStream, longest: u64) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
            longest,
            turns: None,
        }
    }

    /// Writes a value. Waits while the peer does not read.
    pub async fn send<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }

    /// Reads the next value. Returns `None` if the peer has closed the
    /// connection, even in the middle of a line.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        let mut turn = None;
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', bytes);
            let length = end.unwrap_or(bytes.len());
            let whole = line.len() + length;
            if whole as u64 >= self.longest {
                return Err(io::Error::other(format!(
                    "a line is longer than {} bytes",
                    self.longest
                )));
            }
            if let (Some(turns), None, true) = (&self.turns, &turn, whole > SHORT_REQUEST) {
                // The semaphore is never closed. The bytes stay in the reader
                // meanwhile.
                turn = turns.acquire().await.ok();
                continue;
            }
            line.extend_from_slice(&bytes[..length]);
            self.reader.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(serde_json::from_slice(&line)?));
            }
        }
    }

    /// Waits until the peer is gone; forever if it has only shut down its
    /// writing side. Discards what it writes. Cancel safe.
    pub async fn gone(&mut self) {
        while let Ok(bytes) = self.reader.fill_buf().await {
            let length = bytes.len();
            if length > 0 {
                self.reader.consume(length);
                continue;
            }
            match self.writer.ready(Interest::WRITABLE).await {
                Ok(ready) if !ready.is_write_closed() => std::future::pending().await,
                _ => return,
            }
        }
    }
}
