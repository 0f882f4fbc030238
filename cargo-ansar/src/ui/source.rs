//! The source of what is shown: attaches to the engines of a home, and reads
//! its logs and its last run.
//!
//! Two threads work for it, so that a reader of its updates never waits for a
//! file: one for the roles, one for the logs. Engines send events of their roles,
//! and the file system reports new engines, starts and ends, and the first new log
//! line. Only resource usage is sampled, and logs while lines are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::thread;
use std::time::Duration;

use ansar_contract::layout::Area;
use jiff::Timestamp;
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedSender};
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::error::Error;
use crate::events::{Events, Until};
use crate::home::Home;
use crate::home::role::Entry;
use crate::host::clock;
use crate::host::fs::changes::Changes;
use crate::host::fs::fingerprint::{Stat, stat};
use crate::host::process::usage;
use crate::model::name::RoleName;
use crate::model::role_search::RolePattern;
use crate::protocol::RequestKind;
use crate::supervisor::client::{Next, Running, ask, find_engines};
use crate::ui::log_feed;
use crate::ui::log_feed::LogRequest;
use crate::ui::snapshot::{LastEnd, Parts, Snapshot};
use crate::ui::update;
use crate::ui::update::{LastRun, Update, Updates};

/// Interval of samples of resource usage.
const SAMPLE: Duration = Duration::from_secs(2);
/// Least time between two snapshots.
const PAUSE: Duration = Duration::from_millis(150);

/// The source of updates. Dropping it detaches from the engines.
#[derive(Debug)]
pub struct Source {
    updates: update::Reader,
    logs: UnboundedSender<LogRequest>,
    refresh: Sender<()>,
}

impl Source {
    /// Attaches to a home. `tests` selects the names of test roles.
    pub fn attach(home: &Home, tests: RolePattern) -> io::Result<Self> {
        let (send, updates) = update::channel();
        let (logs, log_requests) = mpsc::unbounded_channel();
        let (refresh, refreshes) = mpsc::channel(1);
        let roles = (home.clone(), send.clone());
        on_a_thread("roles", move || {
            Roles::watch(roles.0, tests, roles.1, refreshes)
        })?;
        let home = home.clone();
        on_a_thread("logs", move || log_feed::serve(home, send, log_requests))?;
        Ok(Self {
            updates,
            logs,
            refresh,
        })
    }

    /// Waits for the next update; forever if there can be none. Cancel safe.
    pub async fn next(&mut self) -> Update {
        self.updates.next().await
    }

    /// Requests another part of the logs; an [`Update::Page`] answers.
    pub fn show_logs(&self, request: LogRequest) {
        // The receiver lives as long as its thread.
        let _ = self.logs.send(request);
    }

    /// Looks at the roles now.
    pub fn refresh(&self) {
        // One pending request is enough.
        let _ = self.refresh.try_send(());
    }
}

/// Runs a task on a thread of its own. The thread ends with the task.
fn on_a_thread<F: Future<Output = ()>>(
    name: &str,
    task: impl FnOnce() -> F + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || LocalSet::new().block_on(&runtime, task()))?;
    Ok(())
}

/// Watches the roles of a home.
struct Roles {
    home: Home,
    tests: RolePattern,
    updates: Updates,
    changes: Option<Changes>,
    /// Conversations with engines, by process id: the roles whose events they
    /// report.
    conversations: BTreeMap<u32, (BTreeSet<RoleName>, AbortHandle)>,
    /// Notified of an event of a role.
    events: (Sender<()>, Receiver<()>),
    entries: BTreeMap<RoleName, Entry>,
    ends: BTreeMap<RoleName, LastEnd>,
    journals: BTreeMap<RoleName, Stat>,
    before: (Timestamp, BTreeMap<u32, usage::Usage>),
    usage: (Timestamp, BTreeMap<u32, usage::Usage>),
    last_run: Option<Stat>,
    trouble: Option<String>,
}

impl Roles {
    /// Sends updates until there is no receiver.
    async fn watch(home: Home, tests: RolePattern, updates: Updates, mut refreshes: Receiver<()>) {
        let mut roles = Self {
            home,
            tests,
            updates,
            changes: Changes::new().ok(),
            conversations: BTreeMap::new(),
            events: mpsc::channel(1),
            entries: BTreeMap::new(),
            ends: BTreeMap::new(),
            journals: BTreeMap::new(),
            before: (clock::now(), BTreeMap::new()),
            usage: (clock::now(), BTreeMap::new()),
            last_run: None,
            trouble: None,
        };
        let mut samples = interval(SAMPLE);
        samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut earliest = Instant::now();
        loop {
            let changed = async {
                match &mut roles.changes {
                    Some(changes) => changes.next().await,
                    None => std::future::pending().await,
                }
            };
            let is_sample = tokio::select! {
                () = changed => false,
                _ = roles.events.1.recv() => false,
                _ = samples.tick() => true,
                asked = refreshes.recv() => match asked {
                    Some(()) => false,
                    None => return,
                },
            };
            sleep_until(earliest).await;
            let looked = roles.look(is_sample).await;
            let trouble = looked.err().map(|error| crate::error::with_causes(&error));
            if trouble != roles.trouble {
                roles.trouble.clone_from(&trouble);
                if let Some(text) = trouble {
                    roles.updates.send(Update::Trouble(text));
                }
            }
            if roles.updates.is_closed() {
                return;
            }
            earliest = Instant::now() + PAUSE;
        }
    }

