//! `cargo ansar init`: propose a description of a workspace's roles, or translate
//! one of another tool.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ansar_contract::marker::Kind;
use cargo_metadata::{Metadata, Package, Target as CargoTarget, TargetKind as Sort};
use toml_edit::{DocumentMut, Item};

use crate::error::{Error, WorkspaceError};
use crate::host::cargo::{Invocation, Surroundings};
use crate::host::process::interrupts::Interrupts;
use crate::host::{cargo, fs};
use crate::manifest;
use crate::manifest::DEFAULT_TESTS;
use crate::manifest::import::{Binary, Described, FILES, ImportError, Input, add, translate};
use crate::manifest::init::{Proposed, Skipped, Target, TargetKind, check, propose};
use crate::model::name::RoleName;
use crate::model::role_search::RolePattern;
use crate::workspace::targets::using_runtime;
use crate::workspace::{Places, Workspace};

/// The outcome of `init`.
#[derive(Debug)]
pub struct Outcome {
    /// The manifest.
    pub manifest: PathBuf,
    /// Described roles.
    pub roles: Vec<Proposed>,
    /// Roles that are commented out.
    pub programs: Vec<Proposed>,
    /// Skipped targets.
    pub skipped: Vec<Skipped>,
    /// Files of other tools at the workspace root, relative to the working
    /// directory where possible.
    pub importable: Vec<PathBuf>,
}

/// The outcome of `init --from`.
#[derive(Debug)]
pub struct Imported {
    /// The manifest.
    pub manifest: PathBuf,
    /// The translated file.
    pub file: PathBuf,
    /// Described roles.
    pub roles: Vec<Described>,
    /// Number of comments about parts without a counterpart.
    pub remarks: usize,
}

/// Writes a description into the workspace's manifest, which must have none.
/// The rest of the manifest stays unchanged, byte for byte.
///
/// Builds the binaries of packages that use the library, and recognizes
/// components among them without running them. Other binaries and integration
/// tests are neither built nor run; the roles of such binaries are commented out.
pub async fn init(
    places: &Places,
    shared: &[OsString],
    interrupts: &mut Interrupts,
) -> Result<Outcome, Error> {
    let workspace = places.needed_workspace()?;
    let failed = |error| {
        Error::Workspace(WorkspaceError::Proposal {
            manifest: workspace.manifest.clone(),
            error,
        })
    };
    check(&workspace.text).map_err(failed)?;
    let targets = tokio::select! {
        targets = targets(places, shared) => targets?,
        interrupt = interrupts.next() => return Err(Error::Interrupted(interrupt)),
    };
    let proposal = propose(&workspace.text, &targets).map_err(failed)?;
    fs::write_argument(&workspace.manifest, proposal.manifest.as_bytes())?;
    Ok(Outcome {
        importable: importable(places, &workspace),
        manifest: workspace.manifest,
        roles: proposal.roles,
        programs: proposal.programs,
        skipped: proposal.skipped,
    })
}

fn importable(places: &Places, workspace: &Workspace) -> Vec<PathBuf> {
    let files = FILES.iter().map(|name| workspace.root.join(name));
    let files = files.filter(|file| fs::is_file(file));
    files
        .map(|file| match file.strip_prefix(&places.folder) {
            Ok(relative) => relative.to_owned(),
            Err(_) => file,
        })
        .collect()
}

/// Adds the roles of another tool's file to the workspace's manifest. Existing
/// roles and everything else in it stay unchanged, byte for byte.
pub async fn import(
    places: &Places,
    shared: &[OsString],
    file: &Path,
    interrupts: &mut Interrupts,
) -> Result<Imported, Error> {
    let workspace = places.needed_workspace()?;
    let path = places.folder.join(file);
    let failed = |error| {
        Error::Workspace(WorkspaceError::Import {
            file: file.to_owned(),
            error,
        })
    };
    let text = String::from_utf8(fs::read_argument(&path)?);
    let text = text.map_err(|error| failed(ImportError::not_text(&error)))?;
    let metadata = tokio::select! {
        metadata = cargo::metadata(shared, Surroundings::of(&places.folder)) => metadata?,
        interrupt = interrupts.next() => return Err(Error::Interrupted(interrupt)),
    };
    let description = workspace.description.as_ref();
    let default = RolePattern::parse(DEFAULT_TESTS)?;
    let translation = translate(&Input {
        file: &file.display().to_string(),
        text: &text,
        bins: &binaries(&metadata, &workspace.root),
        tests: description.map_or(&default, |description| &description.tests),
        has_dot_env: fs::is_file(&workspace.root.join(".env")),
    });
    let translation = translation.map_err(failed)?;
    let roles = description.iter().flat_map(|it| &it.roles);
    let existing: Vec<(RoleName, u32)> = roles.map(|role| (role.name.clone(), role.line)).collect();
    let added = add(&workspace.text, &translation, &existing);
    let added = added.map_err(|error| {
        Error::Workspace(WorkspaceError::Proposal {
            manifest: workspace.manifest.clone(),
            error,
        })
    })?;
    manifest::read(
        &workspace.manifest,
        &manifest::parse(&workspace.manifest, &added)?,
    )?;
    fs::write_argument(&workspace.manifest, added.as_bytes())?;
    Ok(Imported {
        manifest: workspace.manifest,
        file: file.to_owned(),
        roles: translation.roles,
        remarks: translation.remarks,
    })
}

