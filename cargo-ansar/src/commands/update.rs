//! `cargo ansar update`: change settings of roles.

use std::collections::BTreeMap;

use crate::deploy::ask_component::Answers;
use crate::deploy::commit::commit;
use crate::deploy::resolve_settings;
use crate::deploy::resolve_settings::SnapshotFiles;
use crate::deploy::settings_context::SettingsResolver;
use crate::error::{Error, RoleError};
use crate::events::Events;
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::supervisor::lock_roles::lock_home_blocking;
use crate::workspace::Places;
use crate::workspace::roles::chosen;

/// Options of `update`.
#[derive(Debug)]
pub struct Options {
    /// Roles to change.
    pub search: RoleSearch,
    /// Settings as names and texts.
    pub settings: Vec<(String, String)>,
}

/// Changes settings of all matching roles or of none, and returns their names.
/// Each component validates its own settings.
pub async fn update(
    places: &Places,
    options: &Options,
    events: &Events,
) -> Result<Vec<RoleName>, Error> {
    let (home, workspace) = places.open()?;
    let _lock = lock_home_blocking(&home, events)?;
    let mut now = chosen(&home, workspace.as_ref(), &options.search, home.entries()?)?;
    if let (Some(first), true) = (now.keys().next(), options.settings.is_empty()) {
        return Err(Error::Role(RoleError::NoSetting(first.clone())));
    }
    let snapshot = resolve_settings::layer(workspace.as_ref(), &home.deploy_state()?);
    let ports = home.ports()?;
    let resolver = SettingsResolver {
        home: &home,
        workspace: workspace.as_ref(),
        snapshot: snapshot.as_deref(),
        new: None,
        ports: &ports,
        events,
    };
    let files = SnapshotFiles::of(resolver.snapshot)?;
    let mut answers = Answers::default();
    let mut accepted = BTreeMap::new();
    for (role, entry) in &mut now {
        if entry
            .deployed()
            .is_none_or(|name| !resolver.has_executable(name))
        {
            return Err(Error::Role(RoleError::NoSettings(role.clone())));
        }
        let mut proposal = resolver.proposal(role, entry, &files)?;
        proposal.texts.clone_from(&options.settings);
        let answer = answers.ask(&resolver, role, entry, proposal).await?;
        entry.by_hand.settings =
            resolve_settings::by_name(&entry.by_hand.settings, &options.settings, &answer.settings);
        accepted.insert(role.clone(), answer);
    }
    commit(&home, &now, &accepted)?;
    Ok(now.into_keys().collect())
}
