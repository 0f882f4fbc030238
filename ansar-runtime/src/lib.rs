//! The library that a component of a `cargo ansar` home links.
//!
//! A component is an async function and one line of `main`. What it needs it
//! asks for by its parameters; what it returns is its result:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::time::Duration;
//!
//! use ansar_runtime::{Context, Settings};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Snooze {
//!     seconds: f64,
//! }
//!
//! impl Default for Snooze {
//!     fn default() -> Self {
//!         Self { seconds: 2.0 }
//!     }
//! }
//!
//! async fn snooze(cx: Context, Settings(to): Settings<Snooze>) -> ansar_runtime::Result<()> {
//!     cx.console(format_args!("Do nothing for {:?} seconds", to.seconds));
//!     cx.sleep(Duration::from_secs_f64(to.seconds)).await?;
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     ansar_runtime::main(snooze)
//! }
//! ```
//!
//! **Stop.** SIGINT, SIGTERM, SIGHUP and SIGQUIT become
//! [`Stop`]: awaited with [`Context::stopped`], polled with
//! [`Context::stopping`], and heard by every [`Context::sleep`] and
//! [`Context::unless_stopped`]. Blocking code belongs on a thread
//! (`tokio::task::spawn_blocking`), with a clone of the context or of its
//! [`Context::stop`], and polls it there.
//!
//! **Results.** `()` is [`Ack`]; any [`Message`] is itself; an error that is
//! or contains [`Maybe`] asks for another attempt under the role's retry
//! policy, [`Cannot`] for none, and every other error is a [`Faulted`] that
//! names the file and line of the `?` that met it. A panic is a [`Faulted`]
//! with its place, too.
//!
//! **Tests.** [`Context::test`] and its comparing sisters record the caller's
//! file and line; [`Context::report`] returns them all.
//!
//! **Log.** The context writes lines of every level; events of the `tracing`
//! crate, from any library, land in the same log. Whatever is printed on
//! stdout goes there as well: stdout itself carries the result and nothing
//! else.
//!
//! Floors, lowest first; imports go down only: [`contract`], then `host`, then
//! `settings`, `check`, `log`, `events`, `retry`, `lifecycle`, then
//! `component`.

mod check;
mod component;
pub mod contract;
mod events;
mod host;
mod lifecycle;
mod log;
mod retry;
mod settings;

pub use component::context::{Context, Folder, Stop};
pub use component::declaration::Declaration;
pub use component::main;
pub use component::parameter::{Component, Input, Parameter, Ready, Settings, Supply};
pub use contract::lifecycle::{Aborted, Ack, Cannot, Faulted, Maybe};
pub use contract::line::{Level, Tag};
pub use contract::message::Message;
pub use contract::pairs;
pub use contract::test::{Check, TestReport, TestSuite};
pub use host::files::FileError;
pub use lifecycle::{Error, IntoReturned, Result};
pub use settings::Tunable;