/// Returns the binaries of the workspace with the folders of their packages.
fn binaries(metadata: &Metadata, root: &Path) -> Vec<Binary> {
    let packages = metadata.workspace_packages().into_iter();
    let bins = packages.flat_map(|package| {
        let folder = package.manifest_path.parent();
        let folder = folder.and_then(|folder| folder.as_std_path().strip_prefix(root).ok());
        let folder = folder.map(Path::to_owned).unwrap_or_default();
        bin_names(package).map(move |name| Binary {
            name: name.to_owned(),
            package: package.name.clone(),
            folder: folder.clone(),
        })
    });
    bins.collect()
}

/// Returns the binaries and integration tests of the workspace with their kinds.
async fn targets(places: &Places, shared: &[OsString]) -> Result<Vec<Target>, Error> {
    let metadata = cargo::metadata(shared, Surroundings::of(&places.folder)).await?;
    let using = using_runtime(&metadata);
    let mut targets = Vec::new();
    for group in groups(&metadata, &using) {
        let mut arguments = shared.to_vec();
        arguments.push("--bins".into());
        let packages = group.iter();
        arguments.extend(packages.flat_map(|package| ["-p".into(), package.name.as_str().into()]));
        let invocation = Invocation {
            is_test: false,
            arguments,
        };
        let (built, leaving) =
            cargo::build(&[invocation], Surroundings::of(&places.folder), None).await?;
        if let Some(leaving) = leaving {
            leaving.gone().await?;
        }
        // Read now: the next group may overwrite binaries of the same name.
        for package in group {
            for name in bin_names(package) {
                let made = built.made.get(name).into_iter().flatten();
                let mut made = made.filter(|made| made.manifest == package.manifest_path);
                let kind = match made.next() {
                    None => TargetKind::NotBuilt,
                    Some(made) => match fs::marker(&made.path)? {
                        Kind::Component(_) | Kind::Wrapped { .. } => TargetKind::Component,
                        Kind::Script | Kind::Other => TargetKind::Other,
                    },
                };
                targets.push(target(package, name, kind));
            }
        }
    }
    for package in metadata.workspace_packages() {
        if !using.contains(package.name.as_str()) {
            let names = bin_names(package);
            targets.extend(names.map(|name| target(package, name, TargetKind::Foreign)));
        }
        targets.extend(integration_tests(package)?);
    }
    Ok(targets)
}

/// Returns the integration tests of a package.
fn integration_tests(package: &Package) -> Result<Vec<Target>, Error> {
    let mut tests = of_sort(package, &Sort::Test).peekable();
    if tests.peek().is_none() {
        return Ok(Vec::new());
    }
    let manifest = fs::read_argument(package.manifest_path.as_std_path())?;
    let manifest = String::from_utf8_lossy(&manifest);
    // Cargo has read it already.
    let manifest: Option<DocumentMut> = manifest.parse().ok();
    let tables = manifest.as_ref().and_then(|it| it.get("test"));
    let tables = tables.and_then(Item::as_array_of_tables);
    let own_harness: BTreeSet<&str> = (tables.into_iter().flatten())
        .filter(|table| table.get("harness").and_then(Item::as_bool) == Some(false))
        .filter_map(|table| table.get("name")?.as_str())
        .collect();
    let tests = tests.map(|test| {
        let kind = if own_harness.contains(test.name.as_str()) {
            TargetKind::TestWithoutHarness
        } else if test.required_features.is_empty() {
            TargetKind::Test
        } else {
            TargetKind::TestWithFeatures
        };
        target(package, &test.name, kind)
    });
    Ok(tests.collect())
}

fn target(package: &Package, name: &str, kind: TargetKind) -> Target {
    Target {
        package: package.name.clone(),
        name: name.to_owned(),
        kind,
    }
}

fn bin_names(package: &Package) -> impl Iterator<Item = &str> {
    of_sort(package, &Sort::Bin).map(|target| target.name.as_str())
}

fn of_sort<'p>(package: &'p Package, sort: &Sort) -> impl Iterator<Item = &'p CargoTarget> {
    let targets = package.targets.iter();
    targets.filter(move |target| target.kind.contains(sort))
}

/// Returns the packages to build, in groups that can be built together. Two
/// packages of a group never have binaries of the same name, which would
/// overwrite each other.
fn groups<'a>(metadata: &'a Metadata, using: &BTreeSet<&str>) -> Vec<Vec<&'a Package>> {
    let mut groups: BTreeMap<usize, (BTreeSet<&str>, Vec<&Package>)> = BTreeMap::new();
    for package in metadata.workspace_packages() {
        let mut names = bin_names(package).peekable();
        if !using.contains(package.name.as_str()) || names.peek().is_none() {
            continue;
        }
        let names: BTreeSet<&str> = names.collect();
        let mut free = 0..;
        let fits = |group: &usize| {
            let group = groups.get(group);
            group.is_none_or(|(taken, _)| taken.is_disjoint(&names))
        };
        let group = free.find(fits).unwrap_or_default();
        let (taken, packages) = groups.entry(group).or_default();
        taken.extend(names);
        packages.push(package);
    }
    groups.into_values().map(|(_, packages)| packages).collect()
}
