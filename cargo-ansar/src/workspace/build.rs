//! `cargo ansar build`: build the component bins that the home needs, nothing
//! else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, TargetKind};

use crate::error::Error;
use crate::home::role::{Entry, Origin};
use crate::home::{Home, HomeError};
use crate::host::cargo;
use crate::host::cargo::{Artifacts, CargoError, Leaving, Messages};
use crate::host::process::interrupts::Interrupts;
use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, RoleName};
use crate::workspace::{Places, Workspace};

/// The library that makes a bin a component.
const RUNTIME: &str = "ansar-runtime";

/// How Cargo is to build.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Flags of `cargo build` and of `cargo metadata`.
    pub shared: Vec<OsString>,
    /// Flags of `cargo build` alone.
    pub build: Vec<OsString>,
    /// The packages in which bins are looked for; all where empty.
    pub packages: Vec<String>,
    /// What is wanted beside the executables of roles.
    pub also: Vec<ExecutableName>,
    /// Who is told the messages of Cargo, in JSON.
    pub messages: Option<Messages>,
}

/// The executables that are wanted, with their package where it is said.
pub type Wanted = BTreeMap<ExecutableName, Option<String>>;

/// Where bins are: the packages that have one of the name.
pub type Bins = BTreeMap<ExecutableName, Vec<String>>;

/// What came of a build.
#[derive(Debug)]
pub struct Built {
    /// The file of each wanted executable that the workspace builds.
    pub artifacts: BTreeMap<ExecutableName, PathBuf>,
    /// The names of the crates that were compiled for it.
    pub compiled: BTreeSet<String>,
    /// The manifests of the packages of these crates.
    pub packages: BTreeSet<PathBuf>,
    /// Where the wanted ones are, to spare the next build a question.
    pub bins: Bins,
    /// What Cargo says of the workspace, where it had to be asked.
    pub metadata: Option<Metadata>,
    /// Cargo, where it is not gone yet.
    pub leaving: Option<Leaving>,
}

