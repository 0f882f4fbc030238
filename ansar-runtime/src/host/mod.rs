//! The operating system: clock, signals, standard streams, files, environment, the
//! parent process, called processes. No other module touches it.

pub(crate) mod clock;
pub(crate) mod environment;
pub(crate) mod files;
#[cfg(feature = "main")]
pub(crate) mod lock;
pub(crate) mod notify;
pub(crate) mod parent;
#[cfg(feature = "main")]
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod streams;
