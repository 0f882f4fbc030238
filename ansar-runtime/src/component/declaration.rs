//! What a component's function asks for, before anybody knows its parameters:
//! the command line and the place are read by it.

use crate::settings::Schema;

/// What a component's parameters ask for, known before it runs.
#[derive(Debug, Default)]
pub struct Declaration {
    pub(crate) settings: Option<Schema>,
    pub(crate) input: Option<Schema>,
    pub(crate) announces: bool,
}
