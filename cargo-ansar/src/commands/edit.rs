//! `cargo ansar edit`: edit a property of a role in the user's editor.
//!
//! The text is in a file of the home during the edit. An invalid text stays
//! there, and the next `edit` opens it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ansar_contract::envelope::Envelope;

use crate::commands::set;
use crate::error::{Error, InputError, RoleError};
use crate::events::Events;
use crate::home::role::Entry;
use crate::home::{Home, write_json};
use crate::host::fs;
use crate::host::process::Exit;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::terminal::editor;
use crate::manifest::properties::{Change, Property};
use crate::model::name::RoleName;
use crate::supervisor::lock_roles;
use crate::workspace::Places;
use crate::workspace::roles::known;

/// The outcome of `edit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The property was set.
    Set,
    /// The text was not changed.
    Unchanged,
}

/// Opens a property in an editor, and sets it with `change` to the saved value.
/// An invalid value changes nothing. If the property is not set, the editor
/// shows an example.
pub async fn edit(
    places: &Places,
    property: &Property,
    change: &Change,
    role: &RoleName,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let (home, workspace) = places.open()?;
    let entry = known(&home, workspace.as_ref(), role)?;
    let path = saved_path(&home, property, role);
    let opened = match fs::read_if_exists(&path)? {
        // A saved invalid text always differs from the property's value.
        Some(_) => None,
        None => Some(write_text(&path, property, change, &entry)?),
    };
    let discard = || fs::remove_file(&path);
    if let Err(error) = run_editor(&path, interrupts).await {
        // Keeps the text if the user has changed it.
        if opened.is_some() && fs::read_if_exists(&path)? == opened {
            discard()?;
        }
        return Err(error);
    }
    let bytes = fs::read_if_exists(&path)?.unwrap_or_default();
    if opened.as_ref() == Some(&bytes) || bytes.trim_ascii().is_empty() {
        discard()?;
        return Ok(Outcome::Unchanged);
    }
    let _lock = lock_roles::lock_home_blocking(&home, events)?;
    let all = home.entries()?;
    let entry = known(&home, workspace.as_ref(), role)?;
    let roles = BTreeMap::from([(role.clone(), entry)]);
    let stored = set::store(&home, &all, &roles, property, change, Some((&path, &bytes)));
    stored.map_err(|error| of_text(error, path.clone(), property, role))?;
    discard()?;
    Ok(Outcome::Set)
}

/// Writes the value of a property for the editor, or an example if it is not
/// set. Returns the written text.
fn write_text(
    path: &Path,
    property: &Property,
    change: &Change,
    entry: &Entry,
) -> Result<Vec<u8>, Error> {
    let value = property.value(entry);
    let is_set = !value.is_null() && value != serde_json::json!([]);
    let shown = if is_set && value != serde_json::json!({}) {
        value
    } else {
        serde_json::from_str(change.example).unwrap_or_default()
    };
    if let Some(folder) = path.parent() {
        fs::make_private_folders(folder)?;
    }
    write_json(path, &Envelope::of(shown))?;
    Ok(fs::read(path)?)
}

/// Turns an error about the edited text into one that says how to go on.
fn of_text(error: Error, path: PathBuf, property: &Property, role: &RoleName) -> Error {
    let edited = |path, reason| {
        Error::Input(InputError::Edited {
            path,
            reason,
            property: property.name,
            role: role.clone(),
        })
    };
    match error {
        Error::Input(InputError::InputFile { path, reason, .. }) => edited(path, reason),
        Error::Role(RoleError::StartOrder {
            role: waits,
            after,
            reason,
        }) => {
            let reason = format!(" role `{waits}` cannot start after `{after}`: {reason}");
            edited(path, reason)
        }
        error => error,
    }
}

/// Returns the path of a saved text.
fn saved_path(home: &Home, property: &Property, role: &RoleName) -> PathBuf {
    let name = format!("{role}.{}.json", property.name);
    home.kept().join("edit").join(name)
}

/// Opens a file in the editor and waits for it. Ignores control-c and
/// control-backslash, which are for the editor.
async fn run_editor(path: &Path, interrupts: &mut Interrupts) -> Result<(), Error> {
    let editor = editor::chosen();
    let exit = {
        let edited = editor::edit(&editor, path);
        tokio::pin!(edited);
        loop {
            tokio::select! {
                exit = &mut edited => break exit,
                interrupt = interrupts.next() => match interrupt {
                    Interrupt::Interrupt | Interrupt::Quit => {}
                    interrupt => return Err(Error::Interrupted(interrupt)),
                },
            }
        }
    };
    let reason = match exit {
        Ok(Exit::Code(0)) => return Ok(()),
        Ok(Exit::Code(127)) => "not found".to_owned(),
        Ok(Exit::Code(code)) => format!("ended with code {code}, so nothing is set"),
        Ok(Exit::Signal(signal)) => format!("was killed by signal {signal}, so nothing is set"),
        Err(error) => format!("cannot be run: {error}"),
    };
    Err(Error::Input(InputError::Editor { editor, reason }))
}
