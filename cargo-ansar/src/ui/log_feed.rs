//! Serves pages of the merged logs of some roles, and new lines as they are
//! stored.

use std::time::Duration;

use ansar_contract::layout::Area;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use crate::home::Home;
use crate::host::fs::Error;
use crate::host::fs::changes::Changes;
use crate::host::process::rlimit;
use crate::logs::merge::Filter;
use crate::logs::window::{Anchor, Page, Window};
use crate::model::name::RoleName;
use crate::ui::update::{Update, Updates};

/// Least time between two looks for new lines.
const PAUSE: Duration = Duration::from_millis(100);
/// Number of looks without new lines after which the system reports the next
/// one. A report of each line would cost more than the looks while there are many.
const QUIET: u32 = 10;
/// Number of bytes that are read before requests are looked at again.
const BUDGET: usize = 8 << 20;
/// File descriptors that are needed besides those of logs.
const OTHER_FILES: u64 = 128;

/// A request for another part of the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRequest {
    /// Shows these roles. The page stays where it is, as far as possible.
    Select {
        /// The roles.
        roles: Vec<RoleName>,
        /// The lines that are shown.
        filter: Filter,
    },
    /// Shows this number of lines.
    Resize(usize),
    /// Moves the page by a number of lines; negative ones are older.
    Scroll(i64),
    /// Moves the page to the first or to the last line.
    Jump(Anchor),
}

/// The shown part of the logs of a home.
struct Feed {
    home: Home,
    window: Window,
    selected: (Vec<RoleName>, Option<Filter>),
    height: usize,
    /// Reports the next line, if there were none for a while.
    changes: Option<Changes>,
    /// Number of looks since there were new lines.
    quiet: u32,
    shown: Option<Page>,
}

/// Answers requests until there are no more, and sends new lines.
pub(super) async fn serve(
    home: Home,
    updates: Updates,
    mut requests: UnboundedReceiver<LogRequest>,
) {
    let mut feed = Feed {
        home,
        window: Window::empty(),
        selected: (Vec::new(), None),
        height: 0,
        changes: None,
        quiet: 0,
        shown: None,
    };
    let mut earliest = Instant::now();
    let mut is_complete = true;
    loop {
        let done = tokio::select! {
            biased;
            request = requests.recv() => {
                let Some(request) = request else {
                    return;
                };
                let mut done = feed.handle(request);
                while let Ok(request) = requests.try_recv() {
                    done = done.and(feed.handle(request));
                }
                done
            }
            () = std::future::ready(()), if !is_complete => Ok(()),
            () = new_lines(&mut feed.changes, earliest) => {
                earliest = Instant::now() + PAUSE;
                feed.look();
                Ok(())
            }
        };
        let loaded = done.and_then(|()| feed.window.load(feed.height, BUDGET));
        match loaded {
            Ok(complete) => {
                is_complete = complete;
                feed.send(&updates);
            }
            Err(error) => {
                is_complete = true;
                let text = crate::error::with_causes(&error);
                updates.send(Update::Trouble(text));
            }
        }
        if updates.is_closed() {
            return;
        }
    }
}

/// Waits until new lines may be stored, but not before `earliest`.
async fn new_lines(changes: &mut Option<Changes>, earliest: Instant) {
    sleep_until(earliest).await;
    if let Some(changes) = changes {
        changes.next().await;
    }
}

impl Feed {
    fn handle(&mut self, request: LogRequest) -> Result<(), Error> {
        match request {
            LogRequest::Select { roles, filter } => {
                self.selected = (roles, Some(filter));
                let anchor = self.window.anchor();
                self.open(anchor)?;
                self.changes = None;
                self.quiet = 0;
            }
            LogRequest::Resize(height) => self.height = height,
            LogRequest::Scroll(lines) => self.window.scroll(lines),
            LogRequest::Jump(anchor) => self.open(anchor)?,
        }
        Ok(())
    }

    fn open(&mut self, anchor: Anchor) -> Result<(), Error> {
        let (roles, Some(filter)) = &self.selected else {
            return Ok(());
        };
        // Too few descriptors are an error of the log that cannot be opened.
        let _ = rlimit::make_room(roles.len() as u64 + OTHER_FILES);
        let logs = roles.iter().map(|role| {
            let folder = self.home.folder(Area::Logs, role);
            (role.clone(), folder)
        });
        self.window = Window::open(logs.collect(), filter.clone(), anchor)?;
        Ok(())
    }

    /// Looks for new lines. Watches for the next one if there were none for a
    /// while.
    fn look(&mut self) {
        if self.window.refresh() {
            self.changes = None;
            self.quiet = 0;
            return;
        }
        self.quiet = self.quiet.saturating_add(1);
        if self.changes.is_some() || self.quiet % QUIET == 0 {
            self.watch();
            if self.window.refresh() {
                self.changes = None;
                self.quiet = 0;
            }
        }
    }

    /// Watches the folders of the logs, also those that were created meanwhile.
    /// Without room for more watches, the looks go on.
    fn watch(&mut self) {
        let Some(mut changes) = self.changes.take().or_else(|| Changes::new().ok()) else {
            return;
        };
        let mut folders = self.window.folders();
        if folders.all(|folder| changes.watch(folder).is_ok()) {
            self.changes = Some(changes);
        }
    }

    /// Sends the page, if it has changed.
    fn send(&mut self, updates: &Updates) {
        let page = self.window.page(self.height);
        if self.shown.as_ref() != Some(&page) {
            self.shown = Some(page.clone());
            updates.send(Update::Page(page));
        }
    }
}
