//! Sockets of the file system, and lines of JSON over them.

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

/// The longest path that a socket address holds, with room to spare.
const LONGEST_ADDRESS: usize = 90;
/// A line longer than this is none: it may hold what a role returned.
const LONGEST_LINE: u64 = 128 << 20;
/// What somebody asks fits into this: roles, and an environment.
const LONGEST_REQUEST: u64 = 16 << 20;
/// A request up to this length is read at once. A longer one takes its turn.
const SHORT_REQUEST: usize = 64 << 10;
/// Longer requests that are read at the same time, over all connections.
const LONG_REQUESTS: usize = 2;

/// An address for a path, which may be longer than an address holds: then it
/// leads through an open folder of this process, for as long as this exists.
#[derive(Debug)]
pub struct Address {
    path: PathBuf,
    _folder: Option<File>,
}

impl Address {
    /// The address of `path`, whose folder is there.
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

    /// The address; good in every process of this user.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A socket that takes connections; it is gone when this is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    turns: Arc<Semaphore>,
}

impl Listener {
    /// Listens at `path`, in place of what was there; inside of the runtime
    /// only.
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

    /// Waits for the next connection. May be dropped in the middle.
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

/// A connection over which each side writes one JSON value per line.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// The longest line that is read.
    longest: u64,
    /// What a line that is not short has to wait for.
    turns: Option<Arc<Semaphore>>,
}

impl Connection {
    /// Connects to whoever listens at `path`.
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

    /// Writes a value; waits while the other side does not read.
    pub async fn send<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }

    /// Reads the next value; none where the other side has closed the
    /// connection, also in the middle of a line.
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
                // Never closed; what was read stays in the reader meanwhile.
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

    /// Waits until the other side is gone; for ever where it has only said
    /// that it will say no more. What it says meanwhile is passed over. May be
    /// dropped in the middle.
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