/// Waits until Cargo is gone, which holds its locks until then.
pub async fn gone(leaving: Option<Leaving>, interrupts: &mut Interrupts) -> Result<(), Error> {
    let Some(leaving) = leaving else {
        return Ok(());
    };
    tokio::select! {
        gone = leaving.gone() => Ok(gone?),
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// The same, once what was built has been used.
pub async fn gone_afterwards(
    leaving: Option<Leaving>,
    interrupts: &mut Interrupts,
) -> Result<(), Error> {
    let gone = gone(leaving, interrupts).await;
    gone.map_err(|error| match error {
        Error::Cargo(error) => Error::CargoAfterwards(error),
        other => other,
    })
}

impl Built {
    /// The bin of the workspace whose name is most like this one, among those
    /// that may be components.
    pub fn nearest_bin(&self, name: &ExecutableName) -> Option<String> {
        let metadata = self.metadata.as_ref()?;
        let using = using_runtime(metadata);
        let mut packages = metadata.workspace_packages();
        packages.retain(|package| using.contains(package.name.as_str()));
        let targets = packages.iter().flat_map(|package| &package.targets);
        let bins = targets.filter(|target| target.kind.contains(&TargetKind::Bin));
        did_you_mean(name.as_str(), bins.map(|target| target.name.as_str())).map(str::to_owned)
    }
}

/// The packages that depend on the library, or on another one of the workspace that does.
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

/// The command: builds the executables of the home's roles, described ones and
/// those added by hand.
pub async fn command(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
) -> Result<(), Error> {
    let workspace = places.needed_workspace()?;
    let entries = match Home::open(&places.home(Some(&workspace))) {
        Ok(home) => home.entries()?,
        // The description alone says what is needed.
        Err(HomeError::NotThere(_)) => {
            workspace.needed_description()?;
            BTreeMap::new()
        }
        Err(error) => return Err(error.into()),
    };
    let wanted = wanted(Some(&workspace), &entries);
    build(
        &workspace,
        &wanted,
        &Bins::new(),
        options,
        &places.folder,
        interrupts,
    )
    .await?;
    Ok(())
}

/// The executables that the home's roles run, described ones and others, and
/// the analyzer of what they find.
pub fn wanted(workspace: Option<&Workspace>, entries: &BTreeMap<RoleName, Entry>) -> Wanted {
    let by_hand = entries
        .values()
        .filter(|entry| entry.origin == Origin::Hand);
    let mut wanted: Wanted = by_hand
        .map(|entry| (entry.executable.clone(), None))
        .collect();
    let description = workspace.and_then(|workspace| workspace.description.as_ref());
    for spec in description
        .iter()
        .flat_map(|description| &description.roles)
    {
        wanted.insert(spec.executable.clone(), spec.package.clone());
    }
    let analyzer = description.and_then(|description| description.analyzer.clone());
    if let Some(analyzer) = analyzer {
        wanted.entry(analyzer).or_insert(None);
    }
    wanted
}

/// Builds what is wanted, as far as the workspace has it; what it does not
/// have is missing from the result, and no error.
///
/// `remembered` is where bins were at the last build. Cargo is asked where they
/// are now only where the build does not show it, beside the build where it
/// can be, and what was wrong is built again. An interrupt ends Cargo.
pub async fn build(
    workspace: &Workspace,
    wanted: &Wanted,
    remembered: &Bins,
    options: &Options,
    folder: &Path,
    interrupts: &mut Interrupts,
) -> Result<Built, Error> {
    let mut built = ahead(workspace, wanted, remembered, options, folder, interrupts).await?;
    gone(built.leaving.take(), interrupts).await?;
    Ok(built)
}

/// The same, and does not wait until Cargo is gone.
pub async fn ahead(
    workspace: &Workspace,
    wanted: &Wanted,
    remembered: &Bins,
    options: &Options,
    folder: &Path,
    interrupts: &mut Interrupts,
) -> Result<Built, Error> {
    tokio::select! {
        built = build_uninterrupted(workspace, wanted, remembered, options, folder) => built,
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

async fn build_uninterrupted(
    workspace: &Workspace,
    wanted: &Wanted,
    remembered: &Bins,
    options: &Options,
    folder: &Path,
) -> Result<Built, Error> {
    let messages = options.messages.as_ref();
    let remembered: Option<Bins> = wanted
        .keys()
        .map(|name| Some((name.clone(), remembered.get(name)?.clone())))
        .collect();
    let guess = remembered.and_then(|bins| {
        let plan = plan(wanted, &bins, &options.packages).ok()?;
        Some((bins, plan))
    });
    let (metadata, guessed) = match guess {
        None => (cargo::metadata(&options.shared, folder).await?, None),
        // What is built of a whole workspace shows by itself where it is from.
        Some((bins, plan)) if plan.in_package.is_empty() && options.packages.is_empty() => {
            let built = cargo::build(&invocations(&plan, options), folder, messages).await;
            let told = built.as_ref().ok();
            if let Some(artifacts) = told.and_then(|(made, _)| answer(made, &plan, workspace)) {
                let (made, leaving) = built?;
                return Ok(Built {
                    artifacts,
                    compiled: made.compiled,
                    packages: made.packages,
                    bins,
                    metadata: None,
                    leaving,
                });
            }
            let metadata = cargo::metadata(&options.shared, folder).await?;
            (metadata, Some((plan, built)))
        }
        Some((_, plan)) => {
            let invocations = invocations(&plan, options);
            let (metadata, built) = tokio::join!(
                cargo::metadata(&options.shared, folder),
                cargo::build(&invocations, folder, messages),
            );
            (metadata?, Some((plan, built)))
        }
    };
    if metadata.workspace_root != workspace.root {
        return Err(Error::Manifest {
            manifest: workspace.manifest.clone(),
            reason: format!(
                "Cargo takes `{}` for the workspace",
                metadata.workspace_root
            ),
        });
    }
    let bins = locate(&metadata, wanted);
    let plan = plan(wanted, &bins, &options.packages)?;
    let (made, leaving) = match guessed {
        Some((guess, built)) if guess == plan => built?,
        // What was remembered was wrong, and so is whatever came of it.
        _ => cargo::build(&invocations(&plan, options), folder, messages).await?,
    };
    Ok(Built {
        artifacts: choose(&made, &plan)?,
        compiled: made.compiled,
        packages: made.packages,
        bins,
        metadata: Some(metadata),
        leaving,
    })
}

/// What was asked for, where the build itself shows that this is all there is
/// to know: every bin once, and from this workspace.
fn answer(
    built: &Artifacts,
    plan: &Plan,
    workspace: &Workspace,
) -> Option<BTreeMap<ExecutableName, PathBuf>> {
    let only = |name: &ExecutableName| match built.made.get(name.as_str())?.as_slice() {
        [made] if made.manifest.starts_with(&workspace.root) => {
            Some((name.clone(), made.path.clone()))
        }
        _ => None,
    };
    plan.anywhere.iter().map(only).collect()
}

/// What one build is asked for: bins of the whole workspace, and bins of one
/// package, which share an output path with another package's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Plan {
    anywhere: BTreeSet<ExecutableName>,
    in_package: BTreeMap<ExecutableName, String>,
}

/// Decides which bins are asked of which package.
fn plan(wanted: &Wanted, bins: &Bins, packages: &[String]) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    for (name, said) in wanted {
        let none = Vec::new();
        let all = bins.get(name).unwrap_or(&none);
        let looked_at: Vec<&String> = all
            .iter()
            .filter(|package| packages.is_empty() || packages.contains(package))
            .collect();
        let package = match said {
            Some(package) if !all.is_empty() && !all.contains(package) => {
                return Err(Error::NotInPackage {
                    executable: name.clone(),
                    package: package.clone(),
                });
            }
            Some(package) => looked_at.into_iter().find(|other| *other == package),
            None if looked_at.len() > 1 => {
                return Err(Error::Ambiguous {
                    executable: name.clone(),
                    packages: looked_at.iter().map(|other| format!("`{other}`")).collect(),
                });
            }
            None => looked_at.into_iter().next(),
        };
        // What is no bin, or not where it is looked for: perhaps the home
        // holds it.
        let Some(package) = package else {
            continue;
        };
        if all.len() > 1 {
            plan.in_package.insert(name.clone(), package.clone());
        } else {
            plan.anywhere.insert(name.clone());
        }
    }
    Ok(plan)
}

fn invocations(plan: &Plan, options: &Options) -> Vec<Vec<OsString>> {
    let flags = || options.shared.iter().chain(&options.build).cloned();
    let bin = |name: &ExecutableName| [OsString::from("--bin"), name.as_str().into()];
    let mut invocations = Vec::new();
    if !plan.anywhere.is_empty() {
        let mut arguments: Vec<OsString> = flags().collect();
        if options.packages.is_empty() {
            arguments.push("--workspace".into());
        }
        for package in &options.packages {
            arguments.extend(["-p".into(), package.into()]);
        }
        arguments.extend(plan.anywhere.iter().flat_map(bin));
        invocations.push(arguments);
    }
    for (name, package) in &plan.in_package {
        let mut arguments: Vec<OsString> = flags().collect();
        arguments.extend(["-p".into(), package.into()]);
        arguments.extend(bin(name));
        invocations.push(arguments);
    }
    invocations
}

/// The packages of the workspace that have the wanted bins.
fn locate(metadata: &Metadata, wanted: &Wanted) -> Bins {
    let mut bins: Bins = wanted
        .keys()
        .map(|name| (name.clone(), Vec::new()))
        .collect();
    for package in metadata.workspace_packages() {
        let targets = package.targets.iter();
        for target in targets.filter(|target| target.kind.contains(&TargetKind::Bin)) {
            let name = target.name.parse::<ExecutableName>();
            if let Some(packages) = name.ok().and_then(|name| bins.get_mut(&name)) {
                packages.push(package.name.to_string());
            }
        }
    }
    bins
}

/// The artifacts that were asked for; a bin that its features leave out is
/// told by its absence.
fn choose(
    artifacts: &Artifacts,
    plan: &Plan,
) -> Result<BTreeMap<ExecutableName, PathBuf>, CargoError> {
    let asked = plan.anywhere.iter().chain(plan.in_package.keys());
    asked
        .map(|name| {
            let made = artifacts
                .made
                .get(name.as_str())
                .and_then(|made| made.last());
            let made = made.ok_or_else(|| CargoError::NotBuilt {
                bin: name.to_string(),
            })?;
            Ok((name.clone(), made.path.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[(&str, Option<&str>)]) -> Wanted {
        let names = names.iter();
        names
            .map(|(name, package)| (name.parse().unwrap(), package.map(str::to_owned)))
            .collect()
    }

    fn bins(names: &[(&str, &[&str])]) -> Bins {
        let names = names.iter();
        names
            .map(|(name, packages)| {
                let packages = packages.iter().map(|&package| package.to_owned());
                (name.parse().unwrap(), packages.collect())
            })
            .collect()
    }

    fn planned(
        names: &[(&str, Option<&str>)],
        there: &[(&str, &[&str])],
        packages: &[&str],
    ) -> Result<Vec<String>, String> {
        let packages: Vec<String> = packages.iter().map(|&package| package.to_owned()).collect();
        let plan =
            plan(&wanted(names), &bins(there), &packages).map_err(|error| error.to_string())?;
        let options = Options {
            packages,
            ..Options::default()
        };
        let lines = invocations(&plan, &options).into_iter().map(|arguments| {
            let words: Vec<_> = arguments
                .iter()
                .map(|word| word.to_string_lossy())
                .collect();
            words.join(" ")
        });
        Ok(lines.collect())
    }

    #[test]
    fn bins_of_the_workspace_are_built_in_one_call() {
        let there: &[(&str, &[&str])] = &[("client", &["a"]), ("server", &["b"])];
        assert_eq!(
            planned(&[("server", None), ("client", None)], there, &[]),
            Ok(vec!["--workspace --bin client --bin server".to_owned()])
        );
    }

    #[test]
    fn a_name_that_two_packages_have_is_built_in_the_one_that_is_said() {
        let there: &[(&str, &[&str])] = &[("server", &["a", "b"])];
        assert_eq!(
            planned(&[("server", Some("b"))], there, &[]),
            Ok(vec!["-p b --bin server".to_owned()])
        );
        let error = planned(&[("server", None)], there, &[]).unwrap_err();
        assert_eq!(error, "executable `server` is a bin of `a` and of `b`");
        let error = planned(&[("server", Some("c"))], there, &[]).unwrap_err();
        assert_eq!(error, "package `c` has no bin `server`");
    }

    #[test]
    fn packages_narrow_where_bins_are_looked_for() {
        let there: &[(&str, &[&str])] = &[("client", &["a"]), ("server", &["a", "b"])];
        assert_eq!(
            planned(&[("client", None), ("server", None)], there, &["b"]),
            Ok(vec!["-p b --bin server".to_owned()])
        );
    }

    #[test]
    fn what_is_no_bin_is_not_asked_for() {
        let there: &[(&str, &[&str])] = &[("gone", &[])];
        assert_eq!(planned(&[("gone", None)], there, &[]), Ok(Vec::new()));
        assert_eq!(planned(&[("gone", Some("a"))], there, &[]), Ok(Vec::new()));
    }
}
