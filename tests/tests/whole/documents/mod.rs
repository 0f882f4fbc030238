//! The documents: their links, their commands, their tables and their picture
//! are compared with the tool.

pub(crate) mod commands;
mod links;
mod matching;
pub(crate) mod page;
mod picture;
mod reference;
