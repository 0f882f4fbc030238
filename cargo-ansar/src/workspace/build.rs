//! Builds the binaries that a home needs, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, TargetKind};

use crate::error::{Error, WorkspaceError};
use crate::home::{DEFAULT_NAME, Home};
use crate::host::cargo;
use crate::host::cargo::{
    Artifacts, CargoError, ExitingCargo, Invocation, MadeTest, Messages, Surroundings,
};
use crate::host::fs;
use crate::host::process::interrupts::Interrupts;
use crate::manifest::BuildOptions;
use crate::model::did_you_mean::did_you_mean;
use crate::model::name::ExecutableName;
use crate::model::placeholder::Placeholder;
use crate::model::test_target::{TargetName, TestTarget};
use crate::workspace::Workspace;
use crate::workspace::targets::{Bins, Targets, Wanted, check_found, locate, using_runtime};

/// Options for Cargo.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Flags of `cargo build` and of `cargo metadata`.
    pub shared: Vec<OsString>,
    /// Other flags of `cargo build` and `cargo check`.
    pub build: Vec<OsString>,
    /// Features to activate.
    pub features: Vec<String>,
    /// True if all features are activated.
    pub all_features: bool,
    /// True if the `default` features are not activated.
    pub no_default_features: bool,
    /// The profile; Cargo's default if unset.
    pub profile: Option<String>,
    /// Packages in which binaries are looked for; all if empty.
    pub packages: Vec<String>,
    /// Additional environment variables of Cargo.
    pub variables: Vec<(String, String)>,
    /// Executables to build in addition to those of roles.
    pub also: Vec<ExecutableName>,
    /// Receiver of Cargo's JSON messages.
    pub messages: Option<Messages>,
}

impl Options {
    /// Returns the options with those of the workspace's description.
    ///
    /// Features add to each other. A profile and packages of the command line
    /// replace those of the description. Addresses are those of the home, if
    /// there is one.
    pub fn described(&self, workspace: &Workspace, home: Option<&Home>) -> Result<Self, Error> {
        let mut options = self.clone();
        let Some(description) = &workspace.description else {
            return Ok(options);
        };
        let build = &description.build;
        options.features.extend(build.features.iter().cloned());
        options.all_features |= build.all_features;
        options.no_default_features |= build.no_default_features;
        options.profile = options.profile.or_else(|| build.profile.clone());
        if options.packages.is_empty() {
            options.packages.clone_from(&build.packages);
        }
        options.variables = variables(build, workspace, home)?;
        Ok(options)
    }

    /// Runs `cargo check` for the whole workspace, or for the chosen packages.
    pub async fn check(
        &self,
        all_targets: bool,
        folder: &Path,
        messages: Option<&Messages>,
    ) -> Result<(), CargoError> {
        let mut arguments = self.flags();
        arguments.extend(self.package_flags());
        if all_targets {
            arguments.push("--all-targets".into());
        }
        cargo::check(&arguments, self.surroundings(folder), messages).await
    }

    /// Returns the flags that do not say what is built.
    fn flags(&self) -> Vec<OsString> {
        let mut flags: Vec<OsString> = self.shared.iter().chain(&self.build).cloned().collect();
        if let Some(profile) = &self.profile {
            flags.extend(["--profile".into(), profile.into()]);
        }
        if !self.features.is_empty() {
            flags.extend(["--features".into(), self.features.join(",").into()]);
        }
        if self.all_features {
            flags.push("--all-features".into());
        }
        if self.no_default_features {
            flags.push("--no-default-features".into());
        }
        flags
    }

    fn package_flags(&self) -> Vec<OsString> {
        if self.packages.is_empty() {
            return vec!["--workspace".into()];
        }
        let packages = self.packages.iter();
        packages
            .flat_map(|package| ["-p".into(), package.into()])
            .collect()
    }

    fn surroundings<'a>(&'a self, folder: &'a Path) -> Surroundings<'a> {
        Surroundings {
            folder,
            variables: &self.variables,
        }
    }
}

