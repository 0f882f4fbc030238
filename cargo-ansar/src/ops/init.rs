//! `cargo ansar init`: propose a first description for a workspace.

use std::ffi::OsString;
use std::path::PathBuf;

use cargo_metadata::TargetKind;

use super::Error;
use super::locate::Places;
use crate::host::{cargo, files};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::proposal::{Bin, Skipped, propose};

/// The library that makes a bin a component.
const RUNTIME: &str = "ansar-runtime";

/// What was described.
#[derive(Debug)]
pub struct Outcome {
    /// The manifest.
    pub manifest: PathBuf,
    /// The roles, and what they run.
    pub roles: Vec<(RoleName, ExecutableName)>,
    /// The bins that were passed over.
    pub skipped: Vec<Skipped>,
}

/// Writes a description into the workspace's manifest, which has none; the
/// rest of it stays as it is, byte for byte.
pub async fn init(places: &Places, shared: &[OsString]) -> Result<Outcome, Error> {
    let workspace = places.needed_workspace()?;
    let metadata = cargo::metadata(shared, &places.folder).await?;
    let mut bins = Vec::new();
    for package in metadata.workspace_packages() {
        let depends = |name: &str| package.dependencies.iter().any(|d| d.name == name);
        let targets = package.targets.iter();
        for target in targets.filter(|target| target.kind.contains(&TargetKind::Bin)) {
            bins.push(Bin {
                package: package.name.to_string(),
                name: target.name.clone(),
                component: depends(RUNTIME),
            });
        }
    }
    let proposal = propose(&workspace.text, &bins).map_err(|error| Error::Proposal {
        manifest: workspace.manifest.clone(),
        error,
    })?;
    let mode = files::stat(&workspace.manifest)?.mode;
    files::replace(&workspace.manifest, proposal.manifest.as_bytes(), mode)?;
    Ok(Outcome {
        manifest: workspace.manifest,
        roles: proposal.roles,
        skipped: proposal.skipped,
    })
}
