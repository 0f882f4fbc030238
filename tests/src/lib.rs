//! Support for the whole-program tests, which start real executables as a user
//! or an engine would, each test in a folder of its own.
//!
//! A [`Sandbox`] isolates one test: it has a working folder, a home folder, and
//! an environment without the developer's variables. It builds a [`Program`],
//! which is either [`run`](Program::run) to its end or
//! [started](Program::start). A [`Workspace`] is a sandbox with a small Cargo
//! workspace in it whose dependencies are compiled already. When a sandbox is
//! dropped, the test fails if a process that was started in it still runs, or
//! if its folder for temporary files is not empty.
//!
//! Nothing here sleeps as synchronisation. A test waits for a line, an exit or
//! a datagram; where there is no event, for [`eventually`]. Every wait has a
//! deadline that only a broken program meets.
//!
//! Linux only: processes that remain are found through `/proc`.

mod browser;
mod deadline;
mod executables;
mod notices;
mod output;
mod program;
mod running;
mod sandbox;
mod screen;
mod servers;
mod stream;
mod workspace;

pub use browser::Browser;
pub use deadline::{PATIENCE, eventually, eventually_before};
pub use executables::{bins_of, executable, repository};
pub use nix::sys::signal::Signal;
pub use notices::Notices;
pub use output::Output;
pub use program::Program;
pub use running::Running;
pub use sandbox::{Sandbox, children_of, loopback, processes_named};
pub use screen::Screen;
pub use servers::server;
pub use stream::pipe;
pub use workspace::Workspace;
