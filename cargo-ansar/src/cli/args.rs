//! Definitions of commands and their arguments, and their translation to
//! options.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::layout::Area;
use clap::{Args, Parser, Subcommand};

use crate::cli::background::{StartArgs, StatusArgs, StopArgs, SuperviseArgs};
use crate::cli::completions::CompletionsArgs;
use crate::cli::deferred::Deferred;
use crate::cli::doctor::DoctorArgs;
use crate::cli::encoding::EncodingArgs;
use crate::cli::general::General;
use crate::cli::man::ManArgs;
use crate::cli::materials::{DeployArgs, SnapshotArgs, WhyArgs};
use crate::cli::property::{EditArgs, GetArgs, SetArgs};
use crate::cli::query::{AddressArgs, FolderArgs, HistoryArgs, LogArgs, ReturnedArgs};
use crate::cli::results::{MessagesArgs, ReportArgs, ResultsArgs};
use crate::cli::roles::{DeleteArgs, ListArgs, UpdateArgs};
use crate::cli::search::SearchArgs;
#[cfg(feature = "ui")]
use crate::cli::ui::UiArgs;
use crate::host::process::guardian::SpawnMode;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::name_template::Series;
use crate::model::partition::Partition;
use crate::model::remote::DriverName;
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
    /// Returns the form in which data is printed. `with` passes the output of
    /// the user's command on as it is.
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
    /// Describe the workspace's roles in its `Cargo.toml`
    Init(Deferred<InitArgs>),
    /// Build the executables of the roles, without deploying them
    Build(Deferred<BuildArgs>),
    /// Build, deploy what changed, and run the tests
    Test(Deferred<TestArgs>),
    /// Re-run tests on every change
    Watch(Deferred<WatchArgs>),
    /// Check the workspace with Cargo, and show what the last run found
    Check(Deferred<CheckArgs>),
    /// Show the results of the last run
    Report(Deferred<ReportArgs>),
    /// Run a command while the operational roles run
    With(Deferred<WithArgs>),
    /// Create a home
    Create(Deferred<CreateArgs>),
    /// Remove a home and everything in it
    Destroy(Deferred<HomeArgs>),
    /// Deploy executables and materials that changed to the home
    Deploy(Deferred<DeployAndBuildArgs>),
    /// Copy the materials of the home to a folder, to edit and deploy them
    Snapshot(Deferred<SnapshotArgs>),
    /// Show why a role was last restarted
    Why(Deferred<WhyArgs>),
    /// Add roles to the home
    Add(Deferred<AddArgs>),
    /// List the roles of the home
    List(Deferred<ListArgs>),
    /// Change settings of roles
    Update(Deferred<UpdateArgs>),
    /// Remove roles with all their files
    Delete(Deferred<DeleteArgs>),
    /// Print or replace the settings of a role
    Settings(Deferred<EncodingArgs>),
    /// Print or replace the input of a role
    Input(Deferred<EncodingArgs>),
    /// Show the options in force, and where they come from
    Config(Deferred<ConfigArgs>),
    /// Check the system, the home and the workspace
    Doctor(Deferred<DoctorArgs>),
    /// Print a property of a role
    Get(Deferred<GetArgs>),
    /// Set a property of roles
    Set(Deferred<SetArgs>),
    /// Edit a property of a role in an editor
    Edit(Deferred<EditArgs>),
    /// Run roles in the foreground until they end
    Run(Deferred<RunArgs>),
    /// Start roles in the background
    Start(Deferred<StartArgs>),
    /// Stop running roles
    Stop(Deferred<StopArgs>),
    /// Restart roles in the background
    Restart(Deferred<StartArgs>),
    /// Show which roles run
    Status(Deferred<StatusArgs>),
    /// Show roles, logs and the last run while they change
    #[cfg(feature = "ui")]
    Ui(Deferred<UiArgs>),
    /// Show when a role ran and what it returned
    History(Deferred<HistoryArgs>),
    /// Wait for a role to end, and print what it returned
    Returned(Deferred<ReturnedArgs>),
    /// Print the logs of roles
    Log(Deferred<LogArgs>),
    /// Print the path of a role's folder or file
    Folder(Deferred<FolderArgs>),
    /// Print the address that a role listens on
    Address(Deferred<AddressArgs>),
    /// Print a completion script for a shell
    Completions(Deferred<CompletionsArgs>),
    /// Write manual pages
    Man(Deferred<ManArgs>),
    /// Run a shard for a command on another machine
    #[command(hide = true)]
    Agent(Deferred<AgentArgs>),
    /// Run the engine of the background roles
    #[command(hide = true)]
    Supervise(Deferred<SuperviseArgs>),
}

