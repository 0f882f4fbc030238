//! What programs make of results: schemas, matchers, editors, browsers.

mod editors;
pub(super) mod junit;
mod page;
mod schema;
mod watching;
