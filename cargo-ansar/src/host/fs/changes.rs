//! Tells that something in a folder changed, without looking again and again.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{self, Receiver};

/// Folders that are watched, until this is dropped.
#[derive(Debug)]
pub struct Changes {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    told: Receiver<()>,
}

impl Changes {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        let (watcher, told) = kernel(|_| true).map_err(io::Error::other)?;
        Ok(Self {
            watcher,
            watched: BTreeSet::new(),
            told,
        })
    }

    /// Watches what is in `folder` from now on. Where that is not there yet,
    /// the folders above tell when it comes; it is to be asked for again then.
    pub fn watch(&mut self, folder: &Path) -> io::Result<()> {
        // From above to below: what comes between two looks is told.
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

    /// Waits until something has changed since this was last told. May be
    /// dropped in the middle.
    pub async fn next(&mut self) {
        // The watcher lives as long as this, and so does its end.
        let _ = self.told.recv().await;
    }
}

/// Returns what has the kernel tell of changes, and what is told of them: of
/// those that `counts`.
pub(crate) fn kernel(
    counts: impl Fn(&Event) -> bool + Send + 'static,
) -> notify::Result<(RecommendedWatcher, Receiver<()>)> {
    // One is enough: whoever is told looks at everything.
    let (tell, told) = mpsc::channel(1);
    let heard = move |event: notify::Result<Event>| {
        // Looking is no change, and one's own looking least of all. What was
        // missed may have been one.
        let is_change = |event: &Event| !matches!(event.kind, EventKind::Access(_));
        if event.map_or(true, |event| is_change(&event) && counts(&event)) {
            let _ = tell.try_send(());
        }
    };
    Ok((notify::recommended_watcher(heard)?, told))
}
