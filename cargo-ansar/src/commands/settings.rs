//! `cargo ansar settings` and `cargo ansar input`: what a role is told, as a
//! whole.

use std::collections::BTreeMap;

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::Area;
use serde_json::Value;

use crate::commands::input_file::Given;
use crate::deploy::ask_component::{Answers, Proposal};
use crate::deploy::commit::commit;
use crate::deploy::resolve_settings::{SnapshotFiles, layer};
use crate::deploy::settings_resolver::SettingsResolver;
use crate::error::{Error, decode_given};
use crate::events::Events;
use crate::home::read_json;
use crate::model::name::RoleName;
use crate::supervisor::lock_roles::lock_home_blocking;
use crate::workspace::Places;
use crate::workspace::roles::known;

/// One of the two things that a role is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// How it does its work.
    Settings,
    /// What it works on.
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

/// What a role is told now.
pub fn show(places: &Places, part: Part, role: &RoleName) -> Result<Value, Error> {
    let (home, workspace) = places.open()?;
    known(&home, workspace.as_ref(), role)?;
    let stored = |area| read_json::<Envelope<Value>>(&home.file(area, role));
    if let Some(envelope) = stored(part.area())? {
        return Ok(envelope.value);
    }
    if part == Part::Input && stored(Area::Settings)?.is_some() {
        return Err(Error::NoInput(role.clone()));
    }
    Err(Error::Unsettled(role.clone()))
}

/// Replaces what a role was told by hand; what is not given comes from where
/// it came from before that. The component itself checks it, and nothing
/// changes where it is wrong.
pub async fn replace(
    places: &Places,
    part: Part,
    role: &RoleName,
    given: &Given,
    events: &Events,
) -> Result<(), Error> {
    let (home, workspace) = places.open()?;
    let _lock = lock_home_blocking(&home, events)?;
    let mut entry = known(&home, workspace.as_ref(), role)?;
    let snapshot = layer(workspace.as_ref(), &home.deploy_state()?);
    let resolver = SettingsResolver {
        home: &home,
        workspace: workspace.as_ref(),
        snapshot: snapshot.as_deref(),
        new: None,
        events,
    };
    if !resolver.has_executable(&entry.executable) {
        return Err(Error::Unsettled(role.clone()));
    }
    // The text alone first: the component says where in it something is wrong.
    let text = given.text(places)?;
    let mut alone = Proposal::default();
    match part {
        Part::Settings => {
            alone.settings = decode_given(&text.name, &text.bytes)?;
            alone.settings_text = Some(text);
            entry.by_hand.settings = alone.settings.clone();
        }
        Part::Input => {
            alone.input = Some(decode_given(&text.name, &text.bytes)?);
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
