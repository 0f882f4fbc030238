//! Comparing trees of files, and bringing one in line with another.
//!
//! [`scan`] makes the [`manifest`] of a folder; [`plan`] is a pure decision over
//! three of them; [`apply`] performs it. An [`executable`] is judged alone. The
//! module does not know roles, processes or the layout of a home: callers pass in
//! folders.

pub mod apply;
#[cfg(test)]
mod disk_tests;
pub mod executable;
#[cfg(test)]
mod generators;
pub mod manifest;
pub mod path;
pub mod plan;
pub mod scan;
pub mod text;
