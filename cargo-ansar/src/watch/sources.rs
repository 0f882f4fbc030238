//! What is watched, and what was seen of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::events::{Events, Kind};
use crate::host::fs;
use crate::host::fs::watch::{LOOK_AGAIN, Limit, Watched, Watcher};
use crate::watch::git;
use crate::watch::inputs::{Compiled, Inputs, Place, Roots};
use crate::watch::origin::{Change, Decision, Origins, Spans};
use crate::workspace::{Places, Workspace};

/// How many files are more than a person saves at once.
const FEW: usize = 16;
/// How often is looked whether they are all.
const ROUNDS: usize = 20;

/// What is watched, and what was seen of it.
pub(crate) struct Sources<'a> {
    watcher: Watcher,
    root: PathBuf,
    places: &'a Places,
    /// Files that each loop writes.
    written: Vec<PathBuf>,
    roots: Roots,
    seen: Inputs,
    /// The inputs as they were when the current loop began.
    begun: Inputs,
    /// The inputs that the last verdict is about, and which ones these are.
    judged: Option<(Roots, Inputs)>,
    compiled: Compiled,
    /// Sources that have changed and were not compiled.
    missed: Vec<PathBuf>,
    origins: Origins,
    /// Changes that were told, and begin a loop once the build is over.
    announced: BTreeSet<PathBuf>,
    /// True if changes wait for the end of the build.
    is_holding: bool,
    /// What the current or last loop does.
    spans: Arc<watch::Sender<Spans>>,
    news: watch::Receiver<Spans>,
    events: &'a Events,
}

impl<'a> Sources<'a> {
    /// Looks at nothing yet. What each loop writes never counts. Where `poll` is
    /// set, changes are looked for at this interval.
    pub(crate) fn new(
        places: &'a Places,
        root: &Path,
        written: &[PathBuf],
        poll: Option<Duration>,
        events: &'a Events,
    ) -> Self {
        let (watcher, limit) = Watcher::new(poll);
        let (spans, news) = watch::channel(Spans::default());
        let mut sources = Self {
            watcher,
            root: root.to_owned(),
            places,
            written: written.iter().map(|path| resolved(path)).collect(),
            roots: Roots::default(),
            seen: Inputs::default(),
            begun: Inputs::default(),
            judged: None,
            compiled: Compiled::default(),
            missed: Vec::new(),
            origins: Origins::default(),
            announced: BTreeSet::new(),
            is_holding: false,
            spans: Arc::new(spans),
            news,
            events,
        };
        sources.limited(limit);
        let roots = sources.unknown();
        sources.turn_to(roots);
        sources
    }

    /// Returns a way into the stream that tells this when a build begins and
    /// ends.
    pub(crate) fn reading(&self, events: &Events) -> Events {
        let spans = self.spans.clone();
        events.read_by(move |event| {
            let now = Some(fs::now_ns());
            match event.kind {
                Kind::Building {} => spans.send_modify(|spans| spans.building = now),
                Kind::Built {} => spans.send_modify(|spans| spans.built = now),
                _ => {}
            }
        })
    }

    /// A loop begins: what is there now is known.
    pub(crate) fn begin(&mut self) {
        self.spans.send_replace(Spans::default());
        self.announced.clear();
        self.is_holding = false;
        self.seen = self.now();
        self.begun = self.seen.clone();
    }

    /// The loop has ended.
    pub(crate) fn end(&mut self) {
        let now = Some(fs::now_ns());
        self.spans.send_modify(|spans| spans.ended = now);
    }

