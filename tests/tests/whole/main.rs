//! The whole-program tests, in one executable so that they link once.

mod background;
mod cleanup;
mod commands;
mod component;
mod deploy;
mod documents;
mod engine;
mod harness;
mod hostile;
mod language;
mod layering;
mod programs;
mod readme;
mod remote;
mod targets;
mod test;
mod ui;
mod watch;
