//! The types and names that `cargo ansar`, the components of its homes and other
//! programs exchange.
//!
//! Messages and their [envelopes](envelope), the messages that every component
//! can return ([`lifecycle`], [`test`](mod@test)), the report of a whole run ([`run`]),
//! [log lines](mod@line), [launch arguments](launch), [notifications](notice) of a
//! component's state, the [layout] of a home, the [retry] policy, and the
//! [`marker`] by which a component is recognised.
//!
//! Nothing here acts: there are no files, no processes and no clock. A component
//! does not need this crate: `ansar-runtime` re-exports the types that its
//! authors use. It is for programs that read what a home holds, or that speak to
//! components themselves.

pub mod envelope;
pub mod launch;
pub mod layout;
pub mod lifecycle;
pub mod line;
pub mod marker;
pub mod notice;
pub mod pairs;
pub mod retry;
pub mod run;
pub mod test;

pub use launch::VERSION;
