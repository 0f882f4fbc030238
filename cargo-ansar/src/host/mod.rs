//! The only door to the world: files, the clock, the environment, processes.
//!
//! It knows how things are done on this platform and nothing about why; no
//! word of the domain (role, home, deploy) belongs here.

pub mod cargo;
pub mod changes;
pub mod checkout;
pub mod clock;
pub mod commands;
pub mod configuration;
pub mod detach;
pub mod editor;
pub mod environment;
pub mod files;
pub mod gone;
pub mod guardian;
pub mod interrupts;
pub mod keys;
pub mod limits;
pub mod lock;
pub mod notices;
pub mod pipe;
pub mod process;
pub mod rescue;
pub mod signal;
pub mod socket;
mod stat;
pub mod strays;
mod tag;
pub mod terminal;
pub mod usage;
pub mod watcher;
