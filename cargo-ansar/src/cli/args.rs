//! What can be typed: clap definitions, and their translation to options.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::layout::Area;
use clap::{Args, Parser, Subcommand};

use crate::cli::background::{StartArgs, StatusArgs, StopArgs, SuperviseArgs};
use crate::cli::completions::CompletionsArgs;
use crate::cli::deferred::Late;
use crate::cli::encoding::EncodingArgs;
use crate::cli::general::General;
use crate::cli::man::ManArgs;
use crate::cli::materials::{DeployArgs, SnapshotArgs, WhyArgs};
use crate::cli::property::{EditArgs, GetArgs, SetArgs};
use crate::cli::query::{FolderArgs, HistoryArgs, LogArgs, ReturnedArgs};
use crate::cli::results::{MessagesArgs, ReportArgs, ResultsArgs};
use crate::cli::roles::{DeleteArgs, ListArgs, UpdateArgs};
use crate::cli::search::SearchArgs;
use crate::host::process::guardian::Ground;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::name_template::Series;
use crate::report::shell::{Form, is_attended, is_piped};
use crate::workspace::build;

/// Build, deploy, run and test a Rust application that is several processes
#[derive(Debug, Parser)]
#[command(
    name = "cargo ansar",
    bin_name = "cargo ansar",
    version,
    subcommand_required = true
)]
pub struct Cargo {
    #[command(flatten)]
    pub(super) general: General,
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Cargo {
    /// In which form data is printed. What a command of the user's prints is
    /// its own.
    pub(super) fn form(&self) -> Form {
        match &self.command {
            Command::With(_) => Form::Human,
            Command::Test(args) => args.results.messages.form(self.general.form()),
            Command::Watch(args) => args.test.results.messages.form(self.general.form()),
            Command::Check(args) => args.messages.form(self.general.form()),
            _ => self.general.form(),
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Propose a description of the workspace's roles, in its `Cargo.toml`
    Init(Late<SharedArgs>),
    /// Build the executables that the home needs, nothing else
    Build(Late<BuildArgs>),
    /// Build, deploy what changed, run the test roles, and judge
    Test(Late<TestArgs>),
    /// The same at every save, until control-c
    Watch(Late<WatchArgs>),
    /// Check the workspace with Cargo, and show what the last run found
    Check(Late<CheckArgs>),
    /// Show the last run again
    Report(Late<ReportArgs>),
    /// Run a command while the operational roles are up
    With(Late<WithArgs>),
    /// Make a home
    Create(Late<CreateArgs>),
    /// Remove a home and everything in it
    Destroy(Late<HomeArgs>),
    /// Bring the home in line with what was built and with a snapshot
    Deploy(Late<DeployAndBuildArgs>),
    /// Copy the home's materials out, to be edited and deployed
    Snapshot(Late<SnapshotArgs>),
    /// Show why a role was last started again
    Why(Late<WhyArgs>),
    /// Add roles to the home
    Add(Late<AddArgs>),
    /// List the roles of the home
    List(Late<ListArgs>),
    /// Change settings of roles
    Update(Late<UpdateArgs>),
    /// Remove roles and everything that is their own
    Delete(Late<DeleteArgs>),
    /// Print the settings of a role, or replace them
    Settings(Late<EncodingArgs>),
    /// Print the input of a role, or replace it
    Input(Late<EncodingArgs>),
    /// Print a property of a role
    Get(Late<GetArgs>),
    /// Set a property of roles
    Set(Late<SetArgs>),
    /// Set a property of a role in an editor
    Edit(Late<EditArgs>),
    /// Run roles in the foreground, to completion
    Run(Late<RunArgs>),
    /// Start roles in the background
    Start(Late<StartArgs>),
    /// Stop roles that run
    Stop(Late<StopArgs>),
    /// Stop roles in the background, and start them again
    Restart(Late<StartArgs>),
    /// Show which roles run
    Status(Late<StatusArgs>),
    /// Show the starts of a role, how long it ran and what it returned
    History(Late<HistoryArgs>),
    /// Print what a role returned, once it has
    Returned(Late<ReturnedArgs>),
    /// Print what roles have logged
    Log(Late<LogArgs>),
    /// Print where a part of a role is
    Folder(Late<FolderArgs>),
    /// Print what completes these commands in a shell
    Completions(Late<CompletionsArgs>),
    /// Write manual pages
    Man(Late<ManArgs>),
    /// The engine in the background
    #[command(hide = true)]
    Supervise(Late<SuperviseArgs>),
}

impl Command {
    /// Where a guardian stands, who leaves nothing behind: with every command
    /// that starts processes which are to end with it.
    pub(super) fn ground(&self) -> Option<Ground> {
        match self {
            // Whoever is told nothing does not know of keys, and whatever reads the
            // data may want the keys itself: a pager.
            Self::Watch(_) if is_attended() && !is_piped() => Some(Ground::AtKeys),
            Self::Build(_)
            | Self::Test(_)
            | Self::Watch(_)
            | Self::Check(_)
            | Self::With(_)
            | Self::Deploy(_)
            | Self::Add(_)
            | Self::Update(_)
            | Self::Run(_)
            | Self::Start(_) => Some(Ground::Here),
            Self::Settings(args) | Self::Input(args) => args.replaces().then_some(Ground::Here),
            Self::Supervise(args) => Some(args.ground()),
            // An editor is in the foreground with this command, not below it.
            Self::Edit(_)
            | Self::Init(_)
            | Self::Create(_)
            | Self::Destroy(_)
            | Self::List(_)
            | Self::Delete(_)
            | Self::Get(_)
            | Self::Set(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Status(_)
            | Self::History(_)
            | Self::Report(_)
            | Self::Returned(_)
            | Self::Log(_)
            | Self::Folder(_)
            | Self::Snapshot(_)
            | Self::Why(_)
            | Self::Completions(_)
            | Self::Man(_) => None,
        }
    }

    /// The home that is named without a flag.
    pub(super) fn home(&self) -> Option<&PathBuf> {
        match self {
            Self::Create(args) => args.home.as_ref(),
            Self::Destroy(args) => args.home.as_ref(),
            Self::Add(args) => args.home.as_ref(),
            _ => None,
        }
    }

    /// Returns true if roles are not to run, though the command is one that runs
    /// some.
    pub(super) fn runs_nothing(&self) -> bool {
        match self {
            Self::Test(args) => args.list || args.no_run,
            Self::Watch(args) => args.test.list || args.test.no_run,
            _ => false,
        }
    }

    /// Where settings of a component that were among the arguments go.
    pub(super) fn settings(&mut self) -> Option<&mut Vec<(String, String)>> {
        match self {
            Self::Add(args) => Some(&mut args.settings),
            Self::Update(args) => Some(&mut args.settings),
            Self::Run(args) => Some(&mut args.settings),
            Self::Start(args) | Self::Restart(args) => Some(&mut args.settings),
            Self::Test(args) => Some(&mut args.settings),
            Self::Watch(args) => Some(&mut args.test.settings),
            _ => None,
        }
    }
}

/// Cargo's flags that do not change what is built.
#[derive(Debug, Default, Args)]
pub struct SharedArgs {
    /// Use `Cargo.lock` as it is
    #[arg(long, help_heading = "Build")]
    locked: bool,
    /// Do not use the network
    #[arg(long, help_heading = "Build")]
    offline: bool,
    /// `--locked` and `--offline`
    #[arg(long, help_heading = "Build")]
    frozen: bool,
}

impl SharedArgs {
    pub(super) fn shared(&self, general: &General) -> Vec<OsString> {
        let mut flags = general.manifest_flag();
        for (given, flag) in [
            (self.locked, "--locked"),
            (self.offline, "--offline"),
            (self.frozen, "--frozen"),
        ] {
            if given {
                flags.push(flag.into());
            }
        }
        flags
    }
}

/// Cargo's flags for a build.
#[derive(Debug, Default, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    shared: SharedArgs,
    /// Look for executables in this package only
    #[arg(short, long, value_name = "SPEC", help_heading = "Build")]
    package: Vec<String>,
    /// Build with optimizations
    #[arg(short, long, conflicts_with = "profile", help_heading = "Build")]
    release: bool,
    /// Build with this profile
    #[arg(long, value_name = "NAME", help_heading = "Build")]
    profile: Option<String>,
    #[command(flatten, next_help_heading = "Build")]
    features: clap_cargo::Features,
    /// Where Cargo builds
    #[arg(long, value_name = "DIRECTORY", help_heading = "Build")]
    target_dir: Option<PathBuf>,
    /// How many jobs Cargo runs at once
    #[arg(long, value_name = "N", help_heading = "Build")]
    build_jobs: Option<NonZero<usize>>,
}

impl BuildArgs {
    pub(super) fn options(&self, general: &General) -> build::Options {
        let mut flags: Vec<OsString> = Vec::new();
        if self.release {
            flags.push("--release".into());
        }
        let mut valued = |flag: &str, value: Option<OsString>| {
            flags.extend(value.into_iter().flat_map(|value| [flag.into(), value]));
        };
        valued("--profile", self.profile.as_ref().map(Into::into));
        valued("--target-dir", self.target_dir.as_ref().map(Into::into));
        let jobs = self.build_jobs.map(|jobs| jobs.to_string().into());
        valued("--jobs", jobs);
        let features = &self.features.features;
        valued(
            "--features",
            (!features.is_empty()).then(|| features.join(",").into()),
        );
        if self.features.all_features {
            flags.push("--all-features".into());
        }
        if self.features.no_default_features {
            flags.push("--no-default-features".into());
        }
        flags.extend(general.color_flag());
        if general.quiet {
            flags.push("--quiet".into());
        }
        build::Options {
            shared: self.shared.shared(general),
            build: flags,
            packages: self.package.clone(),
            also: Vec::new(),
            messages: None,
        }
    }
}

/// Arguments of `deploy`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a folder: what Cargo builds, and the configured snapshot. \
                        A storage path alone: materials only. -f stops roles that it \
                        affects, and starts them again."
)]
pub struct DeployAndBuildArgs {
    #[command(flatten)]
    pub(super) own: DeployArgs,
    #[command(flatten)]
    pub(super) build: BuildArgs,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every `--name=value` behind `--` is a setting for this run, which all these \
                  test roles are given."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct TestArgs {
    #[command(flatten)]
    pub(super) search: SearchArgs,
    /// How long a test role may take, tries and attempts included, as in `30s`
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time::time)]
    pub(super) timeout: Option<Duration>,
    /// How many test roles run at once [default: all]
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<NonZero<usize>>,
    /// End everything at the first failure
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// How often a test role that failed is run again, once the others have ended
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<u32>,
    /// How long a test role may run before that is told [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time::time)]
    pub(super) slow_timeout: Option<Duration>,
    /// Run only the roles that did not pass the last time, and all once they do
    #[arg(long, conflicts_with = "list")]
    pub(super) failed: bool,
    /// Give the reports to this executable, and print its result
    #[arg(long, value_name = "EXECUTABLE")]
    pub(super) test_analyzer: Option<ExecutableName>,
    /// Build and deploy, and run nothing
    #[arg(long, conflicts_with = "list")]
    pub(super) no_run: bool,
    /// List the test roles, and do nothing
    #[arg(long)]
    pub(super) list: bool,
    #[command(flatten)]
    pub(super) results: ResultsArgs,
    #[command(flatten)]
    pub(super) build: BuildArgs,
    #[arg(skip)]
    pub(super) settings: Vec<(String, String)>,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Look for changes at this interval [default: 500ms] instead of being told
    /// of them, for file systems that do not report changes
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        default_missing_value = "500ms",
        value_parser = crate::cli::time::time
    )]
    pub(super) poll: Option<Duration>,
    #[command(flatten)]
    pub(super) test: TestArgs,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Without `--last` it is `cargo check`.")]
