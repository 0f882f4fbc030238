//! `cargo ansar get`: a property of a role.

use serde_json::Value;

use super::Error;
use super::choose::known;
use super::locate::Places;
use crate::home::property::Property;
use crate::model::name::RoleName;

/// The value of a property; `null` where it is not set.
pub fn get(places: &Places, property: &Property, role: &RoleName) -> Result<Value, Error> {
    let (home, workspace) = places.open()?;
    Ok(property.value(&known(&home, workspace.as_ref(), role)?))
}
