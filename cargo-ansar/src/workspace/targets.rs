//! The executables that roles need, and the targets of a workspace that make them.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{CrateType, Metadata, TargetKind};

use crate::error::{Error, WorkspaceError};
use crate::home::role::{Entry, Origin};
use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::test_target::{TargetName, TestTarget};
use crate::workspace::{Workspace, description_of};

/// The library that makes a bin a component.
const RUNTIME: &str = "ansar-runtime";

/// Executables to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Binaries and examples, with their package where the manifest names one.
    pub bins: BTreeMap<ExecutableName, Option<String>>,
    /// Test targets, by the name of their executable.
    pub tests: BTreeMap<ExecutableName, TestTarget>,
}

impl Wanted {
    /// Returns the names of all executables.
    pub fn names(&self) -> impl Iterator<Item = &ExecutableName> {
        self.bins.keys().chain(self.tests.keys())
    }
}

/// Packages that have a binary of each name; none for a name that is not a
/// binary.
pub type Bins = BTreeMap<ExecutableName, Vec<String>>;

/// Returns the executables of the home's roles, including those added by hand,
/// and the analyzer.
pub fn wanted(workspace: Option<&Workspace>, entries: &BTreeMap<RoleName, Entry>) -> Wanted {
    let by_hand = entries
        .values()
        .filter(|entry| entry.origin == Origin::Hand);
    let by_hand = by_hand.filter(|entry| entry.properties.test.is_none());
    let bins = by_hand.filter_map(|entry| Some((entry.deployed()?.clone(), None)));
    let mut wanted = Wanted {
        bins: bins.collect(),
        tests: BTreeMap::new(),
    };
    let description = description_of(workspace);
    for spec in description
        .iter()
        .flat_map(|description| &description.roles)
        .filter(|spec| !spec.properties.is_program())
    {
        let executable = spec.executable.clone();
        match &spec.properties.test {
            Some(target) => drop(wanted.tests.insert(executable, target.clone())),
            None => drop(wanted.bins.insert(executable, spec.package.clone())),
        }
    }
    let analyzer = description.and_then(|description| description.analyzer.clone());
    if let Some(analyzer) = analyzer {
        wanted.bins.entry(analyzer).or_insert(None);
    }
    wanted
}

/// Wanted targets of the workspace.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub(super) bins: Bins,
    /// Examples whose names are no binaries, with their packages. They are not
    /// remembered for the next build.
    pub(super) examples: Bins,
}

/// Returns the packages of the workspace that have the wanted binaries, or the
/// wanted examples.
pub(super) fn locate(metadata: &Metadata, wanted: &Wanted) -> Targets {
    let mut targets = Targets {
        bins: wanted
            .bins
            .keys()
            .map(|name| (name.clone(), Vec::new()))
            .collect(),
        examples: Bins::new(),
    };
    for package in metadata.workspace_packages() {
        for target in &package.targets {
            let Ok(name) = target.name.parse::<ExecutableName>() else {
                continue;
            };
            let Some(bins) = targets.bins.get_mut(&name) else {
                continue;
            };
            // An example may be a library instead of an executable.
            let is_example = target.kind == [TargetKind::Example]
                && target.crate_types.contains(&CrateType::Bin);
            if target.kind.contains(&TargetKind::Bin) {
                bins.push(package.name.clone());
            } else if is_example {
                let packages = targets.examples.entry(name).or_default();
                packages.push(package.name.clone());
            }
        }
    }
    let bins = &targets.bins;
    targets
        .examples
        .retain(|name, _| bins.get(name).is_none_or(Vec::is_empty));
    targets
}

/// Checks that Cargo finds the workspace and its wanted test targets.
pub(super) fn check_found(
    workspace: &Workspace,
    wanted: &Wanted,
    metadata: &Metadata,
) -> Result<(), Error> {
    if metadata.workspace_root != workspace.root {
        return Err(Error::Workspace(WorkspaceError::Manifest {
            manifest: workspace.manifest.clone(),
            reason: format!(
                "Cargo finds workspace `{}` instead",
                metadata.workspace_root
            ),
        }));
    }
    for target in wanted.tests.values() {
        check_test(metadata, target)?;
    }
    Ok(())
}

/// Checks that the workspace has a test target.
fn check_test(metadata: &Metadata, test: &TestTarget) -> Result<(), Error> {
    let kind = match &test.target {
        TargetName::Test(_) => TargetKind::Test,
        TargetName::Bin(_) => TargetKind::Bin,
        // Cargo explains it if there is none.
        TargetName::Lib => return Ok(()),
    };
    let packages = metadata.workspace_packages().into_iter();
    let packages = packages.filter(|package| {
        let named = test.package.as_ref();
        named.is_none_or(|named| *named == *package.name.as_str())
    });
    let targets = packages.flat_map(|package| &package.targets);
    let targets = targets.filter(|target| target.kind.contains(&kind));
    let names: Vec<&str> = targets.map(|target| target.name.as_str()).collect();
    let name = match &test.target {
        TargetName::Test(name) | TargetName::Bin(name) => name.as_str(),
        TargetName::Lib => return Ok(()),
    };
    if names.contains(&name) {
        return Ok(());
    }
    Err(Error::Workspace(WorkspaceError::NoTestTarget {
        test: test.clone(),
        meant: did_you_mean(name, names.iter().copied()).map(str::to_owned),
    }))
}

/// Returns the packages of the workspace that depend on `ansar-runtime`,
/// directly or through other packages of the workspace.
pub(crate) fn using_runtime(metadata: &Metadata) -> BTreeSet<&str> {
    let mut using = BTreeSet::new();
    loop {
        let before = using.len();
        for package in metadata.workspace_packages() {
            let mut needs = package.dependencies.iter().map(|needed| &*needed.name);
            if needs.any(|name| name == RUNTIME || using.contains(name)) {
                using.insert(package.name.as_str());
            }
        }
        if using.len() == before {
            return using;
        }
    }
}
