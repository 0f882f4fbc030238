//! The arguments of a component.

use std::path::PathBuf;

use ansar_contract::launch::{CallSignature, Origin};
use ansar_contract::line::Level;

/// The parsed command line of a component.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The executable's name.
    pub(crate) name: String,
    /// The request.
    pub(crate) request: Request,
    /// The home and the role in it; `None` by hand.
    pub(crate) role: Option<(PathBuf, String)>,
    /// The kind of parent; `None` by hand.
    pub(crate) origin: Option<Origin>,
    /// The standard streams that carry messages; `None` by hand.
    pub(crate) signature: Option<CallSignature>,
    /// The log level, if one was given.
    pub(crate) debug_level: Option<Level>,
    /// Settings from a file.
    pub(crate) settings_file: Option<PathBuf>,
    /// Input from a file.
    pub(crate) input_file: Option<PathBuf>,
    /// The file for the result, instead of stdout.
    pub(crate) output_file: Option<PathBuf>,
    /// Settings by name, in the order of the fields.
    pub(crate) settings: Vec<(String, String)>,
}

/// A request to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Run, and return a result.
    Run,
    /// Print the settings and input of a run.
    Dump {
        /// The settings.
        settings: bool,
        /// The input.
        input: bool,
    },
    /// Store the settings for later runs by hand.
    StoreSettings,
    /// Remove stored settings.
    FactoryReset,
}

impl Arguments {
    /// Returns true if a person or a script started the component as a tool.
    pub(crate) fn is_by_hand(&self) -> bool {
        self.role.is_none() && self.origin.is_none()
    }
}
