//! `cargo ansar set`: set a property of roles.

use std::path::{Path, PathBuf};

use ansar_runtime::contract::retry::Retry;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::locate::Places;
use super::{Error, chosen, decode_given, read_given};
use crate::home::Home;
use crate::model::name::RoleName;
use crate::model::search::RoleSearch;

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
        Encoding::File(path) => Some(read_given::<Sound>(&places.folder.join(path))?),
        Encoding::Text(bytes) => Some(decode_given(Path::new("<stdin>"), bytes)?),
    };
    let _lock = home.lock()?;
    let mut entries = chosen(&home, search, home.entries()?)?;
    for (role, entry) in &mut entries {
        entry.retry = retry.as_ref().map(|Sound(retry)| retry.clone());
        entry.by_hand.retry = true;
        home.set_entry(role, entry)?;
    }
    Ok(entries.into_keys().collect())
}

/// A policy that makes sense, or an error that says where it does not.
struct Sound(Retry);

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let retry = Retry::deserialize(deserializer)?;
        retry.check().map_err(D::Error::custom)?;
        Ok(Self(retry))
    }
}
