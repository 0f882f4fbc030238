//! What is watched, and what was seen of it.

use std::path::{Path, PathBuf};

use crate::event::{Events, Kind};
use crate::host::watcher::{Limit, Watcher};
use crate::host::{checkout, files};
use crate::inputs::{Inputs, Roots};
use crate::ops::locate::{Places, Workspace};

/// How many files are more than a person saves at once.
const FEW: usize = 16;
/// How often is looked whether they are all.
const ROUNDS: usize = 20;

/// What is watched, and what was seen of it.
pub(super) struct Sight<'a> {
    watcher: Watcher,
    root: PathBuf,
    places: &'a Places,
    /// Files that each loop writes.
    written: Vec<PathBuf>,
    roots: Roots,
    seen: Inputs,
    events: &'a Events,
}

impl<'a> Sight<'a> {
    /// Looks at nothing yet. What each loop writes never counts.
    pub(super) fn new(
        places: &'a Places,
        root: &Path,
        written: &[PathBuf],
        events: &'a Events,
    ) -> Self {
        let (watcher, limit) = Watcher::new();
        let mut sight = Self {
            watcher,
            root: root.to_owned(),
            places,
            written: written.iter().map(|path| resolved(path)).collect(),
            roots: Roots::default(),
            seen: Inputs::default(),
            events,
        };
        sight.limited(limit);
        sight.unknown();
        sight
    }

    /// What was built is known: what it was built from counts.
    pub(super) fn built<'p>(&mut self, artefacts: impl IntoIterator<Item = &'p Path>) {
        let roots = self.roots_of(artefacts);
        self.turn_to(roots);
    }

    /// What will be built is not known: everything counts that did, and the
    /// whole workspace.
    pub(super) fn unknown(&mut self) {
        let roots = self.roots_of([]).and(self.roots.clone());
        self.turn_to(roots);
    }

    /// Looks elsewhere from now on. What happened there since the last look, and
    /// until it is watched, is told like any change.
    fn turn_to(&mut self, roots: Roots) {
        if roots != self.roots {
            self.seen = self.seen.within(&roots);
            self.roots = roots;
            let (_, limit) = self.watcher.follow(&self.seen.folders);
            self.limited(limit);
            self.watcher.tell();
        }
    }

    fn roots_of<'p>(&self, artefacts: impl IntoIterator<Item = &'p Path>) -> Roots {
        let workspace = self.places.workspace().ok().flatten();
        let snapshot = workspace.as_ref().and_then(Workspace::snapshot);
        let home = resolved(&self.places.home(workspace.as_ref()));
        let passed_over = std::iter::once(home).chain(self.written.iter().cloned());
        Roots::of(&self.root, artefacts, snapshot, passed_over.collect())
    }

    /// Where it is.
    pub(super) fn places(&self) -> &'a Places {
        self.places
    }

    /// How many files there are.
    pub(super) fn count(&self) -> usize {
        self.seen.count()
    }

    /// Takes what is there now as known.
    pub(super) fn look(&mut self) {
        self.seen = self.now();
    }

    /// What is there now. What happens to it from here on is told.
    fn now(&mut self) -> Inputs {
        let mut now = Inputs::look(&self.roots, &self.seen);
        loop {
            let (new, limit) = self.watcher.follow(&now.folders);
            self.limited(limit);
            if !new {
                return now;
            }
            // What happened before a folder was watched was not told.
            now = Inputs::look(&self.roots, &now);
        }
    }

    /// Waits until a file holds something else than what was seen, and says
    /// which; where more are to come, as in a checkout, only then. May be dropped in
    /// the middle: what was not told is told later.
    pub(super) async fn change(&mut self) {
        loop {
            self.watcher.next().await;
            let mut now = self.now();
            let mut changed = self.seen.changes(&now);
            let is_more_to_come = changed.len() > FEW
                || self.seen.is_halfway(&now)
                || (!changed.is_empty() && checkout::is_under_way(&self.root));
            if is_more_to_come {
                now = self.calm(now).await;
                changed = self.seen.changes(&now);
            }
            if !changed.is_empty() {
                self.events.emit(Kind::Changed {
                    files: self.relative(changed),
                });
                return;
            }
            let rewritten = self.seen.rewritten(&now);
            if !rewritten.is_empty() {
                self.events.emit(Kind::Rewritten {
                    files: self.relative(rewritten),
                });
            }
            self.seen = now;
        }
    }

    /// Waits until nothing changes any more, or for long enough. May be dropped
    /// in the middle.
    pub(super) async fn settle(&mut self) {
        let now = self.now();
        self.calm(now).await;
    }

    /// What is there once nothing changes any more since `now`.
    async fn calm(&mut self, mut now: Inputs) -> Inputs {
        for _ in 0..ROUNDS {
            self.watcher.calm().await;
            let later = self.now();
            let is_calm = now.changes(&later).is_empty();
            now = later;
            if is_calm && !checkout::is_under_way(&self.root) {
                break;
            }
        }
        now
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

/// A file or a folder by the name that a walk gives it, though it may not be
/// there yet.
fn resolved(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| files::resolve(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
