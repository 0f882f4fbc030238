//! Results of finished setups, which are copied for other roles.
//!
//! Two roles share a result if their commands, with all placeholders replaced,
//! differ only in the path of the model, and nothing else that the commands are
//! run with differs.

use std::collections::BTreeSet;
use std::ffi::OsString;

use ansar_contract::layout::Area;

use crate::error::Error;
use crate::home::Home;
use crate::home::ports::Ports;
use crate::home::program::{ProgramSearch, base};
use crate::home::role::{Entry, Origin};
use crate::home::role_values::RoleValues;
use crate::host::fs;
use crate::host::fs::Hash;
use crate::model::name::RoleName;
use crate::supervisor::executable_kind::path_of;
use crate::supervisor::role_environment::own;

/// Computes the keys of the setups of a home's roles. Setups with the same key
/// have the same result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetupKeys<'a> {
    /// The home.
    pub(crate) home: &'a Home,
    /// The ports of its roles.
    pub(crate) ports: &'a Ports,
    /// The environment shared by all roles.
    pub(crate) environment: &'a [(OsString, OsString)],
}

impl SetupKeys<'_> {
    /// Returns the key of the setup of a role.
    pub(crate) fn of(&self, role: &RoleName, entry: &Entry) -> Result<String, Error> {
        let home = self.home;
        let properties = &entry.properties;
        let values = RoleValues {
            home,
            role,
            executable: &entry.executable,
            ports: self.ports,
        };
        let model = home.folder(Area::Model, role).display().to_string();
        let neutral = |text: String| text.replace(&model, "{model}");
        let program = path_of(home, role, entry, self.environment)?;
        let search = ProgramSearch {
            base: base(home),
            environment: self.environment,
        };
        let mut commands = Vec::with_capacity(properties.setup.len());
        for words in &properties.setup {
            let words = words.iter().map(|text| values.resolve(text).map(neutral));
            let words = words.collect::<Result<Vec<_>, _>>()?;
            let name = words.first().map_or("", |name| name);
            let file = search.command(Some(&program), name);
            let file = file.map(|path| fs::resolve(&path)).transpose()?;
            let stat = file.as_deref().map(fs::stat).transpose()?;
            commands.push((words, file, stat.map(|stat| stat.fingerprint)));
        }
        let variables = own(entry, &values)?.into_iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (name, neutral(value)))
            .collect();
        let cwd = properties.cwd.as_ref().map(|cwd| values.resolve(cwd));
        let cwd = cwd.transpose()?.map(neutral);
        let all = serde_json::json!([commands, variables, cwd, properties.unprivileged]);
        Ok(Hash::of(all.to_string().as_bytes()).to_string())
    }

    /// Returns true if another role has the same setup and was not set up yet.
    /// Removes the results that no role has any more.
    pub(crate) fn is_awaited(&self, role: &RoleName, key: &str) -> Result<bool, Error> {
        let mut keys = BTreeSet::from([key.to_owned()]);
        let mut is_awaited = false;
        for (other, entry) in self.home.entries()? {
            // Its instances are set up in every test run.
            is_awaited |= entry.properties.fresh.contains(role);
            let is_set_up = entry.origin != Origin::Retired && !entry.properties.setup.is_empty();
            if other == *role || !is_set_up {
                continue;
            }
            // A role that cannot be started awaits nothing.
            let Ok(its) = self.of(&other, &entry) else {
                continue;
            };
            is_awaited |= its == key && self.home.will_set_up(&other)?;
            keys.insert(its);
        }
        self.home.retain_setup_results(&keys)?;
        Ok(is_awaited)
    }
}
