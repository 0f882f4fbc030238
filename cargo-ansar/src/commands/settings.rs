//! `cargo ansar settings` and `cargo ansar input`: print or replace the
//! settings or the input of a role.

use std::collections::BTreeMap;

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::Area;
use serde_json::Value;

use crate::commands::input_file::InputFile;
use crate::deploy::ask_component::{Answers, Proposal};
use crate::deploy::commit::commit;
use crate::deploy::resolve_settings::{SnapshotFiles, layer};
use crate::deploy::settings_context::SettingsResolver;
use crate::error::{Error, RoleError, decode_input_file};
use crate::events::Events;
use crate::home::read_json;
use crate::model::name::RoleName;
use crate::supervisor::lock_roles::lock_home_blocking;
use crate::workspace::Places;
use crate::workspace::roles::known;

/// Settings or input of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The settings.
    Settings,
    /// The input.
    Input,
}

impl Part {
    fn area(self) -> Area {
        match self {
            Self::Settings => Area::Settings,
            Self::Input => Area::Input,
        }
    }
}

/// Returns the current settings or input of a role.
pub fn show(places: &Places, part: Part, role: &RoleName) -> Result<Value, Error> {
    let (home, workspace) = places.open()?;
    known(&home, workspace.as_ref(), role)?;
    let stored = |area| read_json::<Envelope<Value>>(&home.file(area, role));
    if let Some(envelope) = stored(part.area())? {
        return Ok(envelope.value);
    }
    if part == Part::Input && stored(Area::Settings)?.is_some() {
        return Err(Error::Role(RoleError::NoInput(role.clone())));
    }
    Err(Error::Role(RoleError::NoSettings(role.clone())))
}

/// Replaces the settings or the input that were set by hand. Settings that are
/// not passed come from the snapshot, the manifest or the component's defaults.
/// The component itself validates the result; an invalid one changes nothing.
pub async fn replace(
    places: &Places,
    part: Part,
    role: &RoleName,
    input: &InputFile,
    events: &Events,
) -> Result<(), Error> {
    let (home, workspace) = places.open()?;
    let _lock = lock_home_blocking(&home, events)?;
    let mut entry = known(&home, workspace.as_ref(), role)?;
    let snapshot = layer(workspace.as_ref(), &home.deploy_state()?);
    let ports = home.ports()?;
    let resolver = SettingsResolver {
        home: &home,
        workspace: workspace.as_ref(),
        snapshot: snapshot.as_deref(),
        new: None,
        ports: &ports,
        events,
    };
    if entry
        .deployed()
        .is_none_or(|name| !resolver.has_executable(name))
    {
        return Err(Error::Role(RoleError::NoSettings(role.clone())));
    }
    // Validates the text alone first, so that the component reports positions
    // in it.
    let text = input.text(places)?;
    let mut alone = Proposal::default();
    match part {
        Part::Settings => {
            alone.settings = decode_input_file(&text.name, &text.bytes)?;
            alone.settings_text = Some(text);
            entry.by_hand.settings = alone.settings.clone();
        }
        Part::Input => {
            alone.input = Some(decode_input_file(&text.name, &text.bytes)?);
            alone.input_text = Some(text);
            entry.by_hand.input.clone_from(&alone.input);
        }
    }
    let mut answers = Answers::default();
    let mut accepted = answers.ask(&resolver, role, &entry, alone.clone()).await?;
    let whole = resolver.proposal(role, &entry, &SnapshotFiles::of(resolver.snapshot)?)?;
    if whole.settings != alone.settings || whole.input != alone.input {
        accepted = answers.ask(&resolver, role, &entry, whole).await?;
    }
    let now = BTreeMap::from([(role.clone(), entry)]);
    let accepted = BTreeMap::from([(role.clone(), accepted)]);
    commit(&home, &now, &accepted)
}
