//! Tests that compare the documents with the tool: their links, commands,
//! tables and picture.

mod code;
pub(crate) mod commands;
mod links;
mod live;
mod matching;
pub(crate) mod page;
mod picture;
mod reference;
