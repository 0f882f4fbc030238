//! The environment of roles and of commands run with them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::error::with_causes;
use crate::home::Home;
use crate::home::ports::{BIND, Ports};
use crate::home::program::{ProgramError, base};
use crate::home::role::Entry;
use crate::home::role_values::RoleValues;
use crate::host::cargo_config;
use crate::host::cargo_config::Variable;
use crate::host::{environment, fs};
use crate::manifest::Description;
use crate::model::placeholder::Placeholder;
use crate::model::role_properties::EnvFile;

/// Names and values of variables.
pub(crate) type Variables = Vec<(OsString, OsString)>;

/// Returns the environment shared by the roles of a home: that of this command,
/// and `[env]` of Cargo's configuration as `cargo run` applies it.
pub(crate) fn of_roles(home: &Home) -> Variables {
    configured(environment::for_roles(), &of_cargo(home))
}

/// Returns `[env]` of Cargo's configuration in the workspace of a home; empty
/// without a workspace.
pub(crate) fn of_cargo(home: &Home) -> BTreeMap<String, Variable> {
    let workspace = home.workspace();
    workspace.map_or_else(BTreeMap::new, |root| cargo_config::read(root).env)
}

/// Adds variables of Cargo's configuration. They replace existing variables
/// only with `force`.
pub(crate) fn configured(mut shared: Variables, env: &BTreeMap<String, Variable>) -> Variables {
    for (name, Variable { value, force }) in env {
        let name = OsStr::new(name);
        let is_set = shared.iter().any(|(set, _)| set == name);
        if *force || !is_set {
            shared.retain(|(set, _)| set != name);
            shared.push((name.to_owned(), value.into()));
        }
    }
    shared
}

/// Adds the variables of one role, which take precedence: those of its files,
/// then those that are named.
pub(crate) fn with_own(
    mut shared: Variables,
    entry: &Entry,
    values: &RoleValues<'_>,
) -> Result<Variables, ProgramError> {
    for (name, value) in own(entry, values)? {
        shared.retain(|(set, _)| *set != *name);
        shared.push((name.into(), value.into()));
    }
    Ok(shared)
}

/// Returns the variables of one role.
pub(crate) fn own(
    entry: &Entry,
    values: &RoleValues<'_>,
) -> Result<BTreeMap<String, String>, ProgramError> {
    let files = &entry.properties.env_file;
    let mut variables =
        of_files(base(values.home), files).map_err(|(path, reason)| ProgramError::EnvFile {
            role: values.role.clone(),
            path,
            reason,
        })?;
    for (name, value) in &entry.properties.env {
        let value = value.resolve(&|placeholder| values.get(placeholder))?;
        variables.insert(name.clone(), value);
    }
    Ok(variables)
}

/// Returns the variables that a description gives to every role, for a command
/// that is none.
pub(crate) fn of_description(
    home: &Home,
    description: &Description,
    ports: &Ports,
) -> Result<BTreeMap<String, String>, ProgramError> {
    let mut variables = of_files(base(home), &description.env_file)
        .map_err(|(path, reason)| ProgramError::SharedEnvFile { path, reason })?;
    for (name, value) in &description.env {
        let value = value.resolve(&|placeholder| match placeholder {
            Placeholder::Address {
                role: Some(role),
                port,
            } => {
                let address = ports.address(role, port);
                Ok(address.map_or_else(String::new, |address| address.to_string()))
            }
            Placeholder::Port {
                role: Some(role),
                port,
            } => {
                let port = ports.get(role, port);
                Ok(port.map_or_else(String::new, |port| port.to_string()))
            }
            Placeholder::Bind => Ok(BIND.to_string()),
            Placeholder::Home => Ok(home.root().display().to_string()),
            // A value that only roles have.
            _ => Err(()),
        });
        if let Ok(value) = value {
            variables.insert(name.clone(), value);
        }
    }
    Ok(variables)
}

/// Reads files with variables. Returns the path of a file that cannot be used,
/// and the reason.
pub(crate) fn of_files(
    base: &Path,
    files: &[EnvFile],
) -> Result<BTreeMap<String, String>, (PathBuf, String)> {
    let mut variables = BTreeMap::new();
    for file in files {
        let path = base.join(&file.path);
        let bytes = match fs::read_followed(&path) {
            Ok(bytes) => bytes,
            Err(error) if file.optional && error.is_not_found() => continue,
            Err(error) => return Err((path, with_causes(&error))),
        };
        match environment::parse_env_file(&bytes) {
            Ok(own) => variables.extend(own),
            Err(reason) => return Err((path, reason)),
        }
    }
    Ok(variables)
}
