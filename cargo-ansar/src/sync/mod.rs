//! Comparing trees of files, and transferring one to another.
//!
//! [`scan`] creates the [`manifest`] of a folder, [`plan`] is a pure decision
//! over three manifests, and [`apply`] performs it. Each [`executable`] is
//! compared by itself. The module does not know roles, processes or the layout
//! of a home: callers pass folders.

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
