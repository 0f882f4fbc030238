//! The library that a component of a `cargo ansar` home links.
//!
//! A component is an async function and a `main` of one line. The parameters of
//! the function are what it needs; what it returns is its result:
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
//! Types of settings and input need `serde` with its `derive` feature. A server
//! takes [`Ready`] as well and announces it when it listens. The roles that test
//! it start after that, and return a report:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use ansar_runtime::{Context, Maybe, Result, TestReport};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! async fn echo_test(cx: Context) -> Result<TestReport> {
//!     // Without a connection, the retry policy of the role decides about another attempt.
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
//! `cargo ansar test` builds and runs them, and prints the failed checks as
//! `FILE:LINE - TEXT`.
//!
//! An application that has a `main` already becomes a component by [`wrap`]:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     ansar_runtime::wrap(real_main)
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn real_main() -> Result<(), Box<dyn std::error::Error>> {
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:65432").await?;
//!     ansar_runtime::ready();
//!     loop {
//!         tokio::select! {
//!             accepted = listener.accept() => drop(accepted?),
//!             () = ansar_runtime::stopped() => return Ok(()),
//!         }
//!     }
//! }
//! ```
//!
//! # Which of these do I need?
//!
//! | to | use |
//! | --- | --- |
//! | run a function as a component | [`main`] |
//! | make a component of an application that has a `main` | [`wrap`], [`ready`], [`stopped`], [`context`] |
//! | read settings of the role or the command line | a parameter [`Settings<T>`](Settings) |
//! | take the input of the role or of a caller | a parameter [`Input<T>`](Input) |
//! | say that a server can be used now | a parameter [`Ready`], and [`Ready::announce`] |
//! | log | [`Context::console`], [`Context::trace`], … or the `tracing` crate |
//! | check, and report the checks | [`Context::test`], [`Context::test_eq`], …, [`Context::report`] |
//! | wait, and stop gracefully | [`Context::sleep`], [`Context::unless_stopped`], [`Context::stopped`] |
//! | stop on a thread of blocking code | [`Context::stop`], polled with [`Stop::requested`] |
//! | try again later | return [`Maybe`]; the role property `retry` has the delays |
//! | give up | return [`Cannot`], or any other error |
//! | return a value | a type with a name, see [`message!`] |
//! | run another executable of the home as a function | [`Context::call`] |
//! | keep files of the role | [`Context::model`], [`Context::tmp`], [`Context::resource`] |
//! | store one value in a file | [`Folder::store`], [`Folder::load`] |
//! | fail with an exit code of one's own | [`Faulted::with_exit_code`] |
//!
//! # Stop
//!
//! SIGINT, SIGTERM, SIGHUP and SIGQUIT become a [`Stop`]. [`Context::stopped`] awaits
//! it, [`Context::stopping`] polls it, and it ends every [`Context::sleep`] and
//! [`Context::unless_stopped`]. Blocking code belongs on a thread
//! (`tokio::task::spawn_blocking`), with a clone of the context or of its
//! [`Context::stop`], which it polls there.
//!
//! A component that has used none of these does not handle Stop: its
//! future is dropped, at once if it has no [`Context`], or half a second after the request.
//!
//! # Results
//!
//! `()` becomes [`Ack`], and every [`Message`] is itself. An error that is or
//! contains a [`Maybe`] asks for another attempt under the retry policy of the
//! role, a [`Cannot`] for none. Every other error becomes a [`Faulted`] with the file
//! and the line of the `?` that converted it, and so does a panic.
//!
//! # Log
//!
//! The context logs at every level. Events of the `tracing` crate, and everything that
//! the process prints on stdout, go to the same log: stdout itself carries the result and
//! nothing else. Of other crates, events from INFO on are logged; `RUST_LOG` or
//! `--debug-level` ask for more.
//!
//! A component that sets a `tracing` subscriber of its own, at any time, keeps it. Until it
//! has announced that it is [`Ready`], only events on the threads of its runtime are
//! followed, so that the place of the global subscriber stays free.
//!
//! # Calls
//!
//! [`Context::call`] runs another executable of the home like a function:
//! `let total: Total = cx.call("total", &words).await?`. Many calls can run at the
//! same time, each can be stopped, and a request to stop reaches the whole tree of
//! them.

//! # Features
//!
//! | feature | gives | brings |
//! | --- | --- | --- |
//! | `main` | [`main`] with its parameters, calls and retry | `tokio`, `fastrand`, `serde_path_to_error` |
//! | `cli` | settings as flags and `--help`, when a component is run by hand | `clap` |
//! | `diff` | failed comparisons of long texts as a difference | `similar` |
//! | `tracing` | events of the `tracing` crate in the log | `tracing`, `tracing-subscriber` |
//!
//! All are on by default. Without them, [`wrap`] and the free functions are left, with a
//! [`Context`]: that is enough for an application with a `main` of its own, and links
//! nothing but `serde` and what signals need.

#![cfg_attr(
    not(feature = "main"),
    expect(
        dead_code,
        reason = "an application that wraps its `main` needs a part"
    )
)]

// Layers, lowest first; a module imports only from its own layer and those before:
// `host`, then `message`, `settings`, `check`, `log`, `events`, `retry` and
// `lifecycle`, then `component`.

mod check;
mod component;
mod events;
mod host;
mod lifecycle;
mod log;
mod message;
#[cfg(feature = "main")]
mod retry;
#[cfg(feature = "main")]
mod settings;

pub use ansar_contract::envelope::Typed;
pub use ansar_contract::lifecycle::{Aborted, Ack, Cannot, Faulted, Maybe};
pub use ansar_contract::line::{Level, Tag};
pub use ansar_contract::pairs;
pub use ansar_contract::test::{Check, TestReport, TestSuite};
#[cfg(feature = "main")]
pub use component::call::{Call, Stopper};
pub use component::context::{Context, Folder};
#[cfg(feature = "main")]
pub use component::declaration::Declaration;
#[cfg(feature = "main")]
pub use component::fault::{Fault, FromReturned};
pub use component::free::{context, ready, stopped};
#[cfg(feature = "main")]
pub use component::parameter::{Component, Input, Parameter, Ready, Settings, Supply};
#[cfg(feature = "main")]
pub use component::run::main;
pub use component::stop::Stop;
pub use component::wrap::{MainResult, wrap};
pub use host::files::FileError;
#[cfg(feature = "main")]
pub use lifecycle::IntoReturned;
pub use lifecycle::{Error, Result};
pub use message::Message;
#[cfg(feature = "main")]
pub use settings::Tunable;
