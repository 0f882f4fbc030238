//! Recognition of components: what does not link ansar-runtime is never run.

use std::collections::BTreeMap;
use std::path::Path;

use ansar_contract::VERSION;
use ansar_contract::marker::Kind;

use crate::error::Error;
use crate::home::Home;
use crate::home::role::Entry;
use crate::host::fs;
use crate::model::name::{ExecutableName, RoleName};

/// Refuses the file of an executable that is not a component of this version of the
/// contract. `subject` names who runs it, as the beginning of a message.
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

/// Refuses roles of which one runs what is not a component, before any is started. An
/// executable that is not there is left to its launch.
pub(crate) fn recognize_all(home: &Home, entries: &BTreeMap<RoleName, Entry>) -> Result<(), Error> {
    for (role, entry) in entries {
        let path = home.executable(&entry.executable);
        if fs::is_file(&path) {
            recognize(format!("role `{role}`: "), &entry.executable, &path)?;
        }
    }
    Ok(())
}
