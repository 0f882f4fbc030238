//! Notification of changes in folders, without polling.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{self, Receiver};

/// Watched folders. Dropping this stops watching.
#[derive(Debug)]
pub struct Changes {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    events: Receiver<()>,
    changed: Arc<Mutex<BTreeMap<PathBuf, bool>>>,
}

impl Changes {
    /// Creates a watcher without folders.
    pub fn new() -> io::Result<Self> {
        let changed = Arc::new(Mutex::new(BTreeMap::new()));
        let gathered = changed.clone();
        let gather = move |event: &Event| {
            let is_created = !matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)));
            let mut changed = gathered.lock().unwrap_or_else(PoisonError::into_inner);
            for folder in event.paths.iter().filter_map(|path| path.parent()) {
                match changed.get_mut(folder) {
                    Some(known) => *known |= is_created,
                    None => drop(changed.insert(folder.to_owned(), is_created)),
                }
            }
            true
        };
        let (watcher, events) = kernel(gather).map_err(io::Error::other)?;
        Ok(Self {
            watcher,
            watched: BTreeSet::new(),
            events,
            changed,
        })
    }

    /// Returns the folders with changes since the last call. The value is true
    /// if files were created, removed or renamed there, and not only written.
    pub fn take(&mut self) -> BTreeMap<PathBuf, bool> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut changed)
    }

    /// Starts watching what is in `folder`. If it does not exist yet, its
    /// parents are watched, and this must be called again after a change.
    pub fn watch(&mut self, folder: &Path) -> io::Result<()> {
        // From the top down, so that no folder is created unnoticed between two
        // steps.
        let above: Vec<&Path> = folder.ancestors().collect();
        let there = above.iter().position(|folder| folder.is_dir());
        let Some(mut next) = there else {
            return Err(io::ErrorKind::NotFound.into());
        };
        loop {
            if !self.watched.contains(above[next]) {
                self.watcher
                    .watch(above[next], RecursiveMode::NonRecursive)
                    .map_err(io::Error::other)?;
                self.watched.insert(above[next].to_owned());
            }
            if next == 0 || !above[next - 1].is_dir() {
                return Ok(());
            }
            next -= 1;
        }
    }

    /// Waits for a change since the last call. Cancel safe.
    pub async fn next(&mut self) {
        // The sender lives in the watcher, so the channel is open.
        let _ = self.events.recv().await;
    }
}

/// Creates a kernel watcher, and a channel that is notified of events for which
/// `counts` returns true.
pub(crate) fn kernel(
    counts: impl Fn(&Event) -> bool + Send + 'static,
) -> notify::Result<(RecommendedWatcher, Receiver<()>)> {
    // One notification is enough, as the receiver looks at everything.
    let (tell, events) = mpsc::channel(1);
    let handler = move |event: notify::Result<Event>| {
        // Reading a file is not a change. An error counts as a change, since
        // events may have been missed.
        let is_change = |event: &Event| !matches!(event.kind, EventKind::Access(_));
        if event.map_or(true, |event| is_change(&event) && counts(&event)) {
            let _ = tell.try_send(());
        }
    };
    Ok((notify::recommended_watcher(handler)?, events))
}
