//! Records of the setup of roles, and of one-shot roles that have run:
//! `setup/ROLE.json`. Also the results of setups, `setup/results/KEY`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ansar_contract::layout::Area;
use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError, read_json, write_json};
use crate::host::{environment, fs};
use crate::model::name::RoleName;

/// Folder of the records in a home.
const FOLDER: &str = "setup";
/// Folder of results that are copied, in it.
const RESULTS: &str = "results";

/// The record of a role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SetupRecord {
    /// The state of its setup; unset if it was never set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<SetupState>,
    /// A new id for each setup and each run of a one-shot role.
    pub id: String,
    /// The key of the last successful run of a one-shot role. Another key means
    /// that it must run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
}

/// The state of the setup of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SetupState {
    /// Its commands run, or were killed.
    Running,
    /// All commands have succeeded.
    Done,
}

impl Home {
    /// Reads the record of a role.
    pub fn setup_record(&self, role: &RoleName) -> Result<SetupRecord, HomeError> {
        Ok(read_json(&self.setup_file(role))?.unwrap_or_default())
    }

    /// Records that the setup of a role begins, or has succeeded.
    pub fn record_setup(&self, role: &RoleName, state: SetupState) -> Result<(), HomeError> {
        self.write_record(
            role,
            &SetupRecord {
                setup: Some(state),
                id: environment::unique(),
                done: None,
            },
        )
    }

    /// Records that a one-shot role has run, with the key of the run.
    pub fn record_done(&self, role: &RoleName, key: String) -> Result<(), HomeError> {
        let before = self.setup_record(role)?;
        self.write_record(
            role,
            &SetupRecord {
                setup: before.setup,
                id: environment::unique(),
                done: Some(key),
            },
        )
    }

    /// Returns true if the setup of a role must run: it was killed, or the role
    /// was never set up and its model is empty.
    pub fn will_set_up(&self, role: &RoleName) -> Result<bool, HomeError> {
        Ok(match self.setup_record(role)?.setup {
            Some(SetupState::Done) => false,
            Some(SetupState::Running) => true,
            None => fs::names(&self.folder(Area::Model, role))?.is_empty(),
        })
    }

    /// Moves away the files that a killed setup made, so that it can run again.
    pub fn clear_killed_setup(&self, role: &RoleName) -> Result<(), HomeError> {
        let model = self.folder(Area::Model, role);
        let is_killed = self.setup_record(role)?.setup == Some(SetupState::Running);
        if is_killed && !fs::names(&model)?.is_empty() {
            let kept = self.kept().join("setup").join(role.as_str());
            fs::make_private_folders(&kept)?;
            fs::move_or_remove(&model, &kept.join(environment::unique()))?;
            fs::make_private_folders(&model)?;
        }
        Ok(())
    }

    /// Returns the folder with the result of the setups that have this key.
    pub fn setup_result(&self, key: &str) -> PathBuf {
        self.root().join(FOLDER).join(RESULTS).join(key)
    }

    /// Removes the results of all other setups.
    pub fn retain_setup_results(&self, keys: &BTreeSet<String>) -> Result<(), HomeError> {
        let folder = self.root().join(FOLDER).join(RESULTS);
        fs::make_private_folders(&folder)?;
        for name in fs::names(&folder)? {
            let name_text = name.to_string_lossy();
            let key = name_text.split('.').next().unwrap_or_default();
            if !keys.contains(key) {
                fs::remove_tree(&folder.join(&name))?;
            }
        }
        Ok(())
    }

    /// Removes the record of a deleted role.
    pub fn remove_setup_record(&self, role: &RoleName) -> Result<(), HomeError> {
        Ok(fs::remove_file(&self.setup_file(role))?)
    }

    fn write_record(&self, role: &RoleName, record: &SetupRecord) -> Result<(), HomeError> {
        fs::make_private_folders(&self.root().join(FOLDER))?;
        write_json(&self.setup_file(role), record)
    }

    fn setup_file(&self, role: &RoleName) -> PathBuf {
        self.root().join(FOLDER).join(format!("{role}.json"))
    }
}
