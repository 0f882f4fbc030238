//! Watched source files and their last known state.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::events::{DeployEvent, Events, Kind, SourceEvent};
use crate::host::fs;
use crate::host::fs::watch::{LOOK_AGAIN, Limit, Watched, Watcher};
use crate::watch::git;
use crate::watch::inputs::{CargoFolders, Compiled, Inputs, Roots};
use crate::watch::origin::{Change, Decision, Origins, Spans};
use crate::workspace::{Places, Workspace};

/// Number of changed files above which more are expected, as in a checkout.
const FEW: usize = 16;
/// Maximum number of checks for further changes.
const ROUNDS: usize = 20;

/// Watched source files and their last known state.
pub(crate) struct Sources<'a> {
    watcher: Watcher,
    root: PathBuf,
    places: &'a Places,
    /// Files that each loop writes.
    written: Vec<PathBuf>,
    roots: Roots,
    seen: Inputs,
    /// State of the inputs when the current loop began.
    begun: Inputs,
    /// Roots and state of the inputs that the last verdict is about.
    judged: Option<(Roots, Inputs)>,
    compiled: Compiled,
    /// Sources that have changed and were not compiled.
    missed: Vec<PathBuf>,
    origins: Origins,
    /// Changes that were reported, and begin a loop after the build.
    announced: BTreeSet<PathBuf>,
    /// True if changes wait for the end of the build.
    has_pending: bool,
    /// Phases of the current or last loop.
    spans: Arc<watch::Sender<Spans>>,
    news: watch::Receiver<Spans>,
    events: &'a Events,
}

