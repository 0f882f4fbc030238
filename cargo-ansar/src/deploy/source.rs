//! A folder of material: what is to be done so that it holds what the snapshot
//! has of it.

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
use crate::sync::scan::Look;

/// A folder of material, on both sides.
#[derive(Debug, Clone)]
pub struct Folder {
    /// What a person calls it: its path in the home.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// The snapshot.
    pub snapshot: PathBuf,
    /// The snapshot's.
    pub source: PathBuf,
    /// The home's.
    pub target: PathBuf,
    /// Where that is kept which gives way.
    pub kept: PathBuf,
}

/// Whose a folder of material is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A role's own: its model.
    Role(RoleName),
    /// Of all roles of an executable: its resources.
    Executable(ExecutableName),
}

/// What is to be done to a folder.
#[derive(Debug)]
pub struct FolderStep {
    /// The folder.
    pub folder: Folder,
    /// The steps, and what is left alone.
    pub plan: Plan,
    /// What the snapshot has and is never deployed, and why.
    pub refused: Vec<(PathBuf, String)>,
    /// What is to be remembered once that is done; nothing where that is known.
    pub record: Option<Material>,
}

/// From how many files on a second thread is worth its start.
const LARGE: usize = 200;

impl Folder {
    /// Returns true if the snapshot's folder is a symlink that leads out of it, or
    /// no folder.
    pub(crate) fn is_refused(&self) -> Result<bool, Error> {
        let below = self.source.strip_prefix(&self.snapshot);
        let parts: Vec<&OsStr> = below
            .map(|below| below.iter().collect())
            .unwrap_or_default();
        Ok(snapshot_layout::refusal(&self.snapshot, &parts, Kind::Folder)?.is_some())
    }

    /// Returns true if both sides are one folder. One that is inside of the other
    /// is an error.
    pub(crate) fn is_one_place(&self) -> Result<bool, Error> {
        snapshot_layout::is_one_place(&self.source, &self.target)
    }

    /// Decides; nothing where there is nothing to decide about.
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
        let [source, target] = Look::at_both(&self.source, &self.target, are_large);
        let source = source.and_then(|look| {
            let look = look.beside(&self.target, &was.home);
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
        // Recording what was read spares the next deploy from reading it.
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
    /// Whether anything changes for those who use the folder; what a killed
    /// deploy left is nobody's.
    pub fn changes(&self) -> bool {
        self.plan
            .steps
            .iter()
            .any(|step| !matches!(step.action, Action::Clear))
    }

    /// The files that change, as a person names them.
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
