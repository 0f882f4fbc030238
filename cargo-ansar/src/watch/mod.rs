//! `cargo ansar watch`: runs the tests on every change.
//!
//! Each loop is a `test`. Operational roles keep running in between, in an
//! engine that belongs to this command. A change during a loop interrupts it,
//! and the next one begins with the newest state. The state of the sources is
//! read before each loop and compared with the next, so that no change is
//! missed in between. Keys start a loop like a change, or show something.

pub mod git;
pub mod inputs;
pub mod keys;
pub mod limits;
pub mod origin;
pub mod sources;
pub mod timing;

use std::path::PathBuf;
use std::time::Duration;

use crate::deploy::prepare::{Prepared, open};
use crate::error::{DeployError, Error, RoleError, RunError, WorkspaceError, with_causes};
use crate::events::{Events, RunEvent, SourceEvent};
use crate::home::Home;
use crate::home::loops::LoopVerdict;
use crate::host::clock;
use crate::host::process::Process;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::terminal::keys::Keys;
use crate::model::run_report::LogRecord;
use crate::supervisor::background_start::attach;
use crate::supervisor::client::stop_limit;
use crate::testing;
use crate::testing::{CompletedRun, Outcome, When, test};
use crate::watch::keys::KeyAction;
use crate::watch::sources::Sources;
use crate::watch::timing::Timing;
use crate::workspace::Places;

/// Notification of the caller: the outcome of a loop, or an event between two
/// loops.
#[derive(Debug)]
pub enum Notice {
    /// The tests were run.
    Ran(Box<CompletedRun>),
    /// The home is deployed, and the tests were not run: either that was not
    /// requested, or nothing that is deployed has changed and the last verdict
    /// is still valid.
    Prepared {
        /// True if sources have changed that Cargo did not compile, so that the
        /// last verdict is stale.
        is_stale: bool,
    },
    /// The verdict just reported is stale: sources have changed that Cargo did
    /// not compile.
    Stale,
    /// The loop failed. Roles keep running, and the last verdict is stale.
    Failed(Box<Error>),
    /// A loop begins without a change.
    Begun,
    /// Keys work from now on. The caller may explain them.
    Keys,
    /// A key without an action was pressed.
    NoSuchKey,
    /// The action of a key failed.
    Refused(Box<Error>),
    /// There is no running operational role to restart.
    NothingToRestart,
    /// The last log lines of all roles.
    Logs(Vec<LogRecord>),
}

/// Reason for the end of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// An interrupt, or the quit key during a loop.
    Interrupted(Interrupt),
    /// The quit key after a loop.
    Quit,
}

/// Options of `watch`.
#[derive(Debug)]
pub struct Options {
    /// Options of each run.
    pub tests: testing::Options,
    /// Files that each loop writes. Their changes are ignored.
    pub written: Vec<PathBuf>,
    /// Interval at which changes are looked for, without events of the system.
    pub poll: Option<Duration>,
}

/// Runs loops until it is ended, and passes the outcome of each to `notify`.
///
/// # Errors
///
/// Returns an error if there is nothing to watch.
pub async fn watch(
    places: &Places,
    options: Options,
    keys: &mut Keys,
    interrupts: &mut Interrupts,
    events: &Events,
    notify: impl FnMut(Notice),
) -> Result<End, Error> {
    let workspace = places.needed_workspace()?;
    let Options {
        tests,
        written,
        poll,
    } = options;
    // No change of a source can correct a misspelt search.
    if !tests.search.is_all() {
        testing::selection::list(places, &tests)?;
    }
    let (home, _) = open(places, |_| Ok(()), events)?;
    let engine = attach(&home).await?;
    let sources = Sources::new(places, &workspace.root, &written, poll, events);
    let mut watching = WatchLoop {
        places,
        home,
        engine,
        sources,
        keys,
        interrupts,
        events,
        notify,
    };
    let end = watching.run_loops(tests).await;
    let limit = stop_limit(&watching.home);
    watching.engine.stop(limit).await;
    end
}

/// State of a `watch` command.
struct WatchLoop<'a, T> {
    places: &'a Places,
    home: Home,
    engine: Process,
    sources: Sources<'a>,
    keys: &'a mut Keys,
    interrupts: &'a mut Interrupts,
    events: &'a Events,
    notify: T,
}

/// State of the tests between two loops.
struct TestsState {
    /// True if the last verdict is valid for the deployed files.
    has_verdict: bool,
    /// True if only roles run that have failed.
    only_failed: bool,
    /// True if the failed roles have passed and all roles run next.
    widened: bool,
}

/// Event that ends a loop or the wait for one.
enum WatchEvent {
    Changed,
    Key(KeyAction),
    Interrupted(Interrupt),
}

