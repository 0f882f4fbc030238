//! Notification of changes in folders, without polling.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{self, Receiver};

/// Watched folders. Dropping this stops watching.
#[derive(Debug)]
pub struct Changes {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    events: Receiver<()>,
}

impl Changes {
    /// Creates a watcher without folders.
    pub fn new() -> io::Result<Self> {
        let (watcher, events) = kernel(|_| true).map_err(io::Error::other)?;
        Ok(Self {
            watcher,
            watched: BTreeSet::new(),
            events,
        })
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