    /// Looks at everything, and sends what is new.
    async fn look(&mut self, is_sample: bool) -> Result<(), Error> {
        self.watch_folders();
        self.read_last_run()?;
        let folders = self.changes.as_mut().map(Changes::take);
        let entries = self.home.area(Area::Entry);
        if self.entries.is_empty() || folders.is_none_or(|it| it.contains_key(&entries)) {
            self.entries = self.home.entries()?;
        }
        let engines = find_engines(&self.home, &Events::new(|_| {})).await?;
        self.converse(&engines.answering);
        if is_sample {
            let usage = (clock::now(), usage::by_group());
            self.before = std::mem::replace(&mut self.usage, usage);
        }
        let running: BTreeSet<RoleName> = engines.roles().into_keys().cloned().collect();
        self.read_ends(&running)?;
        let ports = self.home.ports()?;
        let snapshot = Snapshot::of(&Parts {
            entries: &self.entries,
            is_test: &|role| self.tests.matches(role),
            engines: &engines.answering,
            unresponsive: &engines.unresponsive,
            ports: &ports,
            ends: &self.ends,
            usage: &self.usage.1,
            before: &self.before,
            measured: self.usage.0,
            now: clock::now(),
        });
        self.updates.send(Update::Roles(snapshot));
        Ok(())
    }

    /// Watches the folders of the home that change with engines, roles and runs.
    fn watch_folders(&mut self) {
        let last = self.home.last_run_folder();
        let folders = [
            self.home.root().to_owned(),
            self.home.engines(),
            self.home.histories(),
            self.home.area(Area::Entry),
            last,
        ];
        if let Some(changes) = &mut self.changes {
            let watched = folders.iter().try_for_each(|folder| changes.watch(folder));
            if watched.is_err() {
                // No room for more watches: every sample looks at everything.
                self.changes = None;
            }
        }
    }

    fn read_last_run(&mut self) -> Result<(), Error> {
        let now = self.home.last_run_stat()?;
        if self.last_run != now {
            let last = self.home.last_run()?;
            let last = last.map(|last| {
                Box::new(LastRun {
                    at: last.at,
                    report: last.report,
                })
            });
            self.updates.send(Update::LastRun(last));
            self.last_run = now;
        }
        Ok(())
    }

    /// Reads the last ends of roles that do not run, if they are new.
    fn read_ends(&mut self, running: &BTreeSet<RoleName>) -> Result<(), Error> {
        for role in self.entries.keys().filter(|role| !running.contains(*role)) {
            let Ok(now) = stat(&self.home.history_file(role)) else {
                continue;
            };
            if self.journals.get(role) == Some(&now) {
                continue;
            }
            let history = self.home.history(role)?;
            let end = history.runs.last().and_then(LastEnd::of);
            match end {
                Some(end) => self.ends.insert(role.clone(), end),
                None => self.ends.remove(role),
            };
            self.journals.insert(role.clone(), now);
        }
        Ok(())
    }

    /// Keeps a conversation with every engine, which reports events of all its
    /// roles.
    fn converse(&mut self, engines: &[Running]) {
        let is_there = |pid: &u32| engines.iter().any(|engine| engine.engine.pid == *pid);
        self.conversations.retain(|pid, (_, task)| {
            let keep = is_there(pid) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for engine in engines {
            let pid = engine.engine.pid;
            let roles = engine.roles.iter().map(|status| status.role.clone());
            let roles: BTreeSet<RoleName> = roles.collect();
            match self.conversations.get(&pid) {
                Some((known, _)) if known.is_superset(&roles) => continue,
                Some((_, task)) => task.abort(),
                None if roles.is_empty() => continue,
                None => {}
            }
            let request = RequestKind::Wait {
                roles: roles.iter().cloned().collect(),
                until: Until::Stopped,
            };
            let (home, events) = (self.home.clone(), self.events.0.clone());
            let task = tokio::task::spawn_local(async move {
                let told = |_| {
                    // One notification is enough: everything is looked at.
                    let _ = events.try_send(());
                    Next::Listen
                };
                // An engine that ends is found to be gone.
                let _ = ask(&home, pid, request, told).await;
                let _ = events.try_send(());
            });
            self.conversations.insert(pid, (roles, task.abort_handle()));
        }
    }
}
