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
//! The types of settings and input need `serde` with its `derive` feature, and
//! whatever else the component does its own crates: `tokio` with `net`, say. A
//! server asks for [`Ready`] as well and announces it once it listens; those
//! that test it are started after that, and return what they found:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use ansar_runtime::{Context, Maybe, Result, TestReport};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! async fn echo_test(cx: Context) -> Result<TestReport> {
//!     // Nobody there: the role's retry policy says when to try again.
//!     let stream = TcpStream::connect("127.0.0.1:65432").await;
//!     let mut stream = stream.map_err(Maybe::because)?;
//!     stream.write_all(b"hello").await?;
//!     let mut reply = [0; 5];
//!     stream.read_exact(&mut reply).await?;
//!     cx.test_eq(&reply, b"hello");
//!     Ok(cx.report())
//! }
//!
//! fn main() -> ExitCode {
//!     ansar_runtime::main(echo_test)
//! }
//! ```
//!
//! `cargo ansar init` describes the components of a workspace, and
//! `cargo ansar test` builds them, runs them, and prints the checks that
//! failed as `FILE:LINE - TEXT`.
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
//! **Calls.** [`Context::call`] runs another executable of the home like a
//! function: `let total: Total = cx.call("total", &words).await?`. Many may run
//! at once, each can be stopped, and Stop runs down the tree of them.
//!
//! **Log.** The context writes lines of every level; events of the `tracing`
//! crate, from any library, land in the same log. Whatever is printed on
//! stdout goes there as well: stdout itself carries the result and nothing
//! else.
//!
//! Layers, lowest first; imports go down only: `host`, then `message`,
//! `settings`, `check`, `log`, `events`, `retry`, `lifecycle`, then `component`.

mod check;
mod component;
mod events;
mod host;
mod lifecycle;
mod log;
mod message;
mod retry;
mod settings;

pub use ansar_contract::envelope::Typed;
pub use ansar_contract::lifecycle::{Aborted, Ack, Cannot, Faulted, Maybe};
pub use ansar_contract::line::{Level, Tag};
pub use ansar_contract::pairs;
pub use ansar_contract::test::{Check, TestReport, TestSuite};
pub use component::call::{Call, Stopper};
pub use component::context::{Context, Folder, Stop};
pub use component::declaration::Declaration;
pub use component::fault::{Fault, FromReturned};
pub use component::main;
pub use component::parameter::{Component, Input, Parameter, Ready, Settings, Supply};
pub use host::files::FileError;
pub use lifecycle::{Error, IntoReturned, Result};
pub use message::Message;
pub use settings::Tunable;
