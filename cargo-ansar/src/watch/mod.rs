//! `cargo ansar watch`: runs the tests on every change.
//!
//! Each loop is a `test`; operational roles keep running in between, in an engine
//! that belongs to this command. A change during a loop ends it, and the next one
//! begins with the newest state. The state of the sources is read before each
//! loop and compared with the next, so that no change in between is missed. A key
//! press starts a loop like a change, or shows something.

pub mod git;
pub mod inputs;
pub mod keys;
pub mod origin;
pub mod sources;

use std::path::PathBuf;
use std::time::Duration;

use crate::deploy::prepare::{Prepared, open};
use crate::error::Error;
use crate::events::{Events, Kind};
use crate::home::Home;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::process::{Narrative, Process};
use crate::host::terminal::keys::Keys;
use crate::model::run_report::LogRecord;
use crate::supervisor::background_start;
use crate::testing;
use crate::testing::{Outcome, Ran, When, test};
use crate::watch::keys::KeyAction;
use crate::watch::sources::Sources;

/// What came of one loop, and what is told in between.
#[derive(Debug)]
pub enum Notice {
    /// The tests were run.
    Ran(Box<Ran>),
    /// Everything is in place, and the tests were not run: that was not wanted,
    /// or nothing that is deployed has changed, and the verdict of the last loop
    /// stands, unless sources have changed that Cargo did not compile.
    Prepared {
        /// True if some have.
        is_stale: bool,
    },
    /// The verdict that was just told is about older sources than those that are
    /// there, since Cargo did not compile them.
    Stale,
    /// It could not be done; what runs goes on, and the verdict of the last
    /// loop is stale.
    Failed(Box<Error>),
    /// A loop begins that no change has begun.
    Begun,
    /// Keys do something now; whoever is new to it may be told which.
    Keys,
    /// A key was pressed that does nothing.
    NoSuchKey,
    /// What was asked for with a key could not be done.
    Refused(Box<Error>),
    /// No operational role runs that could be started again.
    NothingToRestart,
    /// The last lines that roles have logged.
    Logs(Vec<LogRecord>),
}

/// What ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Something from outside, or in the middle of a loop, a person.
    Interrupted(Interrupt),
    /// A person who had seen what came of the last loop.
    Quit,
}

/// Runs loops until it is ended, and hands what came of each to `told`; what
/// ended it. The files `written` are written at each loop, and are no change.
/// Where `poll` is set, changes are looked for at this interval.
///
/// The error is that there is nothing to watch.
pub async fn watch(
    options: testing::Options,
    written: &[PathBuf],
    poll: Option<Duration>,
    keys: &mut Keys,
    interrupts: &mut Interrupts,
    events: &Events,
    notify: impl FnMut(Notice),
) -> Result<End, Error> {
    let workspace = options.places.needed_workspace()?;
    let places = options.places.clone();
    // No change of a source mends a misspelt search.
    if !options.search.is_all() {
        testing::list(&options)?;
    }
    let (home, _) = open(&places, |_| Ok(()), events)?;
    let engine = attach(&home).await?;
    let sources = Sources::new(&places, &workspace.root, written, poll, events);
    let mut watching = Watching {
        home,
        engine,
        sources,
        keys,
        interrupts,
        events,
        notify,
    };
    let end = watching.loops(options).await;
    watching.engine.stop(PATIENCE).await;
    end
}

/// How long the roles that were kept up may take to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts an engine that keeps operational roles up from one loop to the next,
/// and that ends with this command.
async fn attach(home: &Home) -> Result<Process, Error> {
    let failed = |source| Error::System {
        what: "start an engine that keeps roles up",
        source,
    };
    let program = background_start::engine(home, &["--attached"]).map_err(failed)?;
    let engine = Process::start(&program, Narrative::Inherited).await;
    let mut engine = engine.map_err(failed)?;
    engine.is_silent().await.map_err(failed)?;
    Ok(engine)
}

