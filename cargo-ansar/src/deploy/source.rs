//! A folder of materials, and the steps that bring it in line with the
//! snapshot.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::PathBuf;

use crate::deploy::failed;
use crate::deploy::snapshot_layout;
use crate::error::Error;
use crate::home::deploy_state::{DeployState, Material};
use crate::host::fs::Kind;
use crate::model::name::{ExecutableName, RoleName};
use crate::sync::apply::Roots;
use crate::sync::plan::{Action, Plan, Take, next_last, plan};
use crate::sync::scan;
use crate::sync::scan::Listing;

/// A folder of materials, on both sides.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Its name for users: its path in the home.
    pub name: String,
    /// Its owner.
    pub owner: Owner,
    /// The snapshot.
    pub snapshot: PathBuf,
    /// Folder in the snapshot.
    pub source: PathBuf,
    /// Folder in the home.
    pub target: PathBuf,
    /// Folder that keeps replaced files.
    pub kept: PathBuf,
}

/// Owner of a folder of materials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A role: the folder is its model.
    Role(RoleName),
    /// All roles of an executable: the folder is their resources.
    Executable(ExecutableName),
}

/// Changes to a folder.
#[derive(Debug)]
pub struct FolderStep {
    /// The folder.
    pub folder: Folder,
    /// Steps and conflicts.
    pub plan: Plan,
    /// Files of the snapshot that are never deployed, with the reason.
    pub refused: Vec<(PathBuf, String)>,
    /// Record for the deploy state, or `None` if nothing new is known.
    pub record: Option<Material>,
}

/// Number of files from which a second thread saves time.
const LARGE: usize = 200;

impl Folder {
    /// Returns true if the snapshot's folder is not a folder, or a symlink that
    /// leads out of the snapshot.
    pub(crate) fn is_refused(&self) -> Result<bool, Error> {
        let below = self.source.strip_prefix(&self.snapshot);
        let parts: Vec<&OsStr> = below
            .map(|below| below.iter().collect())
            .unwrap_or_default();
        Ok(snapshot_layout::refusal(&self.snapshot, &parts, Kind::Folder)?.is_some())
    }

    /// Returns true if both sides are the same folder.
    ///
    /// # Errors
    ///
    /// Returns an error if one is inside the other.
    pub(crate) fn is_one_place(&self) -> Result<bool, Error> {
        snapshot_layout::is_one_place(&self.source, &self.target)
    }

    /// Plans the changes to this folder, or returns `None` if neither the
    /// snapshot nor the deploy state has any files.
    pub(crate) fn plan(
        &self,
        deploy_state: &DeployState,
        take: Option<Take>,
    ) -> Result<Option<FolderStep>, Error> {
        let known = deploy_state.materials.get(&self.name);
        let mut was = Cow::Owned(Material::default());
        if let Some(known) = known {
            was = Cow::Borrowed(known);
        }
        if let Some(taken) = deploy_state.taken.get(&self.snapshot) {
            let was = was.to_mut();
            was.deployed = taken.over(&self.name, &was.deployed);
        }
        let failed = |error: scan::Error| failed(&self.name, error);
        let are_large = was.deployed.len() >= LARGE;
        let [source, target] = Listing::at_both(&self.source, &self.target, are_large);
        let source = source.and_then(|look| {
            let look = look.with_twin(&self.target, &was.home);
            look.describe(Some(&was.deployed), None)
        });
        let source = source.map_err(failed)?;
        if source.missing && was.deployed.is_empty() {
            return Ok(None);
        }
        let others = [&source.manifest, &was.deployed];
        let target = target.and_then(|look| look.describe(Some(&was.home), Some(&others)));
        let target = target.map_err(failed)?;
        let refused = source.manifest.refused();
        let refused = refused.map(|(path, why)| (path.under(&self.source), why.to_string()));
        let plan = plan(&source.manifest, &target.manifest, &was.deployed, take);
        let deployed = next_last(&source.manifest, &was.deployed, &plan);
        // Recording the files that were read saves the next deploy from reading
        // them.
        let is_news =
            !plan.is_empty() || source.read > 0 || target.read > 0 || deployed != was.deployed;
        Ok(Some(FolderStep {
            folder: self.clone(),
            refused: refused.collect(),
            plan,
            record: is_news.then_some(Material {
                home: target.manifest,
                deployed,
            }),
        }))
    }

    pub(crate) fn roots(&self) -> Roots<'_> {
        Roots {
            source: &self.source,
            target: &self.target,
            kept: &self.kept,
        }
    }
}

impl FolderStep {
    /// Returns true if the change affects roles that use the folder. Removing
    /// files of a killed deploy does not.
    pub fn changes(&self) -> bool {
        self.plan
            .steps
            .iter()
            .any(|step| !matches!(step.action, Action::Clear))
    }

    /// Returns the paths of the files that change.
    pub(crate) fn paths(&self) -> Vec<String> {
        let steps = self.plan.steps.iter();
        let mut paths: Vec<String> = steps
            .filter(|step| !matches!(step.action, Action::Clear | Action::Keep))
            .map(|step| step.path.to_string())
            .collect();
        paths.dedup();
        paths
    }
}
