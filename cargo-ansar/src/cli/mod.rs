//! The command line: arguments in, exit code out.
//!
//! Each command is defined by its clap arguments ([`args`]), which are
//! translated to typed options here.

pub mod args;
pub mod background;
pub mod check;
pub mod completions;
pub mod config;
pub mod deferred;
pub mod doctor;
pub mod encoding;
pub mod exit;
pub mod general;
pub mod hint;
pub mod man;
pub mod materials;
pub mod property;
pub mod query;
pub mod results;
pub mod roles;
pub mod search;
pub mod settings;
pub mod test_target;
pub mod time;
#[cfg(feature = "ui")]
pub mod ui;
pub mod watch;

use crate::commands;
use crate::harness;
use crate::testing;
use crate::workspace;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use ansar_contract::envelope::BuiltIn;
use ansar_contract::envelope::Typed;
use ansar_contract::line::Level;
use clap::{CommandFactory, FromArgMatches};
use tokio::task::LocalSet;

use crate::cli::args::{AddArgs, BuildArgs, Cargo, Command, RunArgs, TestArgs, WithArgs};
use crate::cli::exit::Exit;
use crate::cli::general::General;
use crate::cli::hint::Hints;
use crate::cli::settings::SettingPosition;
use crate::commands::settings::Part;
use crate::error::Error;
use crate::events::RunEvent;
use crate::host::net::own_network;
use crate::host::process::guardian;
use crate::host::process::guardian::{ForkRole, Guardian};
use crate::host::process::interrupts::Interrupts;
use crate::host::process::{copy_folder, orphans, rlimit, signal, unprivileged};
use crate::host::{clock, environment};
use crate::model::remote::RemoteError;
use crate::model::run_report::RunReport;
use crate::report::human;
use crate::report::printer::Printer;
use crate::report::shell::{Form, print_parse_error, warn};
use crate::supervisor::fd_store;
use crate::supervisor::test_options::TestOptions;
use crate::testing::When;

/// Runs the command line. `main` of the program calls only this.
pub fn main() -> ExitCode {
    let arguments = environment::arguments();
    let all = || arguments.iter().cloned();
    // This program is its own helper for what must happen in another process.
    let helped = unprivileged::run_if_asked(all())
        .or_else(|| own_network::run_if_asked(all()))
        .or_else(|| copy_folder::run_if_asked(all()));
    match helped {
        None => {}
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => return fail(&error, Exit::Setup),
    }
    signal::outlive_file_size_limit();
    if let Some(run) = harness::run_of_arguments(all()) {
        return test_target::main(run);
    }
    let parsed = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Requested help is data on stdout: a failed write is an error.
            if print_parse_error(&error).is_err() && !error.use_stderr() {
                return Exit::WriteFailed.into();
            }
            let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code());
            return ExitCode::from(code);
        }
    };
    parsed.general.color().apply();
    if let Err(error) = rlimit::check() {
        return fail(&error, Exit::Setup);
    }
    // Forks, so no second thread may exist yet.
    #[cfg(feature = "ui")]
    if parsed.command.takes_screen() {
        match ui::keep_screen() {
            Ok(None) => {}
            Ok(Some(code)) => return ExitCode::from(code),
            Err(error) => return fail(&error, Exit::Setup),
        }
    }
    // Forks, so no second thread may exist yet: this process becomes the
    // guardian.
    let guardian = match parsed
        .command
        .spawn_mode()
        .map(|mode| guardian::split(mode, &warn))
    {
        None => None,
        Some(Ok(ForkRole::Engine(guardian))) => Some(guardian),
        Some(Ok(ForkRole::Guardian(end))) => {
            fd_store::finish();
            if let Command::Agent(_) = parsed.command {
                testing::agent::clean_up_after_kill(&end);
            }
            return record_run(&end);
        }
        Some(Err(error)) => {
            let error = failed("start the guardian process")(error);
            return fail(&error, Exit::Setup);
        }
    };
    match begin(&parsed, guardian) {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error, Exit::Setup),
    }
}

/// Returns the guardian's exit code, which is that of its engine. Reports
/// processes that cannot be killed if the engine has not.
fn record_run(end: &guardian::End) -> ExitCode {
    if end.left.is_empty() || (end.code != 0 && !end.is_killed) {
        return ExitCode::from(end.code);
    }
    let left = end.left.iter();
    let left = left.map(|(pid, why)| format!("process {pid} cannot be killed: {why}"));
    let code = fail(
        &std::io::Error::other(left.collect::<Vec<_>>().join("\n")),
        Exit::RoleFailed,
    );
    if end.is_killed {
        ExitCode::from(end.code)
    } else {
        code
    }
}

