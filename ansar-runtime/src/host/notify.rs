//! Sends state notices to the engine.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::notice::Notice;

/// How long a notice that must arrive waits for a busy engine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the engine; silent where there is none.
#[derive(Debug, Clone)]
pub(crate) struct Notifier {
    engine: Option<PathBuf>,
    role: String,
}

impl Notifier {
    /// A notifier that speaks for `role`.
    pub(crate) fn new(engine: Option<PathBuf>, role: &str) -> Self {
        Self {
            engine,
            role: role.to_owned(),
        }
    }

    /// Sends a notice that the engine acts upon; waits while its queue is full.
    pub(crate) fn send(&self, notice: Notice) {
        self.post(notice, |socket| socket.set_write_timeout(Some(PATIENCE)));
    }

    /// Sends a notice that may be lost; never waits.
    pub(crate) fn mention(&self, notice: Notice) {
        self.post(notice, |socket| socket.set_nonblocking(true));
    }

    /// An engine that is gone needs no notice: errors are passed over.
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
