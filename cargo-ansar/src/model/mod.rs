//! The words of the domain and the text they are written in: names, searches,
//! the group of roles that a manifest describes.
//!
//! Owns what a name may be and what `[workspace.metadata.ansar]` may say. Text
//! goes in, data or one error comes out: files, the clock, the environment and
//! processes are unknown here, and so are homes and what runs in them.

pub mod conclusion;
pub mod description;
pub mod ending;
pub mod lapse;
pub mod name;
pub mod order;
pub mod proposal;
pub mod query;
pub mod restart;
pub mod search;
pub mod template;

pub mod nearest;
mod place;
pub mod shown;
