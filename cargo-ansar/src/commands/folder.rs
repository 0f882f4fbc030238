//! `cargo ansar folder`: print the path of a role's folder or file.

use std::path::PathBuf;

use ansar_contract::layout::Area;

use crate::commands::history::open;
use crate::error::Error;
use crate::model::name::RoleName;
use crate::workspace::Places;

/// Kind of folder or file of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Executable.
    Bin,
    /// Settings.
    Settings,
    /// Input.
    Input,
    /// Logs.
    Logs,
    /// Temporary files.
    Tmp,
    /// Data of the role.
    Model,
    /// Data shared by all roles of the executable.
    Resource,
}

/// Returns the path of a part of a role, which need not exist yet.
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
