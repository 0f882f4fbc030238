//! What was last deployed into a home: the third side of every comparison.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::home::restart_reason::Change;
use crate::home::{Home, HomeError, read_json_up_to, renew_json};
use crate::host::cargo_config::Variable;
use crate::host::fs::Hash;
use crate::model::name::{ExecutableName, RoleName};
use crate::sync::executable::Deployed;
use crate::sync::manifest::Manifest;
use crate::sync::path::RelPath;

/// The file in a home's root that remembers.
pub(super) const FILE: &str = "deploy.json";
/// The most bytes that are read of it: it names every file of every material.
pub(super) const LARGEST: u64 = 256 << 20;

/// Everything that deploys remember.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeployState {
    /// The executables in `bin`.
    pub executables: BTreeMap<ExecutableName, Deployed>,
    /// The folders of material, by their path in the home.
    pub materials: BTreeMap<String, Material>,
    /// What the settings and input of a role were made of.
    pub settled: BTreeMap<RoleName, String>,
    /// The last change of each role that something was changed of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<RoleName, Change>,
    /// The folder whose settings and input are laid over those of the manifest,
    /// where that was named by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<PathBuf>,
    /// What folders that are not deployed from held after a snapshot.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub taken: BTreeMap<PathBuf, Taken>,
    /// `[env]` of Cargo's configuration, which roles have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Variable>,
    /// The packages of the bins that Cargo was last asked for.
    pub bins: BTreeMap<ExecutableName, Vec<String>>,
}

/// What a folder and the home agreed upon when a snapshot was taken there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Taken {
    /// Resources and models, by their path in the home.
    pub materials: BTreeMap<String, Manifest>,
    /// Settings and input, by their path in the folder.
    pub files: BTreeMap<String, Hash>,
}

impl Taken {
    /// The third side of a comparison with the folder: what was deployed, and
    /// over it what was agreed upon here.
    pub fn over(&self, name: &str, deployed: &Manifest) -> Manifest {
        let Some(taken) = self.materials.get(name) else {
            return deployed.clone();
        };
        let is_hidden = |path: &RelPath| {
            let above = std::iter::successors(path.folder(), RelPath::folder);
            above
                .filter_map(|folder| taken.get(&folder))
                .any(|entry| !entry.is_folder())
        };
        let kept = deployed.iter().filter(|(path, _)| !is_hidden(path));
        let all = kept.chain(taken.iter());
        all.map(|(path, entry)| (path.clone(), entry.clone()))
            .collect()
    }
}

/// What is known of one folder of material.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Material {
    /// What the home held when it was last looked at.
    pub home: Manifest,
    /// What was last deployed: the third side of the comparison, and what
    /// spares the next deploy from reading the snapshot.
    pub deployed: Manifest,
}

impl DeployState {
    /// Forgets a role that is no more.
    pub fn forget(&mut self, role: &RoleName) {
        let model = format!("model/{role}");
        for taken in self.taken.values_mut() {
            taken.materials.remove(&model);
        }
        self.materials.remove(&model);
        self.settled.remove(role);
        self.changes.remove(role);
    }
}

impl Home {
    /// What was last deployed.
    pub fn deploy_state(&self) -> Result<DeployState, HomeError> {
        Ok(read_json_up_to(&self.deploy_state_file(), LARGEST)?.unwrap_or_default())
    }

    /// Remembers what is deployed now. Where a loss of power takes that back,
    /// the next deploy finds it again, as after one that was killed.
    pub fn set_deploy_state(&self, deploy_state: &DeployState) -> Result<(), HomeError> {
        renew_json(&self.deploy_state_file(), deploy_state)
    }

    fn deploy_state_file(&self) -> PathBuf {
        self.root().join(FILE)
    }
}
