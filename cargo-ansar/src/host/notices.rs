//! The socket that takes the state notices of components.

use std::io;
use std::path::{Path, PathBuf};

use ansar_runtime::contract::notice::{LONGEST, Notice};
use tokio::net::UnixDatagram;

use super::files;

/// The socket; it is gone when this is dropped.
#[derive(Debug)]
pub struct Notices {
    socket: UnixDatagram,
    path: PathBuf,
    address: PathBuf,
    // Keeps `address` good where it leads through this process.
    _folder: Option<std::fs::File>,
}

/// The longest path that a socket address holds, with room to spare.
const LONGEST_ADDRESS: usize = 90;

impl Notices {
    /// Listens at `path`, which may be longer than a socket address holds.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let _ = files::remove_file(path);
        let (address, folder) = short(path)?;
        Ok(Self {
            socket: UnixDatagram::bind(&address)?,
            path: path.to_owned(),
            address,
            _folder: folder,
        })
    }

    /// The address to give to components.
    pub fn address(&self) -> &Path {
        &self.address
    }

    /// Waits for the next notice.
    pub async fn next(&self) -> io::Result<Notice> {
        let mut datagram = [0; LONGEST];
        let length = self.socket.recv(&mut datagram).await?;
        Ok(Notice::decode(&datagram[..length]))
    }

    /// A notice that is there already.
    pub fn try_next(&self) -> Option<Notice> {
        let mut datagram = [0; LONGEST];
        let length = self.socket.try_recv(&mut datagram).ok()?;
        Some(Notice::decode(&datagram[..length]))
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let _ = files::remove_file(&self.path);
    }
}

/// An address for `path`: itself, or one that leads through an open folder of
/// this process.
fn short(path: &Path) -> io::Result<(PathBuf, Option<std::fs::File>)> {
    use std::os::fd::AsRawFd;

    if path.as_os_str().len() <= LONGEST_ADDRESS || !cfg!(target_os = "linux") {
        return Ok((path.to_owned(), None));
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok((path.to_owned(), None));
    };
    let folder = std::fs::File::open(folder)?;
    let address = PathBuf::from(format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        folder.as_raw_fd()
    ));
    Ok((address.join(name), Some(folder)))
}