impl<T: FnMut(Notice)> WatchLoop<'_, T> {
    /// Runs loops until the command ends.
    async fn run_loops(&mut self, mut options: testing::Options) -> Result<End, Error> {
        let wanted = options.run;
        let mut tests = TestsState {
            has_verdict: false,
            only_failed: options.tests.failed,
            widened: false,
        };
        loop {
            self.ensure_engine().await?;
            self.sources.begin();
            options.tests.failed = tests.only_failed && !tests.widened;
            options.run = match wanted {
                When::Never => When::Never,
                _ if tests.has_verdict && !self.sources.is_unjudged() => When::Changed,
                _ => When::Always,
            };
            let (done, cut_short_by) = self.run_once(&options).await;
            self.sources.end();
            self.interrupts.forget();
            match self.finish(done, &mut tests) {
                Err(interrupt) => return Ok(End::Interrupted(interrupt)),
                Ok(true) if cut_short_by.is_none() => (self.notify)(Notice::Begun),
                Ok(_) => {
                    if let Some(end) = self.next(cut_short_by, &mut tests).await {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Records the outcome of a loop. Returns true if the next one need not wait
    /// for a change, and the interrupt that ends the command, if any.
    fn finish(
        &mut self,
        done: Result<Outcome, Error>,
        tests: &mut TestsState,
    ) -> Result<bool, Interrupt> {
        match done {
            Ok(Outcome::Ran(ran)) => {
                let interrupted = ran.interrupted;
                tests.widened =
                    interrupted.is_none() && ran.narrowed && ran.verdict.report.is_pass();
                tests.has_verdict = interrupted.is_none() && !tests.widened;
                self.record_run(ran, tests.has_verdict);
                return match interrupted {
                    None | Some(Interrupt::Superseded) => Ok(tests.widened),
                    Some(interrupt) => Err(interrupt),
                };
            }
            Ok(Outcome::Prepared(prepared)) => {
                let Prepared {
                    artifacts,
                    libraries,
                    compiled,
                    ..
                } = *prepared;
                let artifacts = artifacts.values().chain(&libraries);
                self.sources
                    .built(artifacts.map(PathBuf::as_path), &compiled);
                let is_stale = self.sources.is_stale();
                (self.notify)(Notice::Prepared { is_stale });
            }
            Err(Error::Interrupted(Interrupt::Superseded)) => {
                tests.has_verdict = false;
                self.sources.superseded();
            }
            Err(Error::Interrupted(interrupt)) => return Err(interrupt),
            Err(error) => {
                tests.has_verdict &= is_before_deploy(&error);
                self.sources.failed();
                (self.notify)(Notice::Failed(Box::new(error)));
            }
        }
        Ok(false)
    }

    /// Waits until the next loop begins. Returns the end of the command instead if
    /// it ends.
    async fn next(
        &mut self,
        mut cut_short_by: Option<WatchEvent>,
        tests: &mut TestsState,
    ) -> Option<End> {
        if let Some(WatchEvent::Changed) = cut_short_by {
            // More changes may follow the first.
            tokio::select! {
                () = self.sources.wait_quiet() => {}
                interrupt = self.interrupts.next() => return Some(End::Interrupted(interrupt)),
            }
        }
        let in_the_middle = cut_short_by.is_some();
        loop {
            let event = match cut_short_by.take() {
                Some(event) => event,
                None => self.wait().await,
            };
            match event {
                WatchEvent::Changed => {}
                WatchEvent::Interrupted(interrupt) => return Some(End::Interrupted(interrupt)),
                WatchEvent::Key(KeyAction::Quit) if in_the_middle => {
                    return Some(End::Interrupted(Interrupt::Interrupt));
                }
                WatchEvent::Key(KeyAction::Quit) => return Some(End::Quit),
                WatchEvent::Key(KeyAction::Restart) => {
                    if let Some(interrupt) = self.restart().await {
                        return Some(End::Interrupted(interrupt));
                    }
                    if !in_the_middle {
                        continue;
                    }
                    (self.notify)(Notice::Begun);
                }
                WatchEvent::Key(action) => {
                    tests.only_failed = match action {
                        KeyAction::Failed => true,
                        KeyAction::All => false,
                        _ => tests.only_failed,
                    };
                    tests.widened &= action != KeyAction::Failed;
                    tests.has_verdict = false;
                    (self.notify)(Notice::Begun);
                }
            }
            return None;
        }
    }

    /// Records a run and reports it. `has_verdict` is true if its verdict covers
    /// everything that is deployed.
    fn record_run(&mut self, ran: Box<CompletedRun>, has_verdict: bool) {
        let artifacts = ran.artifacts.iter().map(PathBuf::as_path);
        self.sources.built(artifacts, &ran.compiled);
        if has_verdict {
            self.sources.judged();
        }
        if ran.interrupted != Some(Interrupt::Superseded) {
            (self.notify)(Notice::Ran(ran));
            if self.sources.is_stale() {
                (self.notify)(Notice::Stale);
            }
        }
    }

    /// Starts another engine if the current one has exited, or the home was
    /// removed.
    async fn ensure_engine(&mut self) -> Result<(), Error> {
        let gone = self.engine.has_ended().unwrap_or(false);
        if gone || !self.home.is_there() {
            // A broken manifest is reported by the loop.
            if let Ok((home, _)) = open(self.places, |_| Ok(()), self.events) {
                let engine = attach(&home).await?;
                let former = std::mem::replace(&mut self.engine, engine);
                if !gone {
                    // Roles of the old engine would block those started now.
                    former.stop(stop_limit(&self.home)).await;
                }
                self.home = home;
            }
        }
        Ok(())
    }

    /// Runs one loop. Returns its outcome, and the event that interrupted it.
    async fn run_once(
        &mut self,
        options: &testing::Options,
    ) -> (Result<Outcome, Error>, Option<WatchEvent>) {
        let superseder = self.interrupts.superseder();
        let timing = Timing::default();
        let events = timing.reading(&self.sources.reading(self.events));
        let mut cycle = Box::pin(test(self.places, options, self.interrupts, &events));
        let attention = next_event(&mut self.sources, self.keys, &self.home, &mut self.notify);
        let (done, event) = tokio::select! {
            done = &mut cycle => (done, None),
            event = attention => {
                // The loop stops its roles; then the next one begins.
                match event {
                    WatchEvent::Key(KeyAction::Quit) => superseder.interrupt(),
                    _ => superseder.supersede(),
                }
                ((&mut cycle).await, Some(event))
            }
        };
        drop(cycle);
        self.keep_times(&timing, &done);
        (done, event)
    }

    /// Adds a loop with a verdict to the record of the last loops.
    fn keep_times(&self, timing: &Timing, done: &Result<Outcome, Error>) {
        let (verdict, failed) = match done {
            Ok(Outcome::Ran(ran)) if ran.interrupted.is_some() => return,
            Ok(Outcome::Ran(ran)) if ran.verdict.report.is_pass() => (LoopVerdict::Passed, 0),
            Ok(Outcome::Ran(ran)) => (LoopVerdict::Failed, ran.verdict.suite.failed),
            Ok(Outcome::Prepared(_)) | Err(Error::Interrupted(_)) => return,
            Err(_) => (LoopVerdict::Error, 0),
        };
        if !self.home.is_there() {
            return;
        }
        let ended = timing.ended(clock::now(), verdict, failed);
        if let Err(error) = self.home.add_loop(ended) {
            let why = with_causes(&error);
            self.events.emit(RunEvent::Unkept { why });
        }
    }

    /// Waits for an event that begins the next loop or ends the command.
    async fn wait(&mut self) -> WatchEvent {
        self.events.emit(SourceEvent::Watching {
            files: self.sources.count(),
        });
        if self.keys.are_received() {
            (self.notify)(Notice::Keys);
        }
        let attention = next_event(&mut self.sources, self.keys, &self.home, &mut self.notify);
        tokio::select! {
            event = attention => event,
            interrupt = self.interrupts.next() => WatchEvent::Interrupted(interrupt),
        }
    }

    /// Restarts operational roles. Returns the interrupt that ended this, if
    /// any.
    async fn restart(&mut self) -> Option<Interrupt> {
        match keys::restart(&self.home, self.places, self.interrupts, self.events).await {
            Ok(false) => (self.notify)(Notice::NothingToRestart),
            // A superseded loop is not this restart.
            Ok(true) | Err(Error::Interrupted(Interrupt::Superseded)) => {}
            Err(Error::Interrupted(interrupt)) => return Some(interrupt),
            Err(error) => (self.notify)(Notice::Refused(Box::new(error))),
        }
        None
    }
}

/// Waits for a change, or a key that affects the loop. Other keys are handled
/// at once.
async fn next_event(
    sources: &mut Sources<'_>,
    keys: &mut Keys,
    home: &Home,
    notify: &mut impl FnMut(Notice),
) -> WatchEvent {
    loop {
        tokio::select! {
            () = sources.change() => return WatchEvent::Changed,
            key = keys.next() => match KeyAction::of(key) {
                None => notify(Notice::NoSuchKey),
                Some(KeyAction::Logs) => notify(Notice::Logs(keys::logs(home))),
                Some(action) => return WatchEvent::Key(action),
            },
        }
    }
}

/// Returns true if this error occurs before a deploy changes the home.
fn is_before_deploy(error: &Error) -> bool {
    matches!(
        error,
        Error::Cargo(_)
            | Error::Description(_)
            | Error::Workspace(
                WorkspaceError::Manifest { .. }
                    | WorkspaceError::NoWorkspace(_)
                    | WorkspaceError::NotDescribed(_)
                    | WorkspaceError::Ambiguous { .. }
                    | WorkspaceError::AmbiguousTest { .. }
                    | WorkspaceError::NoTestTarget { .. }
                    | WorkspaceError::NoBinary { .. }
                    | WorkspaceError::NotInPackage { .. }
            )
            | Error::Run(RunError::NoTestRole { .. } | RunError::NoTests { .. })
            | Error::Role(RoleError::NoRole { .. } | RoleError::Retired(_))
            | Error::Deploy(DeployError::NoExecutable { .. })
    )
}
