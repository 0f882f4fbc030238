//! The engine's end of the state notices that components send.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::deadline::PATIENCE;
use crate::sandbox::Sandbox;

/// A socket that receives state notices.
pub struct Notices {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Notices {
    /// Binds a socket in the working folder of `sandbox`.
    pub fn listen(sandbox: &Sandbox) -> Self {
        let path = sandbox.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("the path of a sandbox is short");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("patience is not zero");
        Self { socket, path }
    }

    /// Value for `NOTIFY_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next notice and returns its variables.
    ///
    /// # Panics
    ///
    /// If none arrives, or if it is not a list of variables.
    #[track_caller]
    pub fn next(&self) -> BTreeMap<String, String> {
        let mut datagram = [0; 4096];
        let length = match self.socket.recv(&mut datagram) {
            Ok(length) => length,
            Err(error) => panic!("no notice came: {error}"),
        };
        let text = String::from_utf8_lossy(&datagram[..length]);
        let variable = |line: &str| match line.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => panic!("`{line}` is no variable in {text:?}"),
        };
        text.lines().map(variable).collect()
    }
}