/// Prints an error while no printer runs.
fn fail(error: &std::io::Error, exit: Exit) -> ExitCode {
    let text = format!("{error}\n");
    let _ = print_parse_error(&clap::Error::raw(clap::error::ErrorKind::Io, text));
    exit.into()
}

/// Returns a function that adds the failed action to a system error.
fn failed(what: &str) -> impl Fn(std::io::Error) -> std::io::Error {
    move |error| std::io::Error::new(error.kind(), format!("failed to {what}: {error}"))
}

/// Returns the definition of the command line.
fn command() -> clap::Command {
    Cargo::command()
}

/// Parses the command line. Cargo passes `ansar` as the first argument; a
/// direct call does not.
fn parse(arguments: Vec<OsString>) -> Result<Cargo, clap::Error> {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_else(|| "cargo-ansar".into());
    let mut arguments = arguments.peekable();
    arguments.next_if(|first| first == "ansar");
    let mut command = command();

    let rest: Vec<OsString> = arguments.collect();
    if let Some(error) = first_word(&command, &rest).and_then(|word| refused_on(word, &rest)) {
        return Err(error);
    }
    let taking = first_word(&command, &rest)
        .and_then(|word| {
            COMMANDS_WITH_SETTINGS
                .iter()
                .find(|(taking, _)| word == *taking)
        })
        .and_then(|&(name, place)| {
            // `build` resolves the deferred arguments.
            command.build();
            Some((command.find_subcommand(name)?.clone(), place))
        });
    let split = match &taking {
        None => settings::Split {
            arguments: rest,
            settings: Vec::new(),
        },
        Some((taking, place)) => {
            let flags: Vec<&str> = taking
                .get_arguments()
                .filter_map(|arg| arg.get_long())
                .collect();
            let is_flag =
                |name: &str| *place == SettingPosition::AfterDashes || flags.contains(&name);
            settings::split(rest, is_flag).map_err(|error| {
                taking
                    .clone()
                    .error(clap::error::ErrorKind::InvalidValue, error)
            })?
        }
    };
    let all = std::iter::once(program).chain(split.arguments);
    let matches = command.try_get_matches_from_mut(all);
    // Freeing its many small allocations takes time; the process exits anyway.
    std::mem::forget(command);
    let matches = matches.map_err(|error| match taking {
        Some((taking, place)) => settings::explain(error, taking, place),
        None => error,
    })?;
    let mut parsed = Cargo::from_arg_matches(&matches)?;
    let general = General::from_both(&matches)?;
    if let (Some(home), Some(flag)) = (parsed.command.home(), &general.home_path) {
        let (home, flag) = (home.display(), flag.display());
        let text = format!("two homes: `{home}` and `--home-path {flag}`");
        return Err(Cargo::command().error(clap::error::ErrorKind::ArgumentConflict, text));
    }
    parsed.general = general.or_environment();
    if !split.settings.is_empty() && parsed.command.runs_nothing() {
        return Err(self::command().error(
            clap::error::ErrorKind::ArgumentConflict,
            "settings have no effect: with `--list` or `--no-run`, no role runs",
        ));
    }
    if let Some(settings) = parsed.command.settings() {
        *settings = split.settings;
    }
    Ok(parsed)
}

/// Commands that accept settings of a component among their arguments.
const COMMANDS_WITH_SETTINGS: [(&str, SettingPosition); 7] = [
    ("add", SettingPosition::Anywhere),
    ("update", SettingPosition::Anywhere),
    ("run", SettingPosition::AfterDashes),
    ("start", SettingPosition::AfterDashes),
    ("restart", SettingPosition::AfterDashes),
    ("test", SettingPosition::AfterDashes),
    ("watch", SettingPosition::AfterDashes),
];

/// Returns the error of a command that runs roles, and is asked to run them on
/// other machines.
fn refused_on(word: &OsString, arguments: &[OsString]) -> Option<clap::Error> {
    let word = word.to_str()?;
    if !["start", "restart", "run", "with"].contains(&word) {
        return None;
    }
    let is_on = |argument: &OsString| {
        let argument = argument.as_encoded_bytes();
        argument == b"--on" || argument.starts_with(b"--on=")
    };
    let mut own = arguments.iter().take_while(|it| *it != "--");
    let error = RemoteError::NotWith(word.to_owned());
    let hint = error.hint().unwrap_or_default();
    let text = format!("{error}\nhint: {hint}");
    own.any(is_on)
        .then(|| command().error(clap::error::ErrorKind::ArgumentConflict, text))
}

