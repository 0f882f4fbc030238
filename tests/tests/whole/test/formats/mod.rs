//! Results for other programs: schemas, problem matchers, editors, browsers.

mod editors;
pub(crate) mod junit;
mod page;
mod schema;
mod watching;
