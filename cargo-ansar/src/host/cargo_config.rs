//! Cargo's configuration, as far as this command follows it.
//!
//! Cargo reads `.cargo/config.toml` in the working folder and in each parent,
//! then in Cargo's home, and the files that these include. A nearer file wins,
//! key by key. Malformed files count as empty here; Cargo reports them.

pub mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, TableLike};

use crate::host::{environment, fs};

pub use crate::host::cargo_config::places::{candidates, dep_info_basedir};

/// The configuration that this command uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// `[env]`: variables of the programs that Cargo runs.
    pub env: BTreeMap<String, Variable>,
    /// The file that sets each of these variables.
    pub env_files: BTreeMap<String, PathBuf>,
    /// `term.color`.
    pub color: Option<String>,
    /// The file that sets `term.color`.
    pub color_file: Option<PathBuf>,
    /// `term.progress.when`.
    pub progress: Option<String>,
}

/// A variable of `[env]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The value; a relative path is resolved if the configuration asks for it.
    pub value: String,
    /// True if it replaces a variable that is set already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// A variable as read from files; what a nearer file leaves out may be set in
/// another.
#[derive(Debug, Clone, Default)]
struct Parts {
    value: Option<(String, PathBuf)>,
    force: Option<bool>,
    relative: Option<bool>,
}

/// Variables that Cargo refuses in `[env]`.
const REFUSED: [&str; 3] = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];

/// Reads the configuration that applies in `folder`.
pub fn read(folder: &Path) -> Configuration {
    let mut reading = Reading::default();
    let above = folder.ancestors().map(|folder| folder.join(".cargo"));
    for folder in above.chain(environment::cargo_home()) {
        // Cargo prefers the old name without an extension.
        let names = ["config", "config.toml"].map(|name| folder.join(name));
        if let Some(path) = names.iter().find(|path| fs::is_file(path)) {
            reading.file(path);
        }
    }
    reading.finish()
}

#[derive(Debug, Default)]
struct Reading {
    seen: BTreeSet<PathBuf>,
    env: BTreeMap<String, Parts>,
    color: Option<(String, PathBuf)>,
    progress: Option<String>,
}

impl Reading {
    /// Reads a file below those read before, and then the files it includes.
    fn file(&mut self, path: &Path) {
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let Some(document) = places::read(path) else {
            return;
        };
        self.document(path, &document);
        // The last included file wins.
        for included in places::included(path, &document).into_iter().rev() {
            self.file(&included);
        }
    }

    fn document(&mut self, path: &Path, document: &DocumentMut) {
        let term = document.get("term");
        let color = term.and_then(|term| term.get("color"));
        if let (None, Some(color)) = (&self.color, color.and_then(Item::as_str)) {
            self.color = Some((color.to_owned(), path.to_owned()));
        }
        let progress = term.and_then(|term| term.get("progress")?.get("when"));
        if let (None, Some(progress)) = (&self.progress, progress.and_then(Item::as_str)) {
            self.progress = Some(progress.to_owned());
        }
        let env = document.get("env").and_then(Item::as_table_like);
        for (name, item) in env.into_iter().flat_map(TableLike::iter) {
            let parts = self.env.entry(name.to_owned()).or_default();
            let own = Parts::of(item, path);
            parts.value = parts.value.take().or(own.value);
            parts.force = parts.force.or(own.force);
            parts.relative = parts.relative.or(own.relative);
        }
    }

    fn finish(self) -> Configuration {
        let mut configuration = Configuration::default();
        for (name, parts) in self.env {
            let Some((value, file)) = parts.value else {
                continue;
            };
            // Relative paths start at the folder that holds `.cargo`.
            let base = file.parent().and_then(Path::parent).unwrap_or(&file);
            let value = match parts.relative {
                Some(true) => base.join(value).to_str().map(str::to_owned),
                _ => Some(value),
            };
            if let Some(value) = value.filter(|_| !REFUSED.contains(&name.as_str())) {
                let force = parts.force.unwrap_or_default();
                configuration.env_files.insert(name.clone(), file);
                configuration.env.insert(name, Variable { value, force });
            }
        }
        (configuration.color, configuration.color_file) = self.color.unzip();
        configuration.progress = self.progress;
        configuration
    }
}

impl Parts {
    fn of(item: &Item, file: &Path) -> Self {
        let value = |value: &str| Some((value.to_owned(), file.to_owned()));
        if let Some(text) = item.as_str() {
            return Self {
                value: value(text),
                ..Self::default()
            };
        }
        let field = |name| item.get(name);
        Self {
            value: field("value").and_then(Item::as_str).and_then(value),
            force: field("force").and_then(Item::as_bool),
            relative: field("relative").and_then(Item::as_bool),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those that Cargo 1.95 passes to a program.
    #[test]
    fn a_nearer_file_wins_key_by_key() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::make_private_folders(path.parent().unwrap()).unwrap();
            fs::replace(&path, text.as_bytes(), 0o600).unwrap();
        };
        write(
            ".cargo/config.toml",
            "include = [\"other.toml\", { path = \"missing.toml\", optional = true }]\n\
             [term]\ncolor = \"never\"\n\
             [env]\nA = \"far\"\nB = { value = \"far\", force = true }\n\
             R = { value = \"x/y\", relative = true }\nCARGO_HOME = \"no\"\nN = 1\n",
        );
        write(".cargo/other.toml", "[env]\nA = \"other\"\nC = \"other\"\n");
        write(
            "p/.cargo/config.toml",
            "term.color = \"always\"\n[env]\nA = \"near\"\nB = { value = \"near\" }\n",
        );
        write("p/q/.cargo/config.toml", "[env\n");
        let read = read(&folder.path().join("p/q"));
        let variable = |value: &str, force| {
            let value = value.to_owned();
            Some(Variable { value, force })
        };
        let at = folder.path().join("x/y").display().to_string();
        for (name, expected) in [
            ("A", variable("near", false)),
            ("B", variable("near", true)),
            ("C", variable("other", false)),
            ("R", variable(&at, false)),
            ("CARGO_HOME", None),
            ("N", None),
        ] {
            assert_eq!(read.env.get(name).cloned(), expected, "{name}");
        }
        assert_eq!(read.color.as_deref(), Some("always"));
        let near = folder.path().join("p/.cargo/config.toml");
        assert_eq!(read.color_file.as_ref(), Some(&near));
        let other = folder.path().join(".cargo/other.toml");
        let files = ["A", "C"].map(|name| read.env_files.get(name));
        assert_eq!(files, [Some(&near), Some(&other)]);
    }

    #[test]
    fn the_name_without_an_extension_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        fs::make_private_folders(&folder.path().join(".cargo")).unwrap();
        for (name, value) in [("config", "old"), ("config.toml", "new")] {
            let path = folder.path().join(".cargo").join(name);
            let text = format!("[env]\nANSAR_TEST_A = \"{value}\"\n");
            fs::replace(&path, text.as_bytes(), 0o600).unwrap();
        }
        assert_eq!(read(folder.path()).env["ANSAR_TEST_A"].value, "old");
    }

    #[test]
    fn files_that_include_each_other_are_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let cargo = folder.path().join(".cargo");
        fs::make_private_folders(&cargo).unwrap();
        let text = "include = [\"config.toml\"]\n[env]\nANSAR_TEST_A = \"a\"\n";
        fs::replace(&cargo.join("config.toml"), text.as_bytes(), 0o600).unwrap();
        assert_eq!(read(folder.path()).env["ANSAR_TEST_A"].value, "a");
    }
}
