//! The only door to the world: clock, signals, standard streams, files,
//! environment, parent process, called processes. Everything above it can be tested without one.

pub(crate) mod clock;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod lock;
pub(crate) mod notify;
pub(crate) mod parent;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod streams;