impl Command {
    /// Returns how the guardian starts; unset for commands that start no
    /// process which must end with them.
    pub(super) fn spawn_mode(&self) -> Option<SpawnMode> {
        match self {
            // Without messages, the keys are not announced; and a program that
            // reads the data, such as a pager, may need the keys itself.
            #[cfg(feature = "ui")]
            Self::Watch(args) if args.ui => None,
            Self::Watch(args) if args.attached => Some(SpawnMode::Attached),
            Self::Watch(_) if is_attended() && !is_piped() => Some(SpawnMode::Interactive),
            Self::Test(args) if args.on.is_some() => Some(SpawnMode::Placing),
            Self::Build(_)
            | Self::Test(_)
            | Self::Watch(_)
            | Self::Check(_)
            | Self::With(_)
            | Self::Deploy(_)
            | Self::Add(_)
            | Self::Update(_)
            | Self::Run(_)
            | Self::Start(_) => Some(SpawnMode::Foreground),
            Self::Settings(args) | Self::Input(args) => {
                args.replaces().then_some(SpawnMode::Foreground)
            }
            Self::Supervise(args) => Some(args.spawn_mode()),
            Self::Agent(_) => Some(SpawnMode::Streaming),
            // An editor is in the foreground with this command, not below it.
            Self::Edit(_)
            | Self::Init(_)
            | Self::Create(_)
            | Self::Destroy(_)
            | Self::List(_)
            | Self::Delete(_)
            | Self::Get(_)
            | Self::Config(_)
            | Self::Doctor(_)
            | Self::Set(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Status(_)
            | Self::History(_)
            | Self::Report(_)
            | Self::Returned(_)
            | Self::Log(_)
            | Self::Folder(_)
            | Self::Address(_)
            | Self::Snapshot(_)
            | Self::Why(_)
            | Self::Completions(_)
            | Self::Man(_) => None,
            #[cfg(feature = "ui")]
            Self::Ui(_) => None,
        }
    }

    /// Returns true if the command draws on the whole screen.
    #[cfg(feature = "ui")]
    pub(super) fn takes_screen(&self) -> bool {
        match self {
            Self::Ui(args) => args.takes_screen(),
            Self::Watch(args) => args.ui,
            _ => false,
        }
    }

    /// Returns the home that is named by a positional argument.
    pub(super) fn home(&self) -> Option<&PathBuf> {
        match self {
            Self::Create(args) => args.home.as_ref(),
            Self::Destroy(args) => args.home.as_ref(),
            Self::Add(args) => args.home.as_ref(),
            _ => None,
        }
    }

    /// Returns true if a flag keeps the command from running roles.
    pub(super) fn runs_nothing(&self) -> bool {
        match self {
            Self::Test(args) => args.list || args.no_run,
            Self::Watch(args) => args.test.list || args.test.no_run,
            _ => false,
        }
    }

    /// Returns the place for settings of a component that were among the
    /// arguments.
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

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Translate a compose file, a Procfile or a file of process-compose
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
    #[command(flatten)]
    pub(super) shared: SharedArgs,
}

/// Flags of Cargo that do not change what is built.
#[derive(Debug, Default, Args)]
pub struct SharedArgs {
    /// Require that `Cargo.lock` is up to date
    #[arg(long, help_heading = "Build")]
    locked: bool,
    /// Do not access the network
    #[arg(long, help_heading = "Build")]
    offline: bool,
    /// The same as `--locked` and `--offline`
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

/// Flags of Cargo for a build.
#[derive(Debug, Default, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    shared: SharedArgs,
    /// Build executables of this package only
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
    /// Directory for all build artifacts
    #[arg(long, value_name = "DIRECTORY", help_heading = "Build")]
    target_dir: Option<PathBuf>,
    /// Number of parallel jobs of Cargo
    #[arg(long, value_name = "N", help_heading = "Build")]
    build_jobs: Option<NonZero<usize>>,
}

impl BuildArgs {
    pub(super) fn options(&self, general: &General) -> build::Options {
        let mut flags: Vec<OsString> = Vec::new();
        let mut valued = |flag: &str, value: Option<OsString>| {
            flags.extend(value.into_iter().flat_map(|value| [flag.into(), value]));
        };
        valued("--target-dir", self.target_dir.as_ref().map(Into::into));
        let jobs = self.build_jobs.map(|jobs| jobs.to_string().into());
        valued("--jobs", jobs);
        flags.extend(general.color_flag());
        if general.quiet {
            flags.push("--quiet".into());
        }
        build::Options {
            shared: self.shared.shared(general),
            build: flags,
            features: self.features.features.clone(),
            all_features: self.features.all_features,
            no_default_features: self.features.no_default_features,
            profile: if self.release {
                Some("release".to_owned())
            } else {
                self.profile.clone()
            },
            packages: self.package.clone(),
            ..build::Options::default()
        }
    }
}

/// Arguments of `config`.
#[derive(Debug, Args)]
#[command(after_help = "With build options: shows what they change.")]
pub struct ConfigArgs {
    /// Name of a role, to show its settings and properties instead
    pub(super) role: Option<RoleName>,
    #[command(flatten)]
    pub(super) build: BuildArgs,
}

/// Arguments of `deploy`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a folder: deploys what Cargo builds, and the configured snapshot. \
                        With `--storage-path` alone: deploys materials only. With -f: \
                        restarts the affected roles."
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
    after_help = "Each `--name=value` after `--` is a setting for this run, passed to all \
                  selected test roles."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct TestArgs {
    #[command(flatten)]
    pub(super) search: SearchArgs,
    /// Time limit for a test role, retries and attempts included, as in `30s`
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time::time)]
    pub(super) timeout: Option<Duration>,
    /// Number of test roles that run at once [default: all], and of tests of
    /// all test targets [default: number of processors]
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<NonZero<usize>>,
    /// Stop the run at the first failure
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// Number of times to retry a failed test role, after the others have ended
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<u32>,
    /// Time after which a running test role is reported as slow [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time::time)]
    pub(super) slow_timeout: Option<Duration>,
    /// Run the roles that did not pass the last time; once they pass, run all
    #[arg(long, conflicts_with = "list")]
    pub(super) failed: bool,
    /// Run only this part of the test roles and tests, as in `2/4`, for one of several jobs
    #[arg(long, value_name = "N/COUNT")]
    pub(super) partition: Option<Partition>,
    /// Run the roles on other machines, not with `watch`: slurm, kubernetes,
    /// command, or local (agents on this machine, to try it out)
    #[arg(long, value_name = "DRIVER", value_parser = driver)]
    pub(super) on: Option<DriverName>,
    /// Number of machines among which the roles are divided [default: 2]
    #[arg(long, value_name = "N", requires = "on")]
    pub(super) shards: Option<NonZero<usize>>,
    /// Pass this option to the command that reaches the machines, such as `srun`
    #[arg(long, value_name = "ARG", requires = "on", allow_hyphen_values = true)]
    pub(super) on_arg: Vec<String>,
    /// Pass the reports to this executable, and print its result
    #[arg(long, value_name = "EXECUTABLE")]
    pub(super) test_analyzer: Option<ExecutableName>,
    /// Build and deploy without running tests
    #[arg(long, conflicts_with = "list")]
    pub(super) no_run: bool,
    /// List the test roles without running them
    #[arg(long)]
    pub(super) list: bool,
    #[command(flatten)]
    pub(super) results: ResultsArgs,
    #[command(flatten)]
    pub(super) build: BuildArgs,
    #[arg(skip)]
    pub(super) settings: Vec<(String, String)>,
}

