//! Notifications to the engine.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::notice::Notice;

/// The longest wait for a busy engine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The sender of notifications; does nothing without an engine.
#[derive(Debug, Clone)]
pub(crate) struct Notifier {
    engine: Option<PathBuf>,
    role: String,
}

impl Notifier {
    /// Creates a sender for `role`.
    pub(crate) fn new(engine: Option<PathBuf>, role: &str) -> Self {
        Self {
            engine,
            role: role.to_owned(),
        }
    }

    /// Sends a notification that the engine acts upon. Waits while its queue is full.
    pub(crate) fn send(&self, notice: Notice) {
        self.post(notice, |socket| socket.set_write_timeout(Some(PATIENCE)));
    }

    /// Sends a notification that may be lost. Never waits.
    pub(crate) fn try_send(&self, notice: Notice) {
        self.post(notice, |socket| socket.set_nonblocking(true));
    }

    /// Sends a notification. Errors are ignored: they mean that the engine is gone.
    fn post(&self, mut notice: Notice, prepare: impl Fn(&UnixDatagram) -> io::Result<()>) {
        let Some(engine) = &self.engine else {
            return;
        };
        notice.role = Some(self.role.clone());
        let _ = UnixDatagram::unbound().and_then(|socket| {
            prepare(&socket)?;
            socket.send_to(notice.encode().as_bytes(), engine)
        });
    }
}
