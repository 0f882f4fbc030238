//! Updates of the source, as plain data, and their way to one reader.

use jiff::Timestamp;
use tokio::sync::watch;

use crate::logs::window::Page;
use crate::model::run_report::RunReport;
use crate::ui::snapshot::Snapshot;

/// Something new to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// The roles.
    Roles(Snapshot),
    /// The last run, if there was one.
    LastRun(Option<Box<LastRun>>),
    /// A page of logs.
    Page(Page),
    /// Something cannot be read.
    Trouble(String),
}

/// The last run of a home.
#[derive(Debug, Clone, PartialEq)]
pub struct LastRun {
    /// Time of its end.
    pub at: Timestamp,
    /// Its report.
    pub report: RunReport,
}

/// Number of kinds of updates.
const KINDS: usize = 4;

/// Sends updates. The reader gets the latest of each kind, so that a reader that
/// stalls, such as a stopped terminal, costs no memory.
#[derive(Debug, Clone)]
pub(super) struct Updates([watch::Sender<Option<Update>>; KINDS]);

/// Receives updates.
#[derive(Debug)]
pub(super) struct Reader([watch::Receiver<Option<Update>>; KINDS]);

/// Returns both ends.
pub(super) fn channel() -> (Updates, Reader) {
    let updates = Updates(std::array::from_fn(|_| watch::Sender::new(None)));
    let reader = Reader(updates.0.each_ref().map(watch::Sender::subscribe));
    (updates, reader)
}

impl Updates {
    /// Replaces what the reader has not read of this kind.
    pub(super) fn send(&self, update: Update) {
        let kind = match &update {
            Update::Roles(_) => 0,
            Update::LastRun(_) => 1,
            Update::Page(_) => 2,
            Update::Trouble(_) => 3,
        };
        self.0[kind].send_replace(Some(update));
    }

    /// Returns true if there is no reader any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0[0].is_closed()
    }
}

impl Reader {
    /// Waits for the next update; forever if there can be none. Cancel safe.
    pub(super) async fn next(&mut self) -> Update {
        loop {
            let [roles, last_run, page, trouble] = &mut self.0;
            let kind = tokio::select! {
                Ok(()) = roles.changed() => 0,
                Ok(()) = last_run.changed() => 1,
                Ok(()) = page.changed() => 2,
                Ok(()) = trouble.changed() => 3,
                else => return std::future::pending().await,
            };
            let update = self.0[kind].borrow_and_update().clone();
            if let Some(update) = update {
                return update;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_update_of_each_kind_is_read() {
        let (updates, mut reader) = channel();
        for nth in 0..3 {
            updates.send(Update::Trouble(nth.to_string()));
        }
        updates.send(Update::LastRun(None));
        let mut read = [reader.next().await, reader.next().await];
        read.sort_by_key(|update| matches!(update, Update::LastRun(_)));
        let trouble = Update::Trouble("2".to_owned());
        assert_eq!(read, [trouble, Update::LastRun(None)]);
        assert!(!updates.is_closed());
        drop(reader);
        assert!(updates.is_closed());
    }
}
