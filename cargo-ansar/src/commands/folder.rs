//! `cargo ansar folder`: where the parts of a role are.

use std::path::PathBuf;

use ansar_contract::layout::Area;

use crate::commands::history::open;
use crate::error::Error;
use crate::model::name::RoleName;
use crate::workspace::Places;

/// A part of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its executable.
    Bin,
    /// Its settings.
    Settings,
    /// Its input.
    Input,
    /// Its log.
    Logs,
    /// Its temporary files.
    Tmp,
    /// Its own data.
    Model,
    /// What it shares with the roles of its executable.
    Resource,
}

/// Where a part of a role is, or will be once there is something in it.
pub fn folder(places: &Places, part: Part, role: &RoleName) -> Result<PathBuf, Error> {
    let (home, entry) = open(places, role)?;
    Ok(match part {
        Part::Bin => home.executable(&entry.executable),
        Part::Resource => home.resource(&entry.executable),
        Part::Settings => home.file(Area::Settings, role),
        Part::Input => home.file(Area::Input, role),
        Part::Logs => home.folder(Area::Logs, role),
        Part::Tmp => home.folder(Area::Tmp, role),
        Part::Model => home.folder(Area::Model, role),
    })
}