/// Arguments of `agent`.
#[derive(Debug, Args)]
pub struct AgentArgs {}

/// Parses the name of a driver.
fn driver(text: &str) -> Result<DriverName, String> {
    let known = DriverName::ALL.into_iter().find(|(name, _)| *name == text);
    known.map(|(_, driver)| driver).ok_or_else(|| {
        let names = DriverName::ALL.map(|(name, _)| format!("`{name}`"));
        format!("expected {}", names.join(", "))
    })
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Poll for changes at this interval, 500ms without a value, instead of waiting
    /// for events of the file system
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        default_missing_value = "500ms",
        value_parser = crate::cli::time::time
    )]
    pub(super) poll: Option<Duration>,
    /// Notify when the verdict changes: bell and notification of the terminal,
    /// notification of the desktop
    #[arg(long)]
    pub(super) notify: bool,
    /// Show roles, logs and the last run on the whole terminal, as `ui` does
    #[cfg(feature = "ui")]
    #[arg(long)]
    pub(super) ui: bool,
    /// Receive keys from `watch --ui`, and end with it
    #[arg(long, hide = true)]
    #[cfg_attr(feature = "ui", arg(conflicts_with = "ui"))]
    pub(super) attached: bool,
    #[command(flatten)]
    pub(super) test: TestArgs,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Without `--last`: the same as `cargo check`.")]
