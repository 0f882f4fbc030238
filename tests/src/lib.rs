//! Support for the whole-program tests: real executables, started as a user or
//! an engine would start them, each test in a folder of its own.
//!
//! A [`Sandbox`] is the world of one test: a working folder, a home folder, an
//! environment that holds nothing of the developer's. A [`Program`] is built
//! from it and either [`run`](Program::run) to its end or
//! [started](Program::start); a [`Workspace`] is a sandbox with a small Cargo
//! workspace in it whose dependencies are compiled already. When a sandbox is
//! dropped, every process that was started below it must be gone, and nothing
//! may be left in its folder for temporary files: otherwise the test fails.
//!
//! Nothing here sleeps to wait. A test waits for a line, an end or a datagram;
//! where there is no event to wait for, for [`eventually`]; all with a
//! deadline that only a broken program meets.
//!
//! Linux only: what processes are left is read from `/proc`.

mod deadline;
mod executables;
mod notices;
mod output;
mod program;
mod running;
mod sandbox;
mod stream;
mod workspace;

pub use deadline::{PATIENCE, eventually};
pub use executables::{bins_of, executable, repository};
pub use nix::sys::signal::Signal;
pub use notices::Notices;
pub use output::Output;
pub use program::Program;
pub use running::Running;
pub use sandbox::{Sandbox, children_of, loopback, processes_named};
pub use workspace::Workspace;
