//! The needs of a component's parameters, known before the function runs. The
//! command line is parsed by them.

use crate::settings::Schema;

/// The needs of a component's parameters.
#[derive(Debug, Default)]
pub struct Declaration {
    pub(crate) settings: Option<Schema>,
    pub(crate) input: Option<Schema>,
    pub(crate) announces: bool,
    /// True if it takes the context, by which it can check for Stop.
    pub(crate) takes_context: bool,
}