impl<'a> Sources<'a> {
    /// Creates the sources without reading them. Files in `written` never
    /// count. If `poll` is set, changes are looked for at this interval.
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
            has_pending: false,
            spans: Arc::new(spans),
            news,
            events,
        };
        sources.report_limit(limit);
        let roots = sources.unknown();
        sources.set_roots(roots);
        sources
    }

    /// Returns an event stream from which this learns when a build begins and
    /// ends.
    pub(crate) fn reading(&self, events: &Events) -> Events {
        let spans = self.spans.clone();
        events.read_by(move |event| {
            let now = Some(fs::now_ns());
            match event.kind {
                Kind::Deploy(DeployEvent::Building {}) => {
                    spans.send_modify(|spans| spans.building = now);
                }
                Kind::Deploy(DeployEvent::Built {}) => spans.send_modify(|spans| spans.built = now),
                _ => {}
            }
        })
    }

    /// Records the state of the sources at the beginning of a loop.
    pub(crate) fn begin(&mut self) {
        self.spans.send_replace(Spans::default());
        self.announced.clear();
        self.has_pending = false;
        self.seen = self.now();
        self.begun = self.seen.clone();
    }

    /// Records the end of the loop.
    pub(crate) fn end(&mut self) {
        let now = Some(fs::now_ns());
        self.spans.send_modify(|spans| spans.ended = now);
    }

    /// Watches the sources of a finished build. `packages` are the manifests of
    /// the packages that were compiled.
    pub(crate) fn built<'p>(
        &mut self,
        artifacts: impl IntoIterator<Item = &'p Path>,
        packages: &BTreeSet<PathBuf>,
    ) {
        let (place, snapshot, passed_over) = self.locations();
        let roots = Roots::of(place, artifacts, snapshot, passed_over);
        let roots = self.described(roots);
        self.missed = self.compiled.built(&roots, &self.begun, packages);
        self.set_roots(roots);
        if !self.missed.is_empty() {
            let files = self.missed.clone();
            self.events.emit(SourceEvent::Uncompiled { files });
        }
    }

    /// Returns true if sources have changed that the last build did not
    /// compile.
    pub(crate) fn is_stale(&self) -> bool {
        !self.missed.is_empty()
    }

    /// Watches the whole workspace after a failed build, and files that the
    /// build may have missed.
    pub(crate) fn failed(&mut self) {
        let roots = self.unknown().and(self.roots.clone()).with_sources();
        self.compiled.interrupted(&self.begun);
        self.set_roots(roots);
    }

    /// Records that the loop was interrupted; it may have compiled anything.
    pub(crate) fn superseded(&mut self) {
        self.compiled.interrupted(&self.begun);
    }

    /// Records that the verdict is about the state at the beginning of the
    /// loop.
    pub(crate) fn judged(&mut self) {
        self.judged = Some((self.roots.clone(), self.begun.clone()));
    }

    /// Returns true if a file that Cargo does not track differs from the state
    /// of the last verdict. Only the tests know the meaning of such a file.
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

    /// Watches other roots. Changes there since the last read, including those
    /// before the watch begins, are reported as usual.
    fn set_roots(&mut self, roots: Roots) {
        if roots != self.roots {
            self.seen = self.seen.within(&roots);
            self.begun = self.begun.within(&roots);
            self.roots = roots;
            self.follow(&self.seen.watched.clone());
            self.watcher.tell();
        }
    }

    /// Returns the roots of a workspace of which no build is known.
    fn unknown(&self) -> Roots {
        let (place, snapshot, passed_over) = self.locations();
        self.described(Roots::unknown(place, snapshot, passed_over))
    }

    /// Adds what the roles of the workspace name.
    fn described(&self, roots: Roots) -> Roots {
        let workspace = self.places.workspace().ok().flatten();
        match workspace.and_then(|workspace| workspace.description) {
            Some(description) => roots.with_described(&self.root, &description),
            None => roots,
        }
    }

    /// Returns the place of Cargo, the snapshot, and paths that never count.
    fn locations(&self) -> (CargoFolders<'_>, Option<PathBuf>, Vec<PathBuf>) {
        let workspace = self.places.workspace().ok().flatten();
        let snapshot = workspace.as_ref().and_then(Workspace::snapshot);
        let home = resolved(&self.places.home(workspace.as_ref()));
        let passed_over = std::iter::once(home).chain(self.written.iter().cloned());
        let place = CargoFolders {
            workspace: &self.root,
            folder: &self.places.folder,
        };
        (place, snapshot, passed_over.collect())
    }

    /// Returns the number of files.
    pub(crate) fn count(&self) -> usize {
        self.seen.count()
    }

    /// Reads the current state, after making sure that later changes are
    /// reported.
    fn now(&mut self) -> Inputs {
        let mut now = Inputs::read(&self.roots, &self.seen);
        loop {
            if !self.follow(&now.watched) {
                return now;
            }
            // Changes before a folder was watched were not reported.
            now = Inputs::read(&self.roots, &now);
        }
    }

    /// Watches exactly these paths. Returns true if any of them is new.
    fn follow(&mut self, watched: &Watched) -> bool {
        let (new, limit) = self.watcher.follow(watched);
        self.report_limit(limit);
        if new {
            if let Some(untold) = self.watcher.poll_unreported(watched) {
                self.events.emit(SourceEvent::Untold {
                    folder: untold.folder,
                    filesystem: untold.filesystem.to_owned(),
                    interval: LOOK_AGAIN,
                });
            }
        }
        new
    }

    /// Waits until the contents of a file change, and reports the file. If more
    /// changes are to be expected, as in a checkout, waits for them first.
    ///
    /// Cancel safe: unreported changes are reported by the next call.
    pub(crate) async fn change(&mut self) {
        loop {
            tokio::select! {
                () = self.watcher.next() => {}
                // Changes that waited for the end of a build count now.
                _ = self.news.changed(), if self.has_pending => {}
            }
            let mut now = self.now();
            let mut changed = self.seen.changes(&now);
            let is_more_to_come = changed.len() > FEW
                || self.seen.is_mid_save(&now)
                || (!changed.is_empty() && git::is_under_way(&self.root));
            if is_more_to_come {
                now = self.wait_unchanged(now).await;
                changed = self.seen.changes(&now);
            }
            let touched = self.seen.rewritten(&now);
            if self.decide(changed, now) || self.decide_rewritten(touched) {
                return;
            }
        }
    }

    /// Decides about changed files. Returns true if a loop begins. Otherwise,
    /// the new state is recorded except for changes that wait.
    fn decide(&mut self, changed: Vec<PathBuf>, mut now: Inputs) -> bool {
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
            self.events.emit(SourceEvent::Written { files, by });
        }
        let begins = !counted.is_empty();
        let reported = counted.into_iter().chain(announced);
        let reported: Vec<PathBuf> = reported.filter(|it| !self.announced.contains(it)).collect();
        self.announced.extend(reported.iter().cloned());
        if !reported.is_empty() {
            let files = self.relative(reported);
            self.events.emit(SourceEvent::Changed { files });
        }
        if !begins {
            let held: Vec<PathBuf> = changed
                .into_iter()
                .filter(|path| !forgotten.contains(path))
                .collect();
            self.has_pending = !held.is_empty();
            now.take(&held, &self.seen);
            self.seen = now;
        }
        begins
    }

    /// Decides about files that were rewritten with the same contents. Returns
    /// true if a loop begins: Cargo now compiles a change that it missed
    /// before.
    fn decide_rewritten(&mut self, mut touched: Vec<PathBuf>) -> bool {
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
            Kind::Source(SourceEvent::Changed { files })
        } else {
            Kind::Source(SourceEvent::Rewritten { files })
        });
        begins
    }

    /// Waits until nothing changes any more, with a limit. Cancel safe.
    pub(crate) async fn wait_quiet(&mut self) {
        let now = self.now();
        self.wait_unchanged(now).await;
    }

    /// Returns the state once nothing has changed since `now`.
    async fn wait_unchanged(&mut self, mut now: Inputs) -> Inputs {
        for _ in 0..ROUNDS {
            self.watcher.wait_until_calm().await;
            let later = self.now();
            let is_calm = now.changes(&later).is_empty();
            now = later;
            if is_calm && !git::is_under_way(&self.root) {
                break;
            }
        }
        now
    }

    fn report_limit(&self, limit: Option<Limit>) {
        if let Some(Limit(limit)) = limit {
            self.events.emit(SourceEvent::Polling {
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

/// Resolves the folder of a path that may not exist yet.
fn resolved(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| fs::resolve(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
