//! The files of a place that a run uses: its lock, settings, input, properties and temporary
//! folder.

use std::path::{Path, PathBuf};

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::{AREA_FILE, Area, AreaMark};
use ansar_contract::lifecycle::Faulted;
use ansar_contract::retry::Retry;
use serde::Deserialize;
use serde_json::Value;

use super::arguments::{Arguments, Request};
use super::declaration::Declaration;
use super::identity::{Identity, decode, unusable};
use crate::host::files::{FileError, Source};
use crate::host::lock::{self, Lock};
use crate::host::{environment, files, streams};
use crate::settings::{Refused, Schema};

/// The part of the property file of a role that a component reads.
#[derive(Deserialize, Default)]
struct Properties {
    #[serde(default)]
    retry: Option<Retry>,
}

impl Identity {
    /// Returns the place that the command line names.
    pub(crate) fn find(arguments: &Arguments) -> Result<Self, Faulted> {
        match &arguments.role {
            Some((home, role)) => Self::in_home(home, role, &arguments.name),
            None => Ok(Self::by_hand(&arguments.name)),
        }
    }

    /// Locks the role, so that no other process can be it. Returns `None` by hand, and
    /// if the parent that started this process holds the lock.
    ///
    /// A role that the home does not have is refused.
    pub(crate) fn claim(&self) -> Result<Option<Lock>, Faulted> {
        let Self::Role { home, role, .. } = self else {
            return Ok(None);
        };
        if environment::parent().is_some() {
            return Ok(None);
        }
        if !files::is_file(&self.file(Area::Entry)) {
            let home = home.display();
            return Err(unusable(format!(
                "role `{role}` not found in home `{home}`"
            )));
        }
        let folder = self.area(Area::Lock);
        files::make_private(&folder);
        let path = folder.join(role);
        match lock::take(&path) {
            Ok(Ok(lock)) => Ok(Some(lock)),
            Ok(Err(pid)) => Err(Faulted::new(
                format!("role `{role}` is already running (process {pid})"),
                "",
            )),
            Err(error) => Err(Faulted::new(
                format!("failed to lock `{}`", path.display()),
                error.to_string(),
            )),
        }
    }

    /// Empties the temporary folder, unless the engine has done so.
    pub(crate) fn empty_tmp(&self) -> Result<(), FileError> {
        if self.is_sub_role() && self.is_made(Area::Tmp)? {
            files::remove_tree(&self.folder(Area::Tmp))?;
        }
        Ok(())
    }

    /// Returns true if a home made the folder of an area. A redirected area has a
    /// mark, or, if an earlier version made it, a name that only a home gives. A
    /// folder with neither is never emptied.
    fn is_made(&self, area: Area) -> Result<bool, FileError> {
        let Self::Role {
            home, redirects, ..
        } = self
        else {
            return Ok(false);
        };
        if !redirects.redirect.contains_key(area.name()) {
            return Ok(true);
        }
        let path = self.area(area);
        Ok(
            match decode::<AreaMark>(&path.join(AREA_FILE), Source::Home)? {
                Some(mark) => mark.area == area.name() && files::resolve(home) == Some(mark.root),
                None => {
                    let name = path.file_name().and_then(|name| name.to_str());
                    let id =
                        name.and_then(|name| name.strip_prefix(area.name())?.strip_prefix('-'));
                    let is_digit = |c: char| c.is_ascii_hexdigit() || c == '-';
                    id.is_some_and(|id| id.len() == 36 && id.chars().all(is_digit))
                }
            },
        )
    }

    /// Stores settings. By hand, the file belongs to the user, who may have linked
    /// it elsewhere.
    pub(crate) fn store_settings(&self, text: &str) -> Result<(), FileError> {
        let path = self.settings_file();
        if self.is_component() {
            files::replace(&path, text)
        } else {
            files::write_named(&path, text)
        }
    }

    /// Returns the file of the stored settings.
    pub(crate) fn settings_file(&self) -> PathBuf {
        self.file(Area::Settings)
    }

