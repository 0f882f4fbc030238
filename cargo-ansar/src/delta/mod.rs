//! What differs between what was built or written and what a home holds, and
//! how to bring the home in line.
//!
//! A [`scan`] makes the [`manifest`] of a folder; a [`plan`] is a pure decision
//! over three of them; [`apply`] performs it. An [`executable`] is judged by
//! itself. Nothing here knows what a role is, which processes run, or how a
//! home is laid out: callers hand in folders.

pub mod apply;
pub mod executable;
pub mod manifest;
pub mod path;
pub mod plan;
pub mod scan;
pub mod text;

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod generators;
