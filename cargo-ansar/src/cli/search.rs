//! Arguments that select roles.

use clap::Args;

use crate::error::Error;
use crate::model::name::RoleName;
use crate::model::role_search::{RolePattern, RoleSearch};
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

/// Separates the pattern of test roles from a part of the names of their tests.
const OF_TEST: &str = "::";

impl SearchArgs {
    /// Returns the search, or an error if a term is invalid. Tags are those of
    /// the roles that can be found at `places`.
    pub(super) fn search(&self, places: &Places) -> Result<RoleSearch, Error> {
        self.of(self.patterns.iter().map(String::as_str), places)
    }

    /// Returns the search, with one more role among its terms.
    pub(super) fn search_with(
        &self,
        role: Option<&RoleName>,
        places: &Places,
    ) -> Result<RoleSearch, Error> {
        let patterns = self.patterns.iter().map(String::as_str);
        self.of(patterns.chain(role.map(RoleName::as_str)), places)
    }

    /// Returns the search for test roles, of which a term may be
    /// `PATTERN::TESTS`, and the tests to run of the roles that a pattern
    /// matches.
    pub(super) fn search_tests(
        &self,
        places: &Places,
    ) -> Result<(RoleSearch, Vec<(RolePattern, String)>), Error> {
        let mut patterns = Vec::with_capacity(self.patterns.len());
        let mut chosen = Vec::new();
        for term in &self.patterns {
            let Some((pattern, tests)) = term.split_once(OF_TEST) else {
                patterns.push(term.as_str());
                // An empty text is part of every name.
                if let Ok(pattern) = RolePattern::parse(term) {
                    chosen.push((pattern, String::new()));
                }
                continue;
            };
            chosen.push((RolePattern::parse(pattern)?, tests.to_owned()));
            patterns.push(pattern);
        }
        Ok((self.of(patterns, places)?, chosen))
    }

    fn of<'p>(
        &self,
        patterns: impl IntoIterator<Item = &'p str>,
        places: &Places,
    ) -> Result<RoleSearch, Error> {
        let executable = self.executable.as_ref().map(|name| name.parse());
        let search = RoleSearch::new(patterns, executable.transpose()?, self.invert_search)?;
        Ok(if search.has_tags() {
            search.with_tags(&tags(places))
        } else {
            search
        })
    }
}
