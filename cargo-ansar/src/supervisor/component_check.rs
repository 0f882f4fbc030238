//! Checks that executables are components: only programs that link
//! ansar-runtime are run.

use std::collections::BTreeMap;
use std::path::Path;

use ansar_contract::VERSION;
use ansar_contract::marker::Kind;

use crate::error::Error;
use crate::home::Home;
use crate::home::role::Entry;
use crate::host::fs;
use crate::model::name::{ExecutableName, RoleName};

/// Returns an error if the file of an executable is not a component of this
/// contract version. `subject` begins the message and names the role.
pub(crate) fn recognize(subject: String, name: &ExecutableName, path: &Path) -> Result<(), Error> {
    match fs::marker(path)? {
        Kind::Component(VERSION) => Ok(()),
        Kind::Component(version) => Err(Error::OtherContract {
            subject,
            executable: name.clone(),
            version,
        }),
        kind => Err(Error::NotAComponent {
            subject,
            executable: name.to_string(),
            is_script: kind == Kind::Script,
        }),
    }
}

/// Returns an error if a role's executable is not a component. Missing
/// executables are reported later, by the launch.
pub(crate) fn recognize_all(home: &Home, entries: &BTreeMap<RoleName, Entry>) -> Result<(), Error> {
    for (role, entry) in entries {
        let path = home.executable(&entry.executable);
        if fs::is_file(&path) {
            recognize(format!("role `{role}`: "), &entry.executable, &path)?;
        }
    }
    Ok(())
}
