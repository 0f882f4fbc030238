//! `cargo ansar get`: print a property of a role.

use serde_json::Value;

use crate::error::Error;
use crate::manifest::properties::Property;
use crate::model::name::RoleName;
use crate::workspace::Places;
use crate::workspace::roles::known;

/// Returns the value of a property, or `null` if it is not set.
pub fn get(places: &Places, property: &Property, role: &RoleName) -> Result<Value, Error> {
    let (home, workspace) = places.open()?;
    Ok(property.value(&known(&home, workspace.as_ref(), role)?))
}