pub struct CheckArgs {
    /// Show the failures of the last run, too
    #[arg(long)]
    pub(super) last: bool,
    /// Check all targets, including tests and examples
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
    /// Command to run, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
    #[command(flatten)]
    pub(super) build: BuildArgs,
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Path of the home [default: as for `--home-path`]
    pub(super) home: Option<PathBuf>,
    /// Use the executables in this folder instead of copying them
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
    /// Path of the home [default: as for `--home-path`]
    pub(super) home: Option<PathBuf>,
}

/// Arguments of `add`.
#[derive(Debug, Args)]
#[command(
    after_help = "Any other `--name=value` is a setting of the component, \
                        and so is everything after `--`."
)]
pub struct AddArgs {
    /// Executable that the roles run
    pub(super) executable: String,
    /// Name of the roles, with `{executable}`, `{number}` and `{uuid}`
    #[arg(default_value = "{executable}-{number}")]
    pub(super) role: String,
    /// Path of the home [default: as for `--home-path`]
    pub(super) home: Option<PathBuf>,
    /// First `{number}`
    #[arg(long, default_value_t = 0, value_name = "N")]
    start: u64,
    /// Number of roles to add
    #[arg(long, default_value_t = 1, value_name = "N")]
    count: u64,
    /// Difference between two numbers
    #[arg(long, default_value_t = 1, value_name = "N")]
    step: u64,
    /// Read the settings from FILE
    #[arg(long, value_name = "FILE")]
    pub(super) settings_file: Option<PathBuf>,
    /// Read the input from FILE
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
    after_help = "Each `--name=value` after `--` is a setting for this run, passed to all \
                  selected roles."
)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) search: SearchArgs,
    /// Look for the sources of checks in this folder first
    #[arg(long, value_name = "DIR")]
    pub(super) code_path: Option<PathBuf>,
    /// Print a summary of the reports instead of the results
    #[arg(long)]
    pub(super) test_run: bool,
    /// Pass the reports to this executable, and print its result instead
    #[arg(long, value_name = "EXECUTABLE")]
    pub(super) test_analyzer: Option<ExecutableName>,
    /// Stop all other roles when this role has ended
    #[arg(long, value_name = "ROLE")]
    pub(super) main_role: Option<RoleName>,
    /// Give this role the terminal and stdin, instead of a log; without a
    /// search, run it alone. It is the main role by default
    #[arg(long, value_name = "ROLE", conflicts_with_all = ["invert_search", "executable"])]
    pub(super) interactive: Option<RoleName>,
    #[arg(skip)]
    pub(super) settings: Vec<(String, String)>,
}