    /// What was built is known: what it was built from counts. `packages` are
    /// the manifests of the packages that were compiled.
    pub(crate) fn built<'p>(
        &mut self,
        artifacts: impl IntoIterator<Item = &'p Path>,
        packages: &BTreeSet<PathBuf>,
    ) {
        let (place, snapshot, passed_over) = self.around();
        let roots = Roots::of(place, artifacts, snapshot, passed_over);
        self.missed = self.compiled.built(&roots, &self.begun, packages);
        self.turn_to(roots);
        if !self.missed.is_empty() {
            let files = self.missed.clone();
            self.events.emit(Kind::Uncompiled { files });
        }
    }

    /// Returns true if sources have changed that the last build did not compile.
    pub(crate) fn is_stale(&self) -> bool {
        !self.missed.is_empty()
    }

    /// The build failed: everything counts that did, the whole workspace, and
    /// what the build may have missed.
    pub(crate) fn failed(&mut self) {
        let roots = self.unknown().and(self.roots.clone()).with_sources();
        self.compiled.interrupted(&self.begun);
        self.turn_to(roots);
    }

    /// The loop was ended in the middle; what it compiled is not known.
    pub(crate) fn superseded(&mut self) {
        self.compiled.interrupted(&self.begun);
    }

    /// There is a verdict, about what was there when the loop began.
    pub(crate) fn judged(&mut self) {
        self.judged = Some((self.roots.clone(), self.begun.clone()));
    }

    /// Returns true if a file differs from what the last verdict is about of
    /// which only the tests can know what it is for: Cargo knows its own.
    pub(crate) fn is_unjudged(&self) -> bool {
        let Some((roots, inputs)) = &self.judged else {
            return true;
        };
        let changes = inputs.changes(&self.seen);
        changes.iter().any(|path| {
            let is_known = roots.files.contains(path) || self.roots.files.contains(path);
            roots.holds(path) && !is_known && !self.origins.is_written(path)
        })
    }

    /// Looks elsewhere from now on. What happened there since the last look, and
    /// until it is watched, is told like any change.
    fn turn_to(&mut self, roots: Roots) {
        if roots != self.roots {
            self.seen = self.seen.within(&roots);
            self.begun = self.begun.within(&roots);
            self.roots = roots;
            self.follow(&self.seen.watched.clone());
            self.watcher.tell();
        }
    }

    /// What counts where nothing is known of what was built.
    fn unknown(&self) -> Roots {
        let (place, snapshot, passed_over) = self.around();
        Roots::unknown(place, snapshot, passed_over)
    }

    /// Where Cargo runs, the materials, and what never counts.
    fn around(&self) -> (Place<'_>, Option<PathBuf>, Vec<PathBuf>) {
        let workspace = self.places.workspace().ok().flatten();
        let snapshot = workspace.as_ref().and_then(Workspace::snapshot);
        let home = resolved(&self.places.home(workspace.as_ref()));
        let passed_over = std::iter::once(home).chain(self.written.iter().cloned());
        let place = Place {
            workspace: &self.root,
            folder: &self.places.folder,
        };
        (place, snapshot, passed_over.collect())
    }

    /// Where it is.
    pub(crate) fn places(&self) -> &'a Places {
        self.places
    }

    /// How many files there are.
    pub(crate) fn count(&self) -> usize {
        self.seen.count()
    }

    /// What is there now. What happens to it from here on is told.
    fn now(&mut self) -> Inputs {
        let mut now = Inputs::look(&self.roots, &self.seen);
        loop {
            if !self.follow(&now.watched) {
                return now;
            }
            // What happened before a folder was watched was not told.
            now = Inputs::look(&self.roots, &now);
        }
    }

    /// Has changes told of exactly this, and says whether any of it is new.
    fn follow(&mut self, watched: &Watched) -> bool {
        let (new, limit) = self.watcher.follow(watched);
        self.limited(limit);
        if new && let Some(untold) = self.watcher.distrust(watched) {
            self.events.emit(Kind::Untold {
                folder: untold.folder,
                filesystem: untold.filesystem.to_owned(),
                interval: LOOK_AGAIN,
            });
        }
        new
    }

    /// Waits until a file holds something else than what was seen, and says
    /// which; where more are to come, as in a checkout, only then. May be dropped in
    /// the middle: what was not told is told later.
    pub(crate) async fn change(&mut self) {
        loop {
            tokio::select! {
                () = self.watcher.next() => {}
                // What waits for the end of a build counts now.
                _ = self.news.changed(), if self.is_holding => {}
            }
            let mut now = self.now();
            let mut changed = self.seen.changes(&now);
            let is_more_to_come = changed.len() > FEW
                || self.seen.is_halfway(&now)
                || (!changed.is_empty() && git::is_under_way(&self.root));
            if is_more_to_come {
                now = self.calm(now).await;
                changed = self.seen.changes(&now);
            }
            let touched = self.seen.rewritten(&now);
            if self.counts(changed, now) || self.counts_touched(touched) {
                return;
            }
        }
    }

    /// Decides about files that hold something else now. Returns true if a loop
    /// begins; where none does, what is there now is known but for what waits.
    fn counts(&mut self, changed: Vec<PathBuf>, mut now: Inputs) -> bool {
        let spans = *self.news.borrow_and_update();
        let described = |path: &PathBuf| Change {
            at_ns: now.changed_at(path).unwrap_or(i64::MAX),
            comes_or_goes: self.seen.has(path) != now.has(path),
            is_source: self.roots.files.contains(path)
                || path.extension().is_some_and(|extension| extension == "rs"),
            path: path.clone(),
        };
        let descriptions: Vec<Change> = changed.iter().map(described).collect();
        let Decision {
            counted,
            announced,
            forgotten,
            named,
        } = self
            .origins
            .next(&descriptions, spans, self.roots.runs_at_build);
        for (by, files) in named {
            let files = self.relative(files);
            self.events.emit(Kind::Written { files, by });
        }
        let begins = !counted.is_empty();
        let told = counted.into_iter().chain(announced);
        let told: Vec<PathBuf> = told.filter(|it| !self.announced.contains(it)).collect();
        self.announced.extend(told.iter().cloned());
        if !told.is_empty() {
            let files = self.relative(told);
            self.events.emit(Kind::Changed { files });
        }
        if !begins {
            let held: Vec<PathBuf> = changed
                .into_iter()
                .filter(|path| !forgotten.contains(path))
                .collect();
            self.is_holding = !held.is_empty();
            now.take(&held, &self.seen);
            self.seen = now;
        }
        begins
    }

    /// Decides about files that were written with what they held. Returns true if
    /// a loop begins: Cargo compiles now what it did not compile before.
    fn counts_touched(&mut self, mut touched: Vec<PathBuf>) -> bool {
        let spans = *self.news.borrow();
        touched.retain(|path| {
            let at_ns = self.seen.changed_at(path).unwrap_or(i64::MAX);
            spans.is_idle_at(at_ns)
        });
        if touched.is_empty() {
            return false;
        }
        let begins = touched.iter().any(|path| self.missed.contains(path));
        let files = self.relative(touched);
        self.events.emit(if begins {
            Kind::Changed { files }
        } else {
            Kind::Rewritten { files }
        });
        begins
    }

    /// Waits until nothing changes any more, or for long enough. May be dropped
    /// in the middle.
    pub(crate) async fn settle(&mut self) {
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
            if is_calm && !git::is_under_way(&self.root) {
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
    let folder = path.parent().and_then(|folder| fs::resolve(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