pub struct CheckArgs {
    /// And what the last run found
    #[arg(long)]
    pub(super) last: bool,
    /// Check all targets, tests and examples too
    #[arg(long, help_heading = "Build")]
    pub(super) all_targets: bool,
    #[command(flatten)]
    pub(super) messages: MessagesArgs,
    #[command(flatten)]
    pub(super) build: BuildArgs,
}

/// Arguments of `with`.
#[derive(Debug, Args)]
pub struct WithArgs {
    #[command(flatten)]
    pub(super) search: SearchArgs,
    /// What to run, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
    #[command(flatten)]
    pub(super) build: BuildArgs,
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Where [default: as for `--home-path`]
    pub(super) home: Option<PathBuf>,
    /// Use the executables in this folder, in place
    #[arg(long, value_name = "PATH")]
    redirect_bin: Option<PathBuf>,
    /// Keep locks in this folder
    #[arg(long, value_name = "PATH")]
    redirect_lock: Option<PathBuf>,
    /// Keep properties in this folder
    #[arg(long, value_name = "PATH")]
    redirect_entry: Option<PathBuf>,
    /// Keep settings in this folder
    #[arg(long, value_name = "PATH")]
    redirect_settings: Option<PathBuf>,
    /// Keep input in this folder
    #[arg(long, value_name = "PATH")]
    redirect_input: Option<PathBuf>,
    /// Keep logs in this folder
    #[arg(long, value_name = "PATH")]
    redirect_logs: Option<PathBuf>,
    /// Keep resources in this folder
    #[arg(long, value_name = "PATH")]
    redirect_resource: Option<PathBuf>,
    /// Keep temporary files in this folder
    #[arg(long, value_name = "PATH")]
    redirect_tmp: Option<PathBuf>,
    /// Keep models in this folder
    #[arg(long, value_name = "PATH")]
    redirect_model: Option<PathBuf>,
}

