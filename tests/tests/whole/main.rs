//! The whole-program tests: one executable, for one link.

mod background;
mod cleanup;
mod commands;
mod component;
mod deploy;
mod documents;
mod engine;
mod harness;
mod hostile;
mod layering;
mod readme;
mod test;
mod watch;