/// Returns the variables of Cargo with the values of their placeholders.
fn variables(
    build: &BuildOptions,
    workspace: &Workspace,
    home: Option<&Home>,
) -> Result<Vec<(String, String)>, Error> {
    if build.env.is_empty() {
        return Ok(Vec::new());
    }
    let ports = home.map(Home::ports).transpose()?.unwrap_or_default();
    let value = |name: &str, placeholder: &Placeholder| {
        let value = match placeholder {
            Placeholder::Home => Some(match home {
                Some(home) => home.root().display().to_string(),
                None => workspace.root.join(DEFAULT_NAME).display().to_string(),
            }),
            Placeholder::Address {
                role: Some(role),
                port,
            } => ports.address(role, port).map(|it| it.to_string()),
            _ => None,
        };
        value.ok_or_else(|| {
            Error::Workspace(WorkspaceError::NoBuildValue {
                variable: name.to_owned(),
                placeholder: placeholder.to_string(),
            })
        })
    };
    let variables = build.env.iter().map(|(name, template)| {
        let text = template.resolve(&|placeholder: &Placeholder| value(name, placeholder))?;
        Ok((name.clone(), text))
    });
    variables.collect()
}

/// Result of a build.
#[derive(Debug, Default)]
pub struct Built {
    /// Path of each wanted executable that the workspace builds.
    pub artifacts: BTreeMap<ExecutableName, PathBuf>,
    /// Libraries of the workspace that took part, without the extension.
    pub libraries: Vec<PathBuf>,
    /// Names of the crates that were compiled.
    pub compiled: BTreeSet<String>,
    /// Manifests of the packages of these crates.
    pub packages: BTreeSet<PathBuf>,
    /// Packages of the wanted binaries, to be remembered for the next build.
    pub bins: Bins,
    /// The files of each test target.
    pub tests: BTreeMap<ExecutableName, BuiltTests>,
    /// Metadata of the workspace, if it was needed.
    pub metadata: Option<Metadata>,
    /// Cargo, if it still runs.
    pub leaving: Option<ExitingCargo>,
}

