//! Access to the operating system: files, the clock, the environment,
//! processes, sockets, the terminal.
//!
//! No other module accesses them. This one knows the platform and not the
//! domain: it contains no roles, homes or deploys.

pub mod cargo;
pub mod cargo_config;
pub mod clock;
pub mod desktop;
pub mod environment;
pub mod fs;
pub mod limits;
pub mod net;
pub mod process;
pub mod socket;
pub mod terminal;
