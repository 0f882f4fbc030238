//! `cargo ansar set`: set a property of roles.

use ansar_runtime::contract::message::Envelope;
use ansar_runtime::contract::retry::Retry;

use super::Error;
use super::locate::Places;
use crate::home::{Home, from_json};
use crate::host::files;
use crate::model::name::RoleName;
use crate::model::search::RoleSearch;
use std::path::{Path, PathBuf};

/// The value of a property, as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// In a file.
    File(PathBuf),
    /// As a text, which was read from stdin.
    Text(Vec<u8>),
    /// None: the property is unset.
    NotSet,
}

/// Sets the retry policy of the roles that match; their names. Nothing changes
/// where the encoding is wrong or no role matches.
pub fn set_retry(
    places: &Places,
    search: &RoleSearch,
    encoding: &Encoding,
) -> Result<Vec<RoleName>, Error> {
    let workspace = places.workspace()?;
    let home = Home::open(&places.home(workspace.as_ref()))?;
    let retry = match encoding {
        Encoding::NotSet => None,
        Encoding::File(path) => {
            let path = places.folder.join(path);
            Some(read(&path, &files::read(&path)?)?)
        }
        Encoding::Text(bytes) => Some(read(Path::new("<stdin>"), bytes)?),
    };
    let _lock = home.lock()?;
    let mut entries = home.entries()?;
    entries.retain(|role, entry| search.matches(role, &entry.executable));
    if entries.is_empty() {
        return Err(Error::NoRole("the search".to_owned()));
    }
    for (role, entry) in &mut entries {
        entry.retry.clone_from(&retry);
        entry.by_hand.retry = true;
        home.set_entry(role, entry)?;
    }
    Ok(entries.into_keys().collect())
}

fn read(path: &Path, bytes: &[u8]) -> Result<Retry, Error> {
    let retry = from_json::<Envelope<Retry>>(path, bytes)?.value;
    retry.check().map_err(|reason| Error::Given {
        path: path.to_owned(),
        reason: format!(" {reason}"),
    })?;
    Ok(retry)
}