impl CreateArgs {
    pub(super) fn redirects(&self) -> BTreeMap<Area, PathBuf> {
        let all = [
            (Area::Bin, &self.redirect_bin),
            (Area::Lock, &self.redirect_lock),
            (Area::Entry, &self.redirect_entry),
            (Area::Settings, &self.redirect_settings),
            (Area::Input, &self.redirect_input),
            (Area::Logs, &self.redirect_logs),
            (Area::Resource, &self.redirect_resource),
            (Area::Tmp, &self.redirect_tmp),
            (Area::Model, &self.redirect_model),
        ];
        let given = all.into_iter();
        given
            .filter_map(|(area, path)| Some((area, path.clone()?)))
            .collect()
    }
}

/// Arguments of a command about a whole home.
#[derive(Debug, Args)]
pub struct HomeArgs {
    /// Which [default: as for `--home-path`]
    pub(super) home: Option<PathBuf>,
}

/// Arguments of `add`.
#[derive(Debug, Args)]
#[command(
    after_help = "Any other `--name=value` is a setting of the component, \
                        and so is everything behind `--`."
)]
pub struct AddArgs {
    /// What the roles run
    pub(super) executable: String,
    /// Their names, with `{executable}`, `{number}` and `{uuid}`
    #[arg(default_value = "{executable}-{number}")]
    pub(super) role: String,
    /// Where [default: as for `--home-path`]
    pub(super) home: Option<PathBuf>,
    /// The first number
    #[arg(long, default_value_t = 0, value_name = "N")]
    start: u64,
    /// How many roles
    #[arg(long, default_value_t = 1, value_name = "N")]
    count: u64,
    /// What is added to the number each time
    #[arg(long, default_value_t = 1, value_name = "N")]
    step: u64,
    /// Take settings from FILE
    #[arg(long, value_name = "FILE")]
    pub(super) settings_file: Option<PathBuf>,
    /// Take the input from FILE
    #[arg(long, value_name = "FILE")]
    pub(super) input_file: Option<PathBuf>,
    #[arg(skip)]
    pub(super) settings: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) build: BuildArgs,
}

impl AddArgs {
    pub(super) fn series(&self) -> Series {
        Series {
            start: self.start,
            count: self.count,
            step: self.step,
        }
    }
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every `--name=value` behind `--` is a setting for this run, which all these \
                  roles are given."
)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) search: SearchArgs,
    /// Look for sources in this folder first
    #[arg(long, value_name = "DIR")]
    pub(super) code_path: Option<PathBuf>,
    /// Print what the reports say instead of the results
    #[arg(long)]
    pub(super) test_run: bool,
    /// Give the reports to this executable; its result is the result
    #[arg(long, value_name = "EXECUTABLE")]
    pub(super) test_analyzer: Option<ExecutableName>,
    /// Stop all others when this role has ended
    #[arg(long, value_name = "ROLE")]
    pub(super) main_role: Option<RoleName>,
    #[arg(skip)]
    pub(super) settings: Vec<(String, String)>,
}
