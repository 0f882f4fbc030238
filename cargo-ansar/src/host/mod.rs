//! The only door to the world: files, the clock, the environment, processes.
//!
//! It knows how things are done on this platform and nothing about why; no
//! word of the domain (role, home, deploy) belongs here.

pub mod cargo;
pub mod cargo_config;
pub mod clock;
pub mod environment;
pub mod fs;
pub mod process;
pub mod socket;
pub mod terminal;
