//! The environment of roles and of commands run with them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::home::Home;
use crate::home::role::Entry;
use crate::host::cargo_config;
use crate::host::cargo_config::Variable;
use crate::host::environment;

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

/// Adds the variables of one role, which take precedence.
pub(crate) fn with_own(mut shared: Variables, entry: &Entry) -> Variables {
    let own = entry.properties.env.iter();
    shared.extend(own.map(|(name, value)| (name.into(), value.into())));
    shared
}
