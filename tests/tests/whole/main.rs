//! The whole-program tests: one executable, for one link.

mod background;
mod commands;
mod component;
mod deploy;
mod engine;
mod floors;
mod harness;
mod hostile;
mod left_behind;
mod loops;
mod readme;
mod tour;
