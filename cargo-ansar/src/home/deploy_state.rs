//! The deploy state: what was last deployed into a home. It is the base of
//! three-way comparisons between a snapshot and the home.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::home::restart_reason::Change;
use crate::home::{Home, HomeError, read_json_up_to, renew_json};
use crate::host::cargo_config::Variable;
use crate::host::fs::{Fingerprint, Hash};
use crate::model::name::{ExecutableName, RoleName};
use crate::sync::executable::Deployed;
use crate::sync::manifest::Manifest;
use crate::sync::path::RelPath;

/// File in the root of a home that stores the deploy state.
pub(super) const FILE: &str = "deploy.json";
/// Largest size that is read, in bytes: the file lists every file of every
/// material.
pub(super) const LARGEST: u64 = 256 << 20;

/// The state that the last deploy left for the next one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeployState {
    /// The executables in `bin`.
    pub executables: BTreeMap<ExecutableName, Deployed>,
    /// The artifacts that they were deployed from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<ExecutableName, PathBuf>,
    /// The folders of materials, by path in the home.
    pub materials: BTreeMap<String, Material>,
    /// Hash over the sources of the settings and input of each role.
    #[serde(rename = "settled")]
    pub settings_keys: BTreeMap<RoleName, String>,
    /// The last change of each role.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<RoleName, Change>,
    /// The snapshot folder that was named on the command line. Its settings and
    /// input have precedence over those of the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<PathBuf>,
    /// Content of folders that `snapshot` wrote to without deploying from them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub taken: BTreeMap<PathBuf, Taken>,
    /// `[env]` of Cargo's configuration, which is passed to roles.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Variable>,
    /// The launch states of roles that have one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub launches: BTreeMap<RoleName, LaunchState>,
    /// The packages of each binary, from the last query to Cargo.
    pub bins: BTreeMap<ExecutableName, Vec<String>>,
    /// The files of each test target, by the name of its executable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tests: BTreeMap<ExecutableName, TestFiles>,
}

/// The part of a [`DeployState`] about executables, which is read faster than
/// all of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeployedExecutables {
    /// The executables in `bin`.
    pub executables: BTreeMap<ExecutableName, Deployed>,
    /// The artifacts that they were deployed from.
    pub artifacts: BTreeMap<ExecutableName, PathBuf>,
}

/// The files of a test target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFiles {
    /// The executable that Cargo built, beside the list of its sources.
    pub artifact: PathBuf,
    /// The folder of its package.
    pub package: PathBuf,
}

/// Everything that a role is started with, besides its executable and its
/// settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaunchState {
    /// Hash of its own environment variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Hash>,
    /// Hash of its arguments and its working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Hash>,
    /// Names of the properties that its process depends on and that are set.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub properties: BTreeSet<String>,
    /// The program, if it is not an executable of the home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramFile>,
    /// Hashes of the files whose change restarts it, by path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub watched: BTreeMap<String, Hash>,
}

/// The file of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFile {
    /// Its path.
    pub path: PathBuf,
    /// Fingerprint of the file that the path leads to.
    pub fingerprint: Fingerprint,
    /// Hash of its bytes.
    pub hash: Hash,
}

/// The common content of a folder and the home after a snapshot to the folder.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Taken {
    /// Resources and models, by path in the home.
    pub materials: BTreeMap<String, Manifest>,
    /// Settings and input, by path in the folder.
    pub files: BTreeMap<String, Hash>,
}

impl Taken {
    /// Returns the base of a three-way comparison with the folder: `deployed`,
    /// overridden by this content.
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

/// The state of one folder of materials.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Material {
    /// Content of the folder in the home when it was last read.
    pub home: Manifest,
    /// Content that was last deployed. It is the base of the comparison, and
    /// the next deploy need not read unchanged files of the snapshot.
    pub deployed: Manifest,
}

impl DeployState {
    /// Removes the state of a deleted role.
    pub fn forget(&mut self, role: &RoleName) {
        let model = format!("model/{role}");
        for taken in self.taken.values_mut() {
            taken.materials.remove(&model);
        }
        self.materials.remove(&model);
        self.settings_keys.remove(role);
        self.launches.remove(role);
        self.changes.remove(role);
    }
}

impl Home {
    /// Reads the deploy state; it is empty if nothing was deployed yet.
    pub fn deploy_state(&self) -> Result<DeployState, HomeError> {
        Ok(read_json_up_to(&self.deploy_state_file(), LARGEST)?.unwrap_or_default())
    }

    /// Reads what was deployed to `bin`.
    pub fn deployed_executables(&self) -> Result<DeployedExecutables, HomeError> {
        Ok(read_json_up_to(&self.deploy_state_file(), LARGEST)?.unwrap_or_default())
    }

    /// Stores the deploy state. It may be lost on a power loss; the next deploy
    /// then compares everything again.
    pub fn set_deploy_state(&self, deploy_state: &DeployState) -> Result<(), HomeError> {
        renew_json(&self.deploy_state_file(), deploy_state)
    }

    fn deploy_state_file(&self) -> PathBuf {
        self.root().join(FILE)
    }
}