/// Returns the first argument that is neither a flag nor the value of one: the
/// name of the command.
fn first_word<'a>(command: &clap::Command, arguments: &'a [OsString]) -> Option<&'a OsString> {
    let takes_value = |argument: &OsString| {
        let name = argument.to_str().and_then(|text| text.strip_prefix("--"));
        name.is_some_and(|name| {
            command
                .get_arguments()
                .any(|arg| arg.get_long() == Some(name) && arg.get_action().takes_values())
        })
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if takes_value(argument) {
            arguments.next();
        } else if !argument.as_encoded_bytes().starts_with(b"-") {
            return Some(argument);
        }
    }
    None
}

/// Time that an interrupted command waits for a stalled reader of its output.
const READER_GRACE: Duration = Duration::from_secs(1);

fn begin(parsed: &Cargo, guardian: Option<Guardian>) -> std::io::Result<Exit> {
    let folder = environment::working_folder().map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::NotFound => "the current directory is gone",
            _ => "cannot find the current directory",
        };
        let hint = "hint: change to a directory that exists";
        std::io::Error::other(format!("{what}: {error}\n{hint}"))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("start the event loop"))?;
    let printer = Printer::start(
        parsed.general.verbosity(),
        parsed.form(),
        parsed.general.level() >= Level::Trace,
        parsed.general.progress(guardian.is_some()),
    )
    .map_err(failed("start the printer thread"))?;
    let session = Session {
        places: parsed.general.places(folder.clone()),
        force: parsed.general.force,
        general: &parsed.general,
        hints: Hints::new(&parsed.general, parsed.command.home(), &folder),
        printer: &printer,
        guardian,
    };
    let local = LocalSet::new();
    if guardian.is_some() {
        // This process adopts the orphans of all its descendants.
        local.spawn_local(orphans::reap_as_they_end());
    }
    let done = local.block_on(&runtime, session.perform(&parsed.command));
    let exit = done.unwrap_or_else(|error| {
        let exit = error.exit();
        if error.interrupt().is_none() {
            let hint = session.hints.of(&error);
            printer.show(move |shell| human::error(shell, &error, hint.as_deref()));
        }
        exit
    });
    let ended = runtime.block_on(async {
        let printing = printer.finish();
        let give_up = give_up(exit, guardian);
        tokio::select! {
            biased;
            ended = printing => ended.map(|()| exit),
            exit = give_up => Ok(exit),
        }
    });
    // Does not wait for threads that wait for a lock.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => Ok(exit),
        Err(error) => {
            let text = format!("failed to write to stdout: {error}\n");
            let _ = print_parse_error(&clap::Error::raw(clap::error::ErrorKind::Io, text));
            Ok(Exit::WriteFailed)
        }
    }
}

/// Waits until the command gives up on a stalled reader, and returns the exit
/// for this case: [`READER_GRACE`] after it was interrupted, earlier or now.
async fn give_up(exit: Exit, guardian: Option<Guardian>) -> Exit {
    let exit = match (exit, guardian) {
        (Exit::Interrupted(_), _) => exit,
        // Without a guardian, signals have their default action and end the
        // command.
        (_, Some(_)) => match Interrupts::listen(guardian) {
            Ok(mut interrupts) => Exit::Interrupted(interrupts.next().await),
            Err(_) => std::future::pending().await,
        },
        (_, None) => std::future::pending().await,
    };
    tokio::time::sleep(READER_GRACE).await;
    exit
}

/// Context of a command.
struct Session<'a> {
    places: workspace::Places,
    force: bool,
    general: &'a General,
    hints: Hints,
    printer: &'a Printer,
    guardian: Option<Guardian>,
}

