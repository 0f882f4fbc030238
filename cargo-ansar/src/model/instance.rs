//! Instances of operational roles that belong to one test role.

use serde::{Deserialize, Serialize};

use crate::model::name::{NameError, RoleName};

/// The origin of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The role of which it is an instance.
    pub of: RoleName,
    /// The test role that it belongs to.
    pub test: RoleName,
    /// All roles of which the test role has an instance.
    pub fresh: Vec<RoleName>,
}

/// Returns the name of the instance of a role that belongs to a test role. A
/// number at its end is that of the role.
pub fn instance_name(test: &RoleName, of: &RoleName) -> Result<RoleName, NameError> {
    format!("fresh-{test}-{of}").parse()
}