/// Everything that a loop, and the wait for the next one, needs.
struct Watching<'a, T> {
    home: Home,
    engine: Process,
    sources: Sources<'a>,
    keys: &'a mut Keys,
    interrupts: &'a mut Interrupts,
    events: &'a Events,
    notify: T,
}

/// What ends a loop, or the wait for it.
enum WatchEvent {
    Changed,
    Key(KeyAction),
    Interrupted(Interrupt),
}

impl<T: FnMut(Notice)> Watching<'_, T> {
    /// Loops until it is ended.
    async fn loops(&mut self, mut options: testing::Options) -> Result<End, Error> {
        // Whether there is a verdict about what is deployed.
        let mut settled = false;
        let wanted = options.run;
        let mut only_failed = options.failed;
        // Whether those that failed pass, and all are to.
        let mut widened = false;
        loop {
            self.attach_again(&options).await?;
            self.sources.begin();
            options.failed = only_failed && !widened;
            options.run = match wanted {
                When::Never => When::Never,
                _ if settled && !self.sources.is_unjudged() => When::Changed,
                _ => When::Always,
            };
            let (done, mut woken) = self.cycle(&options).await;
            self.sources.end();
            self.interrupts.forget();
            match done {
                Ok(Outcome::Ran(ran)) => {
                    let interrupted = ran.interrupted;
                    widened = interrupted.is_none() && ran.narrowed && ran.verdict.passed();
                    settled = interrupted.is_none() && !widened;
                    self.ran(ran, settled);
                    match interrupted {
                        None | Some(Interrupt::Superseded) => {}
                        Some(interrupt) => return Ok(End::Interrupted(interrupt)),
                    }
                    if widened && woken.is_none() {
                        (self.notify)(Notice::Begun);
                        continue;
                    }
                }
                Ok(Outcome::Prepared(prepared)) => {
                    let Prepared {
                        artifacts,
                        compiled,
                        ..
                    } = *prepared;
                    let artifacts = artifacts.values().map(PathBuf::as_path);
                    self.sources.built(artifacts, &compiled);
                    let is_stale = self.sources.is_stale();
                    (self.notify)(Notice::Prepared { is_stale });
                }
                Err(Error::Interrupted(Interrupt::Superseded)) => {
                    settled = false;
                    self.sources.superseded();
                }
                Err(Error::Interrupted(interrupt)) => return Ok(End::Interrupted(interrupt)),
                Err(error) => {
                    settled &= is_before_deploy(&error);
                    self.sources.failed();
                    (self.notify)(Notice::Failed(Box::new(error)));
                }
            }
            if let Some(WatchEvent::Changed) = woken {
                // Whatever changed once may be about to change more.
                tokio::select! {
                    () = self.sources.settle() => {}
                    interrupt = self.interrupts.next() => return Ok(End::Interrupted(interrupt)),
                }
            }
            let in_the_middle = woken.is_some();
            loop {
                let wake = match woken.take() {
                    Some(wake) => wake,
                    None => self.wait().await,
                };
                match wake {
                    WatchEvent::Changed => {}
                    WatchEvent::Interrupted(interrupt) => return Ok(End::Interrupted(interrupt)),
                    WatchEvent::Key(KeyAction::Quit) if in_the_middle => {
                        return Ok(End::Interrupted(Interrupt::Interrupt));
                    }
                    WatchEvent::Key(KeyAction::Quit) => return Ok(End::Quit),
                    WatchEvent::Key(KeyAction::Restart) => {
                        if let Some(interrupt) = self.restart().await {
                            return Ok(End::Interrupted(interrupt));
                        }
                        if !in_the_middle {
                            continue;
                        }
                        (self.notify)(Notice::Begun);
                    }
                    WatchEvent::Key(action) => {
                        only_failed = match action {
                            KeyAction::Failed => true,
                            KeyAction::All => false,
                            _ => only_failed,
                        };
                        widened &= action != KeyAction::Failed;
                        settled = false;
                        (self.notify)(Notice::Begun);
                    }
                }
                break;
            }
        }
    }

    /// Takes note of a run, and tells of it; `settled` says whether its verdict is
    /// about all that is there.
    fn ran(&mut self, ran: Box<Ran>, settled: bool) {
        let artifacts = ran.artifacts.iter().map(PathBuf::as_path);
        self.sources.built(artifacts, &ran.compiled);
        if settled {
            self.sources.judged();
        }
        if ran.interrupted != Some(Interrupt::Superseded) {
            (self.notify)(Notice::Ran(ran));
            if self.sources.is_stale() {
                (self.notify)(Notice::Stale);
            }
        }
    }

    /// Where the engine that keeps roles up has ended, or was killed, or the home
    /// was removed with which it ends, begins another.
    async fn attach_again(&mut self, options: &testing::Options) -> Result<(), Error> {
        let gone = self.engine.has_ended().unwrap_or(false);
        if gone || !self.home.is_there() {
            // A manifest that is broken meanwhile is told by the loop.
            if let Ok((home, _)) = open(&options.places, |_| Ok(()), self.events) {
                let engine = attach(&home).await?;
                let former = std::mem::replace(&mut self.engine, engine);
                if !gone {
                    // What it runs is in the way of what is started now.
                    former.stop(PATIENCE).await;
                }
                self.home = home;
            }
        }
        Ok(())
    }

    /// One loop, and what ended it before its time.
    async fn cycle(
        &mut self,
        options: &testing::Options,
    ) -> (Result<Outcome, Error>, Option<WatchEvent>) {
        let superseder = self.interrupts.superseder();
        let events = self.sources.reading(self.events);
        let mut cycle = Box::pin(test(options, self.interrupts, &events));
        let attention = attend(&mut self.sources, self.keys, &self.home, &mut self.notify);
        tokio::select! {
            done = &mut cycle => (done, None),
            wake = attention => {
                // It brings down what it brought up; then the next begins.
                match wake {
                    WatchEvent::Key(KeyAction::Quit) => superseder.interrupt(),
                    _ => superseder.supersede(),
                }
                (cycle.await, Some(wake))
            }
        }
    }

    /// Waits for what begins the next loop, or ends it all.
    async fn wait(&mut self) -> WatchEvent {
        self.events.emit(Kind::Watching {
            files: self.sources.count(),
        });
        if self.keys.are_heard() {
            (self.notify)(Notice::Keys);
        }
        let attention = attend(&mut self.sources, self.keys, &self.home, &mut self.notify);
        tokio::select! {
            wake = attention => wake,
            interrupt = self.interrupts.next() => WatchEvent::Interrupted(interrupt),
        }
    }

    /// Starts the operational roles that run again; what interrupted it.
    async fn restart(&mut self) -> Option<Interrupt> {
        match keys::restart(
            &self.home,
            self.sources.places(),
            self.interrupts,
            self.events,
        )
        .await
        {
            Ok(false) => (self.notify)(Notice::NothingToRestart),
            // What was superseded was not this.
            Ok(true) | Err(Error::Interrupted(Interrupt::Superseded)) => {}
            Err(Error::Interrupted(interrupt)) => return Some(interrupt),
            Err(error) => (self.notify)(Notice::Refused(Box::new(error))),
        }
        None
    }
}

/// Waits for a change, or a key that does what only whoever loops can do.
async fn attend(
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

/// Whether nothing in the home was touched yet when this went wrong.
fn is_before_deploy(error: &Error) -> bool {
    matches!(
        error,
        Error::Cargo(_)
            | Error::Description(_)
            | Error::Manifest { .. }
            | Error::NoWorkspace(_)
            | Error::NotDescribed(_)
            | Error::NoTestRole { .. }
            | Error::NoRole { .. }
            | Error::Retired(_)
            | Error::NoTests { .. }
            | Error::Ambiguous { .. }
            | Error::NotInPackage { .. }
            | Error::NoExecutable { .. }
    )
}