impl Session<'_> {
    async fn perform(&self, command: &Command) -> Result<Exit, Error> {
        let places = &self.places;
        match command {
            Command::Init(args) => self.init(args).await,
            Command::Build(args) => {
                let options = args.options(self.general);
                let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
                commands::build::build(places, &options, &mut interrupts, &events).await?;
                Ok(Exit::Success)
            }
            Command::Test(args) => self.test(args).await,
            Command::Watch(args) => self.watch(args).await,
            Command::Check(args) => self.check(args).await,
            Command::Report(args) => self.report(args),
            Command::With(args) => self.with(args).await,
            Command::Create(args) => {
                let places = with_home(places, args.home.as_ref());
                let home = commands::create::create(&places, &args.redirects())?;
                let root = home.root().display().to_string();
                self.show_status("Created", format!("home `{root}`"));
                Ok(Exit::Success)
            }
            Command::Destroy(args) => {
                let places = with_home(places, args.home.as_ref());
                let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
                let root =
                    commands::destroy::destroy(&places, self.force, &mut interrupts, &events)
                        .await?;
                self.show_status("Destroyed", format!("home `{}`", root.display()));
                Ok(Exit::Success)
            }
            Command::Deploy(args) => {
                self.deploy(&args.own, args.build.options(self.general))
                    .await
            }
            Command::Snapshot(args) => self.snapshot(args).await,
            Command::Why(args) => self.why(args),
            Command::Add(args) => self.add(args).await,
            Command::List(args) => self.list(args),
            Command::Update(args) => self.update(args).await,
            Command::Delete(args) => self.delete(args).await,
            Command::Settings(args) => self.encoding(Part::Settings, args).await,
            Command::Input(args) => self.encoding(Part::Input, args).await,
            Command::Get(args) => self.get(args),
            Command::Config(args) => self.config(args),
            Command::Doctor(args) => self.doctor(args).await,
            Command::Set(args) => self.set(args),
            Command::Start(args) => self.start(args, false).await,
            Command::Restart(args) => self.start(args, true).await,
            Command::Stop(args) => self.stop(args).await,
            Command::Status(args) => self.status(args).await,
            Command::Supervise(args) => self.supervise(args).await,
            Command::Agent(_) => {
                let (interrupts, mut of_engine) = (self.interrupts()?, self.interrupts()?);
                testing::agent::agent(&places.folder, interrupts, &mut of_engine).await?;
                Ok(Exit::Success)
            }
            #[cfg(feature = "ui")]
            Command::Ui(args) => self.ui(args).await,
            Command::History(args) => self.history(args),
            Command::Returned(args) => self.returned(args).await,
            Command::Log(args) => self.log(args).await,
            Command::Folder(args) => self.folder(args),
            Command::Address(args) => self.address(args),
            Command::Edit(args) => self.edit(args).await,
            Command::Run(args) => self.run(args).await,
            Command::Completions(args) => Ok(self.completions(args)),
            Command::Man(args) => self.man(args),
        }
    }

    /// Returns the build options of commands that have no build flags.
    fn default_build(&self) -> workspace::build::Options {
        BuildArgs::default().options(self.general)
    }

    fn test_options(&self, args: &TestArgs) -> Result<testing::Options, Error> {
        let mut build = args.build.options(self.general);
        build.also.extend(args.test_analyzer.clone());
        let (search, chosen) = args.search.search_tests(&self.places)?;
        Ok(testing::Options {
            build,
            analyzer: args.test_analyzer.clone(),
            search,
            tests: TestOptions {
                jobs: args.jobs.map(std::num::NonZero::get),
                fail_fast: args.fail_fast,
                retries: args.retries,
                slow: args.slow_timeout,
                failed: args.failed,
                chosen,
                parts: BTreeMap::new(),
            },
            timeout: args.timeout,
            force: self.force,
            partition: args.partition,
            on: args.on.map(|driver| testing::shards::DriverArgs {
                driver,
                args: args.on_arg.clone(),
                shards: args.shards.map(std::num::NonZero::get),
            }),
            run: if args.no_run {
                When::Never
            } else {
                When::Always
            },
            settings: args.settings.clone(),
            shown: self.general.level(),
        })
    }

    async fn init(&self, args: &args::InitArgs) -> Result<Exit, Error> {
        let shared = args.shared.shared(self.general);
        let mut interrupts = self.interrupts()?;
        match &args.from {
            Some(file) => {
                let places = &self.places;
                let imported =
                    commands::init::import(places, &shared, file, &mut interrupts).await?;
                self.printer
                    .show(move |shell| human::imported(shell, &imported));
            }
            None => {
                let described =
                    commands::init::init(&self.places, &shared, &mut interrupts).await?;
                self.printer
                    .show(move |shell| human::described(shell, &described));
            }
        }
        Ok(Exit::Success)
    }

    async fn test(&self, args: &TestArgs) -> Result<Exit, Error> {
        let mut options = self.test_options(args)?;
        let stream = args.results.messages.stream();
        options.build.messages = stream.as_ref().map(|stream| self.messages(stream));
        if args.list {
            let names = testing::selection::list(&self.places, &options)?;
            self.printer.show(move |shell| human::names(shell, &names));
            return Ok(Exit::Success);
        }
        let events = self.printer.events();
        let ran =
            match testing::test(&self.places, &options, &mut self.interrupts()?, &events).await {
                Ok(testing::Outcome::Ran(ran)) => ran,
                Ok(testing::Outcome::Prepared(_)) => {
                    self.finish(stream, true);
                    return Ok(Exit::Success);
                }
                Err(error) => {
                    self.finish(stream, false);
                    return Err(error);
                }
            };
        let exit = match ran.interrupted {
            Some(interrupt) => Exit::Interrupted(interrupt),
            None if !ran.verdict.report.is_pass() => Exit::TestsFailed,
            None => Exit::of_analysis(ran.analysis.as_ref()),
        };
        let run = testing::record::record_run("test", *ran, exit.code(), &events);
        self.results(&args.results, run, stream)?;
        Ok(exit)
    }

    async fn with(&self, args: &WithArgs) -> Result<Exit, Error> {
        let options = commands::with::Options {
            build: args.build.options(self.general),
            search: args.search.search(&self.places)?,
            command: args.command.clone(),
            force: self.force,
            shown: self.general.level(),
        };
        let mut interrupts = self.interrupts()?;
        let events = self.printer.events();
        let outcome =
            commands::with::with(&self.places, &options, &mut interrupts, &events).await?;
        let exit = match (outcome.interrupted, outcome.exit) {
            (Some(interrupt), _) => Exit::Interrupted(interrupt),
            (None, Some(exit)) => Exit::of_command(exit),
            (None, None) => Exit::RoleFailed,
        };
        if let Some(ran) = outcome.ran {
            let command = format!("with -- {}", commands::with::text(&options.command));
            testing::record::record_run(&command, *ran, exit.code(), &events);
        }
        let verdict = outcome.verdict;
        self.printer
            .show(move |shell| human::broken(shell, &verdict));
        Ok(exit)
    }

    async fn add(&self, args: &AddArgs) -> Result<Exit, Error> {
        let places = with_home(&self.places, args.home.as_ref());
        let options = commands::add::Options {
            build: args.build.options(self.general),
            executable: commands::add::executable(&args.executable, &places.folder)?,
            template: args.role.parse()?,
            series: args.series(),
            settings_file: args.settings_file.clone(),
            input_file: args.input_file.clone(),
            settings: args.settings.clone(),
        };
        let roles = commands::add::add(
            &places,
            &options,
            &mut self.interrupts()?,
            &self.printer.events(),
        )
        .await?;
        self.show_status("Added", human::roles(&roles));
        Ok(Exit::Success)
    }

    async fn run(&self, args: &RunArgs) -> Result<Exit, Error> {
        let options = commands::run::Options {
            build: self.default_build(),
            search: args
                .search
                .search_with(args.interactive.as_ref(), &self.places)?,
            code_path: args.code_path.clone(),
            force: self.force,
            test_run: args.test_run,
            analyzer: args.test_analyzer.clone(),
            main_role: args.main_role.clone().or(args.interactive.clone()),
            interactive: args.interactive.clone(),
            settings: args.settings.clone(),
            shown: self.general.level(),
        };
        let begun = clock::instant();
        let events = self.printer.events();
        let outcome =
            commands::run::run(&self.places, &options, &mut self.interrupts()?, &events).await?;
        let elapsed = clock::instant() - begun;
        let exit = match (&outcome.verdict, outcome.interrupted) {
            (_, Some(interrupt)) => Exit::Interrupted(interrupt),
            (Some(verdict), None) if !verdict.report.is_pass() => Exit::TestsFailed,
            _ => match Exit::of_analysis(outcome.analysis.as_ref()) {
                Exit::Success if outcome.verdict.is_none() && outcome.failed => Exit::RoleFailed,
                exit => exit,
            },
        };
        let message = match (&outcome.analysis, &outcome.verdict) {
            (Some(analysis), _) => Some(analysis.result.clone()),
            // The role at the terminal has written its own result to stdout.
            (None, None) if args.interactive.is_none() => Some(encode(&outcome.run)),
            (None, _) => None,
        };
        if self.general.form() == Form::Json {
            if let Some(message) = message {
                events.emit(RunEvent::Result { message });
            }
            if let Some(verdict) = outcome.verdict {
                let run = RunReport {
                    command: "run".to_owned(),
                    exit: exit.code(),
                    interrupted: outcome.interrupted.is_some(),
                    elapsed: elapsed.as_secs_f64(),
                    ..verdict.report
                };
                events.emit(RunEvent::Verdict(Box::new(run)));
            }
            return Ok(exit);
        }
        self.printer.show(move |shell| {
            if let Some(verdict) = &outcome.verdict {
                human::verdict(shell, verdict);
            }
            if let Some(message) = &message {
                human::message(shell, message);
            }
        });
        Ok(exit)
    }

    /// Listens for interrupts.
    fn interrupts(&self) -> Result<Interrupts, Error> {
        Interrupts::listen(self.guardian).map_err(|source| Error::System {
            what: "listen for signals",
            source,
        })
    }

    fn show_status(&self, verb: &'static str, text: String) {
        self.printer.show(move |shell| shell.status(verb, &text));
    }
}

