//! `cargo ansar watch`: the whole loop at every save.
//!
//! Each loop is `test` and nothing else; operational roles stay up in between, in
//! an engine of this command's own. A change while it runs ends it, and the
//! next begins on the newest state. What was looked at before a loop is what
//! the next change is told by, so that nothing that is saved in between is
//! missed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::background;
use super::locate::{Places, Workspace};
use super::prepare::{Prepared, open};
use super::test::{self, Outcome, Ran, When, test};
use crate::event::{Events, Kind};
use crate::home::Home;
use crate::host::interrupts::{Interrupt, Interrupts};
use crate::host::process::{Narrative, Process};
use crate::host::watcher::{Limit, Watcher};
use crate::inputs::{Inputs, Roots};

/// What came of one loop.
#[derive(Debug)]
pub enum Loop {
    /// The tests were run.
    Ran(Box<Ran>),
    /// Everything is in place, and the tests were not run: that was not wanted,
    /// or nothing that is deployed has changed, and the verdict of the last loop
    /// stands.
    Prepared,
    /// It could not be done; what runs goes on, and the verdict of the last
    /// loop is stale.
    Failed(Box<Error>),
}

/// Runs loops until it is interrupted, and hands what came of each to `told`;
/// what interrupted it.
///
/// The error is that there is nothing to watch.
pub async fn watch(
    options: test::Options,
    interrupts: &mut Interrupts,
    events: &Events,
    mut told: impl FnMut(Loop),
) -> Result<Interrupt, Error> {
    let workspace = options.places.needed_workspace()?;
    let places = options.places.clone();
    let home = open(&places, events)?;
    let engine = attach(&home).await?;
    let interrupt = loops(options, &workspace.root, interrupts, events, &mut told).await;
    engine.stop(PATIENCE).await;
    Ok(interrupt)
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
    let program = background::engine(home, &["--attached"]).map_err(failed)?;
    let engine = Process::start(&program, Narrative::Inherited).await;
    let mut engine = engine.map_err(failed)?;
    engine.is_silent().await.map_err(failed)?;
    Ok(engine)
}

/// Loops until it is interrupted.
async fn loops(
    mut options: test::Options,
    root: &Path,
    interrupts: &mut Interrupts,
    events: &Events,
    told: &mut impl FnMut(Loop),
) -> Interrupt {
    let places = options.places.clone();
    let mut sight = Sight::new(&places, root, events);
    // Whether there is a verdict about what is deployed.
    let mut settled = false;
    loop {
        sight.look();
        options.run = match options.run {
            When::Never => When::Never,
            _ if settled => When::Changed,
            _ => When::Always,
        };
        let superseder = interrupts.superseder();
        let mut cycle = Box::pin(test(&options, interrupts, events));
        let (done, changed) = tokio::select! {
            done = &mut cycle => (done, false),
            () = sight.change() => {
                // It brings down what it brought up; then the next begins.
                superseder.supersede();
                ((&mut cycle).await, true)
            }
        };
        drop(cycle);
        interrupts.forget();
        match done {
            Ok(Outcome::Ran(ran)) => {
                let interrupted = ran.interrupted;
                settled = interrupted.is_none();
                sight.built(ran.artefacts.iter().map(PathBuf::as_path));
                match interrupted {
                    Some(Interrupt::Superseded) => {}
                    _ => told(Loop::Ran(ran)),
                }
                if let Some(interrupt) = interrupted.filter(|i| *i != Interrupt::Superseded) {
                    return interrupt;
                }
            }
            Ok(Outcome::Prepared(prepared)) => {
                let Prepared { artefacts, .. } = *prepared;
                sight.built(artefacts.values().map(PathBuf::as_path));
                told(Loop::Prepared);
            }
            Err(Error::Interrupted(Interrupt::Superseded)) => settled = false,
            Err(Error::Interrupted(interrupt)) => return interrupt,
            Err(error) => {
                settled &= is_before_deploy(&error);
                sight.unknown();
                told(Loop::Failed(Box::new(error)));
            }
        }
        if !changed {
            events.emit(Kind::Watching {
                files: sight.count(),
            });
            tokio::select! {
                () = sight.change() => {}
                interrupt = interrupts.next() => return interrupt,
            }
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
            | Error::NoTestRole(_)
            | Error::Ambiguous { .. }
            | Error::NotInPackage { .. }
            | Error::NoExecutable { .. }
    )
}

/// What is watched, and what was seen of it.
struct Sight<'a> {
    watcher: Watcher,
    root: PathBuf,
    places: &'a Places,
    roots: Roots,
    seen: Inputs,
    events: &'a Events,
}

impl<'a> Sight<'a> {
    fn new(places: &'a Places, root: &Path, events: &'a Events) -> Self {
        let (watcher, limit) = Watcher::new();
        let mut sight = Self {
            watcher,
            root: root.to_owned(),
            places,
            roots: Roots::default(),
            seen: Inputs::default(),
            events,
        };
        sight.limited(limit);
        sight.unknown();
        sight
    }

    /// What was built is known: what it was built from counts.
    fn built<'p>(&mut self, artefacts: impl IntoIterator<Item = &'p Path>) {
        let workspace = self.places.workspace().ok().flatten();
        let snapshot = workspace.as_ref().and_then(Workspace::snapshot);
        let home = self.places.home(workspace.as_ref());
        self.roots = Roots::of(&self.root, artefacts, snapshot, &home);
        self.seen = self.seen.within(&self.roots);
    }

    /// Nothing is known: everything counts.
    fn unknown(&mut self) {
        self.built([]);
    }

    fn count(&self) -> usize {
        self.seen.count()
    }

    /// Takes what is there now as known.
    fn look(&mut self) {
        self.seen = Inputs::look(&self.roots, &self.seen);
        let (new, limit) = self.watcher.follow(&self.seen.folders);
        self.limited(limit);
        if new {
            // What happened before a folder was watched was not told.
            self.seen = Inputs::look(&self.roots, &self.seen);
        }
    }

    /// Waits until a file holds something else than what was seen, and says
    /// which. May be dropped in the middle: what was not told is told later.
    async fn change(&mut self) {
        loop {
            self.watcher.next().await;
            let now = Inputs::look(&self.roots, &self.seen);
            let (_, limit) = self.watcher.follow(&now.folders);
            self.limited(limit);
            let changed = self.seen.changes(&now);
            let rewritten = self.seen.rewritten(&now);
            if !changed.is_empty() {
                self.events.emit(Kind::Changed {
                    files: self.relative(changed),
                });
                return;
            }
            if !rewritten.is_empty() {
                self.events.emit(Kind::Rewritten {
                    files: self.relative(rewritten),
                });
            }
            self.seen = now;
        }
    }

    fn limited(&self, limit: Option<Limit>) {
        if let Some(Limit(limit)) = limit {
            self.events.emit(Kind::Polling {
                limit: limit.to_owned(),
            });
        }
    }

    fn relative(&self, files: Vec<PathBuf>) -> Vec<PathBuf> {
        let files = files.into_iter();
        files
            .map(|file| match file.strip_prefix(&self.root) {
                Ok(relative) => relative.to_owned(),
                Err(_) => file,
            })
            .collect()
    }
}
