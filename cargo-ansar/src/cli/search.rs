//! Arguments that select roles.

use clap::Args;

use crate::error::Error;
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::workspace::Places;
use crate::workspace::roles::tags;

/// Arguments that select roles.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Regular expressions that match whole role names, or @TAG for all roles
    /// with a tag [default: all roles]
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
    /// Returns the search, or an error if a term is invalid. Tags are those of
    /// the roles that can be found at `places`.
    pub(super) fn search(&self, places: &Places) -> Result<RoleSearch, Error> {
        self.search_with(None, places)
    }

    /// Returns the search, with one more role among its terms.
    pub(super) fn search_with(
        &self,
        role: Option<&RoleName>,
        places: &Places,
    ) -> Result<RoleSearch, Error> {
        let executable = self.executable.as_ref().map(|name| name.parse());
        let patterns = self.patterns.iter().map(String::as_str);
        let patterns = patterns.chain(role.map(RoleName::as_str));
        let search = RoleSearch::new(patterns, executable.transpose()?, self.invert_search)?;
        Ok(if search.has_tags() {
            search.with_tags(&tags(places))
        } else {
            search
        })
    }
}
