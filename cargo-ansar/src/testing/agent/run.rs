//! Running the roles of a shard under the orders of the launcher.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ansar_contract::line::Level;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::events::Events;
use crate::home::Home;
use crate::home::history;
use crate::home::role::Entry;
use crate::host::clock;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::remote::messages::{FromAgent, Numbered, Start, StartRole, ToAgent};
use crate::supervisor::scheduler::{Input, RoleKind};
use crate::supervisor::server::{Control, RemoteOrder};
use crate::testing::agent::Agent;
use crate::testing::runner::{RemoteWorkspace, Runner};

impl Agent {
    /// Runs roles until all have ended. Returns false if the launcher is gone, or
    /// this agent was interrupted.
    pub(super) async fn run(
        &mut self,
        home: &Home,
        start: Start,
        of_engine: &mut Interrupts,
    ) -> Result<bool, Error> {
        home.set_hosts(&start.hosts)?;
        let first: BTreeSet<RoleName> = start.first.into_iter().collect();
        let elsewhere = RemoteWorkspace {
            described: described(&start.roles),
            held: held(&start.roles),
            variables: start.variables,
        };
        let runner = Runner {
            elsewhere: Some(&elsewhere),
            settings: &start.settings,
            tests: &start.tests,
            first: Some(&first),
            shown: shown(start.shown.as_deref()),
            ..Runner::new(home, None, history::Kind::Test)
        };
        let kinds: BTreeMap<RoleName, bool> = start
            .roles
            .iter()
            .map(|(role, it)| (role.clone(), it.is_test))
            .collect();
        let kind_of = |role: &RoleName| {
            if kinds.get(role) == Some(&true) {
                RoleKind::Test
            } else {
                RoleKind::Operational
            }
        };
        let (orders, ordered) = mpsc::unbounded_channel();
        let (tested, is_tested) = mpsc::unbounded_channel();
        let control = Control {
            orders: ordered,
            tested,
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let events = self.events(is_over.clone());
        let roles = entries(start.roles);
        let running = runner.run_held(&roles, kind_of, control, of_engine, &events);
        let mut running = std::pin::pin!(running);
        let obeyed = self.obey(running.as_mut(), &orders, is_tested).await;
        if let Some(ran) = obeyed {
            ran?;
            self.outbox.send(&FromAgent::Tested);
            self.outbox.send(&FromAgent::Done);
            return Ok(true);
        }
        is_over.store(true, Ordering::Relaxed);
        if self.inbox.interrupted.is_some() {
            self.refuse("its agent was interrupted");
        }
        let _ = orders.send(RemoteOrder::Feed(Input::Kill));
        running.await?;
        Ok(false)
    }

    /// Passes orders on while the roles run. Returns their result, or `None` if the
    /// launcher is gone or this agent was interrupted.
    async fn obey<T>(
        &mut self,
        mut running: std::pin::Pin<&mut impl Future<Output = T>>,
        orders: &mpsc::UnboundedSender<RemoteOrder>,
        mut is_tested: mpsc::UnboundedReceiver<()>,
    ) -> Option<T> {
        loop {
            tokio::select! {
                biased;
                frame = self.inbox.next() => {
                    let input = match frame?.message {
                        ToAgent::Admit { role } => {
                            let _ = orders.send(RemoteOrder::Admit(role));
                            continue;
                        }
                        ToAgent::Test => Input::Test,
                        ToAgent::Finish => Input::Finish,
                        ToAgent::Stop { at_once: false } => Input::Stop,
                        ToAgent::Stop { at_once: true } => Input::Kill,
                        ToAgent::Bye => return None,
                        _ => continue,
                    };
                    // The engine ends with `running`.
                    let _ = orders.send(RemoteOrder::Feed(input));
                }
                Some(()) = is_tested.recv() => self.outbox.send(&FromAgent::Tested),
                ran = running.as_mut() => return Some(ran),
            }
        }
    }

    /// Returns a stream that sends each event to the launcher, with a number,
    /// until `is_over`.
    fn events(&self, is_over: Arc<AtomicBool>) -> Events {
        let Some(joined) = self.joined.clone() else {
            return Events::new(|_| {});
        };
        let (outbox, seq) = (self.outbox.downgrade(), AtomicU64::new(1));
        Events::stamped(clock::now, move |event| {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            outbox.send(&FromAgent::Event(Numbered {
                run: joined.run.clone(),
                shard: joined.shard,
                epoch: joined.epoch,
                seq: seq.fetch_add(1, Ordering::Relaxed),
                event,
            }));
        })
    }
}

fn described(
    roles: &BTreeMap<RoleName, StartRole>,
) -> BTreeMap<RoleName, (std::path::PathBuf, u32)> {
    let described = roles.iter();
    described
        .map(|(role, start)| (role.clone(), start.described.clone()))
        .collect()
}

fn held(roles: &BTreeMap<RoleName, StartRole>) -> BTreeSet<RoleName> {
    let held = roles.iter().filter(|(_, start)| start.is_held);
    held.map(|(role, _)| role.clone()).collect()
}

fn entries(roles: BTreeMap<RoleName, StartRole>) -> BTreeMap<RoleName, Entry> {
    let entries = roles.into_iter().map(|(role, start)| {
        let entry = Entry {
            instance: start.instance,
            ..start.entry
        };
        (role, entry)
    });
    entries.collect()
}

fn shown(level: Option<&str>) -> Level {
    let level = level.and_then(|level| level.parse().ok());
    level.unwrap_or(Level::None)
}
