//! Translating the descriptions of other tools: `docker-compose.yml`,
//! `Procfile`, `process-compose.yaml`.
//!
//! A translation is a pure function from the text of a file to the text of
//! roles in `[workspace.metadata.ansar]`. What has no counterpart becomes a
//! comment with the line and the reason. Variables of the environment are not
//! known, and no file but the translated one is read.

mod command;
mod compose;
mod draft;
mod images;
mod process_compose;
mod procfile;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::PathBuf;
use std::string::FromUtf8Error;

use crate::manifest::DEFAULT_TESTS;
use crate::manifest::import::draft::{Rendered, comment};
use crate::manifest::init::{ProposalError, appended, newline};
use crate::model::name::RoleName;
use crate::model::quoted::escaped;
use crate::model::role_search::RolePattern;

/// Names of files at the root of a workspace that can be translated.
pub const FILES: [&str; 7] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "process-compose.yaml",
    "process-compose.yml",
    "Procfile",
];

/// Most services of a file.
const MOST_SERVICES: usize = 1000;

/// The facts that a translation uses.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Name of the file, for a comment and to tell its format.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Binaries of the workspace.
    pub bins: &'a [Binary],
    /// Pattern of test roles.
    pub tests: &'a RolePattern,
    /// True if the workspace root has a file `.env`.
    pub has_dot_env: bool,
}

/// A binary of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Its name.
    pub name: String,
    /// Its package.
    pub package: String,
    /// Folder of the package, relative to the workspace root.
    pub folder: PathBuf,
}

/// Translated roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// Their tables and the comments, with lines that end in `\n`.
    pub text: String,
    /// The roles that are not commented out.
    pub roles: Vec<Described>,
    /// Number of comments about parts without a counterpart.
    pub remarks: usize,
}

/// A translated role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub role: RoleName,
    /// Its executable or program.
    pub runs: String,
}

/// Reason for translating nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ImportError {
    /// Line of the translated file, from 1.
    pub line: u32,
    /// Error and expectation, in one line.
    pub reason: String,
}

impl ImportError {
    /// Returns the error for a file that is not UTF-8.
    pub fn not_text(error: &FromUtf8Error) -> Self {
        let valid = error.utf8_error().valid_up_to();
        let lines = memchr::memchr_iter(b'\n', &error.as_bytes()[..valid]).count();
        let line = u32::try_from(lines + 1).unwrap_or(u32::MAX);
        Self::new(line, "not UTF-8".to_owned())
    }

    fn new(line: u32, reason: String) -> Self {
        Self { line, reason }
    }
}

/// Translates a file. A name that begins with `Procfile` or ends in `.procfile`
/// is a Procfile; anything else is YAML, whose keys tell the format.
///
/// # Errors
///
/// Returns an error with its line if the text has not the form of the format.
pub fn translate(input: &Input<'_>) -> Result<Translation, ImportError> {
    let name = input.file.rsplit('/').next().unwrap_or(input.file);
    let rendered = if name.starts_with("Procfile") || name.ends_with(".procfile") {
        procfile::translate(input)?
    } else {
        let root = yaml::read(input.text)?;
        match (root.get("services"), root.get("processes")) {
            (Some(_), _) => compose::translate(&root, input)?,
            (None, Some(_)) => process_compose::translate(&root, input)?,
            (None, None) => {
                let reason =
                    "no `services` of a compose file and no `processes` of process-compose";
                return Err(ImportError::new(1, reason.to_owned()));
            }
        }
    };
    let Rendered {
        text,
        roles,
        remarks,
    } = rendered;
    let from = comment(&format!("Translated from `{}`.", escaped(name)));
    Ok(Translation {
        text: format!("{from}\n{text}"),
        roles,
        remarks,
    })
}

/// Appends translated roles to a manifest, with a description if it has none.
/// `existing` are the roles that it describes, with their lines.
///
/// # Errors
///
/// Returns an error if a role of that name exists, or if the manifest is
/// written in a form to which no table can be appended.
pub fn add(
    manifest_text: &str,
    translation: &Translation,
    existing: &[(RoleName, u32)],
) -> Result<String, ProposalError> {
    for Described { role, .. } in &translation.roles {
        if let Some((_, line)) = existing.iter().find(|(name, _)| name == role) {
            return Err(ProposalError::RoleExists {
                role: role.clone(),
                line: *line,
            });
        }
    }
    match newline(manifest_text) {
        Ok(newline) => {
            let section = format!(
                "[workspace.metadata.ansar]\ntests = \"{DEFAULT_TESTS}\"\n\n{}",
                translation.text
            );
            Ok(appended(manifest_text, newline, &section))
        }
        // The tables of roles can stand anywhere behind it.
        Err(exists @ ProposalError::Exists { .. }) => {
            let newline = if manifest_text.contains("\r\n") {
                "\r\n"
            } else {
                "\n"
            };
            let text = appended(manifest_text, newline, &translation.text);
            match toml_edit::Document::parse(text.as_str()) {
                Ok(_) => Ok(text),
                Err(_) => Err(exists.without_header()),
            }
        }
        Err(error) => Err(error),
    }
}
