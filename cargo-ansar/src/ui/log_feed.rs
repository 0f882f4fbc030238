//! Serves pages of the merged logs of some roles, and new lines as they are
//! stored.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::layout::Area;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until};

use crate::home::Home;
use crate::host::fs::Error;
use crate::host::fs::changes::Changes;
use crate::host::process::rlimit;
use crate::logs::merge::Filter;
use crate::logs::window::{Anchor, Page, Window};
use crate::model::name::RoleName;
use crate::ui::update::{Update, Updates};

/// Least time between two pages of new lines.
const PAUSE: Duration = Duration::from_millis(100);
/// Interval of looking for new lines where the system cannot report them.
const POLL: Duration = Duration::from_millis(500);
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
    changes: Option<Changes>,
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
        changes: Changes::new().ok(),
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
                feed.refresh();
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
                let text = crate::supervisor::with_causes(&error);
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
    match changes {
        Some(changes) => {
            sleep_until(earliest).await;
            changes.next().await;
        }
        None => sleep(POLL).await,
    }
}

impl Feed {
    fn handle(&mut self, request: LogRequest) -> Result<(), Error> {
        match request {
            LogRequest::Select { roles, filter } => {
                self.selected = (roles, Some(filter));
                let anchor = self.window.anchor();
                self.open(anchor)?;
                self.watch();
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

    /// Watches the folders of the logs.
    fn watch(&mut self) {
        if let Some(changes) = &mut self.changes {
            let mut folders = self.window.folders();
            if folders.any(|folder| changes.watch(folder).is_err()) {
                self.changes = None;
            }
        }
    }

    fn refresh(&mut self) {
        let changed = match &mut self.changes {
            Some(changes) => changes.take(),
            None => {
                let all = self.window.folders().map(|it| (it.to_owned(), true));
                all.collect::<BTreeMap<PathBuf, bool>>()
            }
        };
        let logs = self.home.area(Area::Logs);
        if changed
            .keys()
            .any(|folder| !folder.starts_with(&logs) || *folder == logs)
        {
            // The folder of a log may have been created.
            self.watch();
            let all = self.window.folders().map(|it| (it.to_owned(), true));
            let all = all.collect();
            self.window.refresh(&all);
        } else {
            self.window.refresh(&changed);
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