    /// Returns the settings of a run: for each field the default, overridden by the
    /// stored settings, a settings file, and the command line.
    ///
    /// A role that is only asked for its settings ignores the stored ones, since the
    /// tool asks for the defaults.
    pub(crate) fn settings(
        &self,
        declaration: &Declaration,
        arguments: &Arguments,
    ) -> Result<Value, Faulted> {
        let none = Schema::none();
        let schema = declaration.settings.as_ref().unwrap_or(&none);
        let mut value = schema.default().clone();
        if !self.is_asked(arguments) {
            value = self.kept(schema, value, Area::Settings)?;
        }
        if let Some(path) = &arguments.settings_file {
            value = given(schema, &value, path)?;
        }
        for (field, text) in &arguments.settings {
            value = schema
                .assign(&value, field, text)
                .map_err(|refused| unusable(refused.to_string()))?;
        }
        Ok(value)
    }

    /// Returns the input of a run: from stdin, from a file, stored, or the default.
    pub(crate) fn input(
        &self,
        declaration: &Declaration,
        arguments: &Arguments,
    ) -> Result<Value, Faulted> {
        let Some(schema) = &declaration.input else {
            return match &arguments.input_file {
                None => Ok(Value::Null),
                Some(path) => Err(unusable(format!(
                    "{}: this component takes no input",
                    path.display()
                ))),
            };
        };
        let base = schema.default();
        if arguments.signature.is_some_and(|signature| signature.input) {
            let text = streams::take_input()
                .map_err(|error| Faulted::new("failed to read the input", error.to_string()))?;
            return schema
                .overlay(base, &text)
                .map_err(|refused| unusable(format!("input: {refused}")));
        }
        if let Some(path) = &arguments.input_file {
            return given(schema, base, path);
        }
        if self.is_asked(arguments) {
            return Ok(base.clone());
        }
        self.kept(schema, base.clone(), Area::Input)
    }

    /// Returns the retry policy of the role.
    pub(crate) fn retry(&self) -> Result<Option<Retry>, Faulted> {
        if !self.is_component() {
            return Ok(None);
        }
        let path = self.file(Area::Entry);
        let entry = decode::<Envelope<Properties>>(&path, Source::Home)?;
        let retry = entry.and_then(|entry| entry.value.retry);
        if let Some(Err(reason)) = retry.as_ref().map(Retry::check) {
            return Err(unusable(format!("{}: {reason}", path.display())));
        }
        Ok(retry)
    }

    /// Overrides the fields of `base` by the file of an area, if it exists.
    fn kept(&self, schema: &Schema, base: Value, area: Area) -> Result<Value, Faulted> {
        let source = if self.is_component() {
            Source::Home
        } else {
            Source::Own
        };
        let path = self.file(area);
        match files::read(&path, source)? {
            None => Ok(base),
            Some(text) => overlay(schema, &base, &path, &text),
        }
    }

    fn is_asked(&self, arguments: &Arguments) -> bool {
        self.is_component() && matches!(arguments.request, Request::Dump { .. })
    }
}

/// Overrides the fields of `base` by a file that was given, which must exist.
fn given(schema: &Schema, base: &Value, path: &Path) -> Result<Value, Faulted> {
    match files::read(path, Source::Given)? {
        None => Err(unusable(format!("no file `{}`", path.display()))),
        Some(text) => overlay(schema, base, path, &text),
    }
}

fn overlay(schema: &Schema, base: &Value, path: &Path, text: &str) -> Result<Value, Faulted> {
    schema.overlay(base, text).map_err(|refused| {
        let reason = match &refused {
            // A reason with a position begins with it.
            Refused::Text { line, .. } | Refused::Unknown { line, .. } if *line > 0 => {
                refused.to_string()
            }
            _ => format!(" {refused}"),
        };
        FileError::Content {
            path: path.to_owned(),
            reason,
        }
        .into()
    })
}