/// Waits for Cargo's exit, which releases its locks.
pub async fn wait_exit(
    leaving: Option<ExitingCargo>,
    interrupts: &mut Interrupts,
) -> Result<(), Error> {
    let Some(leaving) = leaving else {
        return Ok(());
    };
    tokio::select! {
        gone = leaving.gone() => Ok(gone?),
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// Waits for Cargo's exit after its output was used.
pub async fn wait_exit_after_use(
    leaving: Option<ExitingCargo>,
    interrupts: &mut Interrupts,
) -> Result<(), Error> {
    let gone = wait_exit(leaving, interrupts).await;
    gone.map_err(|error| match error {
        Error::Cargo(error) => Error::Workspace(WorkspaceError::CargoAfterwards(error)),
        other => other,
    })
}

impl Built {
    fn of(
        (made, leaving): (Artifacts, Option<ExitingCargo>),
        mut artifacts: BTreeMap<ExecutableName, PathBuf>,
        tests: BTreeMap<ExecutableName, BuiltTests>,
        bins: Bins,
        metadata: Option<Metadata>,
    ) -> Self {
        let of_tests = tests.iter();
        artifacts.extend(of_tests.map(|(name, built)| (name.clone(), built.artifact.clone())));
        Self {
            artifacts,
            libraries: made.libraries,
            compiled: made.compiled,
            packages: made.packages,
            bins,
            tests,
            metadata,
            leaving,
        }
    }

    /// Returns the binary whose name is most similar, among those of packages
    /// that use `ansar-runtime`.
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

/// Checks that no executable of a described role is the misspelt name of a
/// binary of the workspace, unless it is deployed in the home. One without a
/// similar name may be deployed later: it is a failure of its role, with a
/// verdict and a line, and the other roles run.
pub fn check_described(built: &Built, home: &Home, workspace: &Workspace) -> Result<(), Error> {
    let packages = built.metadata.iter().flat_map(Metadata::workspace_packages);
    let targets = packages.flat_map(|package| &package.targets);
    let kinds = [TargetKind::Bin, TargetKind::Example];
    let runnable = targets.filter(|target| target.kind.iter().any(|kind| kinds.contains(kind)));
    let names: BTreeSet<&str> = runnable.map(|target| target.name.as_str()).collect();
    let description = workspace.description.as_ref();
    let roles = description.iter().flat_map(|it| &it.roles);
    let roles =
        roles.filter(|spec| !spec.properties.is_program() && spec.properties.test.is_none());
    for spec in roles {
        let name = &spec.executable;
        // A build of some packages leaves out binaries of others.
        let is_known = names.contains(name.as_str()) || built.artifacts.contains_key(name);
        if is_known || fs::is_file(&home.executable(name)) {
            continue;
        }
        if let Some(meant) = did_you_mean(name.as_str(), names.iter().copied()) {
            return Err(Error::Workspace(WorkspaceError::NoBinary {
                role: spec.name.clone(),
                place: workspace.place(&spec.name),
                executable: name.clone(),
                meant: meant.to_owned(),
            }));
        }
    }
    Ok(())
}

/// Builds the wanted executables. Names that are not binaries of the workspace
/// are missing from the result.
///
/// `remembered` holds the packages of binaries at the last build. `cargo
/// metadata` runs only if the build does not confirm them, in parallel with the
/// build if possible; a wrong guess is built again. An interrupt ends Cargo.
pub async fn build(
    workspace: &Workspace,
    wanted: &Wanted,
    remembered: &Bins,
    options: &Options,
    folder: &Path,
    interrupts: &mut Interrupts,
) -> Result<Built, Error> {
    let mut built = build_ahead(workspace, wanted, remembered, options, folder, interrupts).await?;
    wait_exit(built.leaving.take(), interrupts).await?;
    Ok(built)
}

/// Builds like [`build`], but does not wait for Cargo's exit.
pub async fn build_ahead(
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
    let packages = &options.packages;
    let at = options.surroundings(folder);
    let planned = |bins: &Bins| plan(wanted, bins, packages);
    let read_metadata = || cargo::metadata(&options.shared, at);
    let run_cargo = async |plan: &Plan| {
        let invocations = invocations(plan, options);
        cargo::build(&invocations, at, options.messages.as_ref()).await
    };
    let guess = remembered_bins(wanted, remembered);
    let guess = guess.and_then(|bins| Some((planned(&bins).ok()?, bins)));
    let (metadata, guessed) = match guess {
        None => (read_metadata().await?, None),
        // A build of the whole workspace shows the packages of its binaries.
        Some((plan, bins)) if plan.in_package.is_empty() && packages.is_empty() => {
            let built = run_cargo(&plan).await;
            let done = built.as_ref().ok();
            let found = done.and_then(|(made, _)| {
                let artifacts = confirmed(made, &plan, workspace)?;
                Some((artifacts, tests(made, &plan).ok()?))
            });
            if let Some((artifacts, tests)) = found {
                return Ok(Built::of(built?, artifacts, tests, bins, None));
            }
            (read_metadata().await?, Some((plan, built)))
        }
        Some((plan, _)) => {
            let (metadata, built) = tokio::join!(read_metadata(), run_cargo(&plan));
            (metadata?, Some((plan, built)))
        }
    };
    check_found(workspace, wanted, &metadata)?;
    let Targets { bins, examples } = locate(&metadata, wanted);
    let targets = bins
        .iter()
        .chain(&examples)
        .filter(|(_, it)| !it.is_empty());
    let targets = targets.map(|(name, packages)| (name.clone(), packages.clone()));
    let mut plan = planned(&targets.collect())?;
    plan.examples = examples.into_keys().collect();
    let (made, leaving) = match guessed {
        Some((guess, built)) if guess == plan => built?,
        // The remembered packages were wrong, and so is their build.
        _ => run_cargo(&plan).await?,
    };
    let (tests, artifacts) = (tests(&made, &plan)?, choose(&made, &plan)?);
    let made = (made, leaving);
    Ok(Built::of(made, artifacts, tests, bins, Some(metadata)))
}

/// Returns the packages of the wanted binaries, if all are remembered.
fn remembered_bins(wanted: &Wanted, remembered: &Bins) -> Option<Bins> {
    let names = wanted.bins.keys();
    let bins = names.map(|name| Some((name.clone(), remembered.get(name)?.clone())));
    bins.collect()
}

/// Returns the executables if the build alone confirms the plan: every binary
/// exists once and belongs to this workspace.
fn confirmed(
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

/// Binaries to build: from the whole workspace, or from one package if several
/// have a binary of that name and would share its output path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Plan {
    anywhere: BTreeSet<ExecutableName>,
    in_package: BTreeMap<ExecutableName, String>,
    /// Names that are examples and no binaries.
    examples: BTreeSet<ExecutableName>,
    /// Test targets.
    tests: BTreeMap<ExecutableName, TestTarget>,
}

/// Decides which binaries are built from which package.
fn plan(wanted: &Wanted, bins: &Bins, packages: &[String]) -> Result<Plan, Error> {
    let mut plan = Plan {
        tests: wanted.tests.clone(),
        ..Plan::default()
    };
    for (name, named) in &wanted.bins {
        let none = Vec::new();
        let all = bins.get(name).unwrap_or(&none);
        let looked_at: Vec<&String> = all
            .iter()
            .filter(|package| packages.is_empty() || packages.contains(package))
            .collect();
        let package = match named {
            Some(package) if !all.is_empty() && !all.contains(package) => {
                return Err(Error::Workspace(WorkspaceError::NotInPackage {
                    executable: name.clone(),
                    package: package.clone(),
                }));
            }
            Some(package) => looked_at.into_iter().find(|other| *other == package),
            None if looked_at.len() > 1 => {
                return Err(Error::Workspace(WorkspaceError::Ambiguous {
                    executable: name.clone(),
                    packages: looked_at.iter().map(|other| format!("`{other}`")).collect(),
                }));
            }
            None => looked_at.into_iter().next(),
        };
        // The name is not a binary of these packages; the home may have the
        // executable.
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

fn invocations(plan: &Plan, options: &Options) -> Vec<Invocation> {
    let target = |name: &ExecutableName| {
        let is_example = plan.examples.contains(name);
        let flag = if is_example { "--example" } else { "--bin" };
        [OsString::from(flag), name.as_str().into()]
    };
    let mut invocations = Vec::new();
    let mut add = |is_test, arguments| {
        invocations.push(Invocation { is_test, arguments });
    };
    let integration = plan.tests.values().filter_map(|test| match &test.target {
        TargetName::Test(name) => Some(name),
        TargetName::Bin(_) | TargetName::Lib => None,
    });
    let integration: BTreeSet<&ExecutableName> = integration.collect();
    if !plan.anywhere.is_empty() || !integration.is_empty() {
        let mut arguments = options.flags();
        arguments.extend(options.package_flags());
        arguments.extend(plan.anywhere.iter().flat_map(target));
        let tests = integration.into_iter();
        arguments.extend(tests.flat_map(|name| ["--test".into(), name.as_str().into()]));
        add(false, arguments);
    }
    for (name, package) in &plan.in_package {
        let mut arguments = options.flags();
        arguments.extend(["-p".into(), package.into()]);
        arguments.extend(target(name));
        add(false, arguments);
    }
    // Cargo builds either a library or its tests.
    for test in plan.tests.values() {
        let target = match &test.target {
            TargetName::Test(_) => continue,
            TargetName::Bin(name) => vec!["--bin".into(), name.as_str().into()],
            TargetName::Lib => vec!["--lib".into()],
        };
        let mut arguments = options.flags();
        match &test.package {
            Some(package) => arguments.extend(["-p".into(), package.into()]),
            None => arguments.extend(options.package_flags()),
        }
        arguments.extend(target);
        add(true, arguments);
    }
    invocations
}

/// The files of a test target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltTests {
    /// The executable that Cargo built.
    pub artifact: PathBuf,
    /// The folder of its package.
    pub package: PathBuf,
}

/// Returns true if an executable is that of a test target.
fn is_of(made: &MadeTest, test: &TestTarget) -> bool {
    let is_package = test.package.as_ref();
    is_package.is_none_or(|package| *package == made.package)
        && match &test.target {
            TargetName::Test(name) => {
                made.kind.contains(&TargetKind::Test) && made.name == name.as_str()
            }
            TargetName::Bin(name) => {
                made.kind.contains(&TargetKind::Bin) && made.name == name.as_str()
            }
            TargetName::Lib => made.kind.iter().all(|kind| {
                let others = [TargetKind::Test, TargetKind::Bin, TargetKind::Example];
                !others.contains(kind)
            }),
        }
}

/// Returns the files of the planned test targets.
fn tests(
    artifacts: &Artifacts,
    plan: &Plan,
) -> Result<BTreeMap<ExecutableName, BuiltTests>, Error> {
    let built = plan.tests.iter().map(|(name, test)| {
        let made = artifacts.tests.iter().filter(|made| is_of(made, test));
        match made.collect::<Vec<_>>().as_slice() {
            [] => Err(CargoError::NotBuilt {
                bin: test.to_string(),
            }
            .into()),
            [only] => {
                let manifest = &only.made.manifest;
                let built = BuiltTests {
                    artifact: only.made.path.clone(),
                    package: manifest.parent().unwrap_or(manifest).to_owned(),
                };
                Ok((name.clone(), built))
            }
            several => Err(Error::Workspace(WorkspaceError::AmbiguousTest {
                test: test.clone(),
                packages: several.iter().map(|it| it.package.clone()).collect(),
            })),
        }
    });
    built.collect()
}

/// Returns the planned executables.
///
/// # Errors
///
/// Returns an error if Cargo left one out, because its required features are
/// not enabled.
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
        let bins = names.map(|(name, package)| (name.parse().unwrap(), package.map(str::to_owned)));
        Wanted {
            bins: bins.collect(),
            tests: BTreeMap::new(),
        }
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
        let lines = invocations(&plan, &options).into_iter().map(|invocation| {
            let words: Vec<_> = invocation
                .arguments
                .iter()
                .map(|word| word.to_string_lossy())
                .collect();
            words.join(" ")
        });
        Ok(lines.collect())
    }

    #[test]
    fn examples_are_built_unless_a_binary_has_their_name() {
        let target = |kind: &str, name: &str| {
            serde_json::json!({
                "kind": [kind], "crate_types": ["bin"], "name": name, "src_path": "/w/x.rs",
                "edition": "2024", "doc": false, "doctest": false, "test": false
            })
        };
        let metadata = serde_json::json!({
            "packages": [{
                "name": "a", "version": "0.1.0", "id": "a", "dependencies": [], "features": {},
                "manifest_path": "/w/Cargo.toml", "source": null, "targets": [
                    target("bin", "server"), target("example", "server"),
                    target("example", "demo"), target("lib", "lib"),
                ]
            }],
            "workspace_members": ["a"], "resolve": null, "workspace_root": "/w",
            "target_directory": "/w/target", "version": 1
        });
        let metadata: Metadata = serde_json::from_value(metadata).unwrap();
        let wanted = wanted(&[("demo", None), ("lib", None), ("server", None)]);
        let Targets { bins, examples } = locate(&metadata, &wanted);
        let none = Vec::<String>::new();
        assert_eq!(
            bins.values().collect::<Vec<_>>(),
            [&none, &none, &vec!["a".to_owned()]]
        );
        let mut all = bins.clone();
        all.extend(examples.clone());
        let mut plan = plan(&wanted, &all, &[]).unwrap();
        plan.examples = examples.into_keys().collect();
        let invocations = invocations(&plan, &Options::default());
        let words: Vec<_> = invocations[0]
            .arguments
            .iter()
            .map(|it| it.to_string_lossy())
            .collect();
        assert_eq!(words.join(" "), "--workspace --example demo --bin server");
    }

    fn described(text: &str, options: &Options) -> Vec<String> {
        let manifest = Path::new("/w/Cargo.toml");
        let document = crate::manifest::parse(manifest, text).unwrap();
        let workspace = Workspace {
            root: "/w".into(),
            manifest: manifest.to_owned(),
            text: text.to_owned(),
            description: crate::manifest::read(manifest, &document).unwrap(),
        };
        let options = options.described(&workspace, None).unwrap();
        let flags = options.flags().into_iter().chain(options.package_flags());
        let variables = options.variables.into_iter();
        let variables = variables.map(|(name, value)| format!("{name}={value}"));
        flags
            .map(|flag| flag.into_string().unwrap())
            .chain(variables)
            .collect()
    }

    #[test]
    fn options_of_the_description_yield_to_flags() {
        let text = "[workspace.metadata.ansar.build]\nfeatures = ['a']\nprofile = 'p'\n\
                    packages = ['x']\nno-default-features = true\nenv = { HOME_OF = '{home}' }\n";
        assert_eq!(
            described(text, &Options::default()).join(" "),
            "--profile p --features a --no-default-features -p x HOME_OF=/w/.ansar-home"
        );
        let options = Options {
            features: vec!["b".to_owned()],
            profile: Some("release".to_owned()),
            packages: vec!["y".to_owned()],
            ..Options::default()
        };
        assert_eq!(
            described(text, &options).join(" "),
            "--profile release --features b,a --no-default-features -p y HOME_OF=/w/.ansar-home"
        );
        assert_eq!(described("", &Options::default()), ["--workspace"]);
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
    fn an_ambiguous_binary_is_built_in_its_package() {
        let there: &[(&str, &[&str])] = &[("server", &["a", "b"])];
        assert_eq!(
            planned(&[("server", Some("b"))], there, &[]),
            Ok(vec!["-p b --bin server".to_owned()])
        );
        let error = planned(&[("server", None)], there, &[]).unwrap_err();
        assert_eq!(error, "executable `server` is a binary of `a` and of `b`");
        let error = planned(&[("server", Some("c"))], there, &[]).unwrap_err();
        assert_eq!(error, "package `c` has no binary `server`");
    }

    #[test]
    fn integration_tests_are_built_with_the_bins() {
        let name = |text: &str| text.parse::<ExecutableName>().unwrap();
        let test = |target, package: Option<&str>| TestTarget {
            target,
            package: package.map(str::to_owned),
        };
        let mut plan = Plan::default();
        plan.anywhere.insert(name("api"));
        for test in [
            test(TargetName::Test(name("api")), None),
            test(TargetName::Lib, Some("shop")),
            test(TargetName::Bin(name("api")), None),
        ] {
            plan.tests.insert(test.executable().unwrap(), test);
        }
        let invocations = invocations(&plan, &Options::default());
        let words = invocations.iter().map(|it| {
            let words = it.arguments.iter().map(|word| word.to_str().unwrap());
            (it.is_test, words.collect::<Vec<_>>().join(" "))
        });
        let words: Vec<_> = words.collect();
        let words: Vec<_> = words
            .iter()
            .map(|(test, words)| (*test, &**words))
            .collect();
        assert_eq!(
            words,
            [
                (false, "--workspace --bin api --test api"),
                (true, "--workspace --bin api"),
                (true, "-p shop --lib"),
            ]
        );
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
    fn names_that_are_no_binary_are_not_built() {
        let there: &[(&str, &[&str])] = &[("gone", &[])];
        assert_eq!(planned(&[("gone", None)], there, &[]), Ok(Vec::new()));
        assert_eq!(planned(&[("gone", Some("a"))], there, &[]), Ok(Vec::new()));
    }
}