/// Returns `places` with the home that was passed as a positional argument.
fn with_home(places: &workspace::Places, home: Option<&std::path::PathBuf>) -> workspace::Places {
    let mut places = places.clone();
    if let Some(home) = home {
        places.home_path = Some(home.clone());
    }
    places
}

/// Encodes a built-in message, which cannot fail.
fn encode<M: BuiltIn>(message: &M) -> Typed {
    Typed::encode(message).unwrap_or_else(|_| Typed {
        name: M::NAME.to_owned(),
        body: serde_json::Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cargo, String> {
        parse(line.split(' ').map(OsString::from).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn it_is_called_through_cargo_and_by_hand() {
        for line in ["cargo-ansar ansar test -j 2", "cargo-ansar test -j 2"] {
            assert!(matches!(parsed(line).unwrap().command, Command::Test(_)));
        }
    }

    #[test]
    fn settings_of_a_role_are_no_flags() {
        let line = "cargo-ansar -f add robot-arm left-arm --rotation=-90.0 --count=2";
        let Command::Add(add) = parsed(line).unwrap().command else {
            panic!("expected `add`");
        };
        assert_eq!(add.settings, [("rotation".to_owned(), "-90.0".to_owned())]);
        assert_eq!(add.series().count, 2);
    }

    #[test]
    fn settings_are_found_behind_general_flags_with_values() {
        for line in [
            "cargo-ansar --home-path add add snooze --seconds=1",
            "cargo-ansar --color never -q add snooze --seconds=1",
            "cargo-ansar --home-path=h add snooze --seconds=1 --debug-level NONE",
        ] {
            let Command::Add(add) = parsed(line).unwrap().command else {
                panic!("expected `add`");
            };
            assert_eq!(add.settings, [("seconds".to_owned(), "1".to_owned())]);
        }
    }

    #[test]
    fn general_flags_stand_before_the_command_and_behind_it() {
        let home = |line: &str| {
            let general = parsed(line).unwrap().general;
            let home = general.places("/there".into()).home(None);
            (general.force, home.display().to_string())
        };
        for (line, force, place) in [
            ("cargo-ansar --home-path a list", false, "/there/a"),
            ("cargo-ansar list --home-path b", false, "/there/b"),
            ("cargo-ansar -f --home-path a list", true, "/there/a"),
            ("cargo-ansar --home-path a list -f", true, "/there/a"),
            (
                "cargo-ansar --home-path a list --home-path b",
                false,
                "/there/b",
            ),
            ("cargo-ansar -f destroy --home-path b", true, "/there/b"),
        ] {
            assert_eq!(home(line), (force, place.to_owned()), "{line}");
        }
        assert!(parsed("cargo-ansar list -q -v").is_err());
        assert!(parsed("cargo-ansar list --home-path a --home-path b").is_err());
        for two in ["create a", "destroy a", "add noop {executable} a"] {
            let error = parsed(&format!("cargo-ansar {two} --home-path b")).unwrap_err();
            assert!(
                error.contains("two homes: `a` and `--home-path b`"),
                "{error}"
            );
            assert!(parsed(&format!("cargo-ansar --home-path b {two}")).is_err());
        }
    }

    #[test]
    fn a_flag_that_is_none_is_refused_elsewhere() {
        assert!(parsed("cargo-ansar test --rotation=1").is_err());
        assert!(parsed("cargo-ansar test -j 0").is_err());
    }
}
