//! The socket that receives state notifications of components.

use std::io;
use std::path::{Path, PathBuf};

use ansar_contract::launch;
use ansar_contract::notice::{LONGEST, Notice};
use tokio::net::UnixDatagram;

use crate::host::environment;
use crate::host::fs;
use crate::host::socket::Address;

/// A notification socket; dropping it removes the file.
#[derive(Debug)]
pub struct Notices {
    socket: UnixDatagram,
    path: PathBuf,
    address: Address,
}

impl Notices {
    /// Listens at `path`, which may exceed the length of a socket address.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let _ = fs::remove_file(path);
        let address = Address::of(path)?;
        let notices = Self {
            socket: UnixDatagram::bind(address.path())?,
            path: path.to_owned(),
            address,
        };
        fs::make_private(path)?;
        Ok(notices)
    }

    /// Returns the address to pass to components.
    pub fn address(&self) -> &Path {
        self.address.path()
    }

    /// Waits for the next notice. Cancel safe.
    pub async fn next(&self) -> io::Result<Notice> {
        let mut datagram = [0; LONGEST];
        let length = self.socket.recv(&mut datagram).await?;
        Ok(Notice::decode(&datagram[..length]))
    }

    /// Returns a notice that has already arrived.
    pub fn try_next(&self) -> Option<Notice> {
        let mut datagram = [0; LONGEST];
        let length = self.socket.try_recv(&mut datagram).ok()?;
        Some(Notice::decode(&datagram[..length]))
    }
}

/// Sends a notification to the engine that started this process. It may be lost:
/// the engine may be gone, or its queue full.
pub fn send(notice: &Notice) {
    let Some(engine) = environment::variable(launch::NOTIFY_SOCKET) else {
        return;
    };
    let _ = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(notice.encode().as_bytes(), engine)
    });
}

impl Drop for Notices {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
