//! Arguments that select roles.

use clap::Args;

use crate::error::Error;
use crate::model::role_search::RoleSearch;

/// Arguments that select roles.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Regular expressions that match whole role names [default: all roles]
    #[arg(value_name = "SEARCH")]
    patterns: Vec<String>,
    /// Only roles of this executable
    #[arg(long, value_name = "NAME")]
    executable: Option<String>,
    /// Select the roles that do not match
    #[arg(short, long)]
    invert_search: bool,
}

impl SearchArgs {
    /// Returns the search, or an error if a term is invalid.
    pub(super) fn search(&self) -> Result<RoleSearch, Error> {
        let executable = self.executable.as_ref().map(|name| name.parse());
        Ok(RoleSearch::new(
            &self.patterns,
            executable.transpose()?,
            self.invert_search,
        )?)
    }
}
