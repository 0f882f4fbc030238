//! Which roles a command is about.

use clap::Args;

use crate::error::Error;
use crate::model::role_search::RoleSearch;

/// Which roles.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Regular expressions, matched against whole role names; none means all
    #[arg(value_name = "SEARCH")]
    patterns: Vec<String>,
    /// Only roles of this executable
    #[arg(long, value_name = "NAME")]
    executable: Option<String>,
    /// Take the roles that do not match instead
    #[arg(short, long)]
    invert_search: bool,
}

impl SearchArgs {
    /// What was asked for, where it makes sense.
    pub(super) fn search(&self) -> Result<RoleSearch, Error> {
        let executable = self.executable.as_ref().map(|name| name.parse());
        Ok(RoleSearch::new(
            &self.patterns,
            executable.transpose()?,
            self.invert_search,
        )?)
    }
}
