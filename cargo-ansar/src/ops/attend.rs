//! Roles in the background that a command in the foreground works against: they
//! are waited for, left as they are, and missed where they fall.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ansar_runtime::contract::message::Typed;
use jiff::Timestamp;
use serde_json::Value;

use super::Error;
use super::engines::{Next, Told, ask, look};
use crate::event::{Events, Kind, Until};
use crate::home::Home;
use crate::host::clock;
use crate::host::interrupts::Interrupts;
use crate::model::ending::{Ending, Success};
use crate::model::name::RoleName;
use crate::protocol::{Ask, Host};
use crate::supervise::group::READY_LIMIT;

/// Roles that run in the background, and can be used.
#[derive(Debug)]
pub(super) struct Attended {
    /// Their names.
    pub roles: BTreeSet<RoleName>,
    engine: Option<u32>,
    since: Timestamp,
}

/// Those of `roles` that run in the background, once each of them can be used.
/// One that ends before is none of them.
pub(super) async fn attend<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Attended, Error> {
    let roles: BTreeSet<&RoleName> = roles.into_iter().collect();
    let since = clock::now();
    let attending = async {
        let there = there(home, &roles, events).await?;
        let Some((engine, waited)) = there else {
            return Ok((None, BTreeSet::new()));
        };
        let order = Ask::Wait {
            roles: waited.into_iter().collect(),
            until: Until::Ready,
        };
        ask(home, engine, order, |_| Next::Listen).await?;
        // Whoever has ended meanwhile is not there any more.
        let there = self::there(home, &roles, events).await?;
        Ok(match there {
            Some((engine, roles)) => (Some(engine), roles),
            None => (None, BTreeSet::new()),
        })
    };
    tokio::select! {
        attended = tokio::time::timeout(READY_LIMIT, attending) => match attended {
            Ok(there) => there.map(|(engine, roles)| Attended { roles, engine, since }),
            Err(_) => Err(Error::TimedOut { what: "ready", limit: READY_LIMIT }),
        },
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// The engine in the background, and those of `roles` that it runs.
async fn there(
    home: &Home,
    roles: &BTreeSet<&RoleName>,
    events: &Events,
) -> Result<Option<(u32, BTreeSet<RoleName>)>, Error> {
    let engines = look(home, events).await?;
    let mut all = engines.answering.iter();
    let Some(engine) = all.find(|running| running.engine.host == Host::Background) else {
        return Ok(None);
    };
    let own = engine.roles.iter().map(|status| &status.role);
    let own: BTreeSet<RoleName> = own.filter(|role| roles.contains(role)).cloned().collect();
    Ok((!own.is_empty()).then_some((engine.engine.pid, own)))
}

/// How long the end of a role may take to be known where a test has failed of
/// it.
const AFTERMATH: Duration = Duration::from_millis(250);

impl Attended {
    /// Those that did not last, each with its first failure. Where a test has
    /// failed, an end that is under way is waited for, a little.
    pub(super) async fn fallen(
        &self,
        home: &Home,
        has_failed: bool,
    ) -> Result<Vec<(RoleName, Ending, Timestamp)>, Error> {
        let mut fallen = BTreeMap::new();
        if let (Some(engine), true) = (self.engine, has_failed) {
            let order = Ask::Wait {
                roles: self.roles.iter().cloned().collect(),
                until: Until::Stopped,
            };
            let hear = ask(home, engine, order, |told| match told {
                Told::Happened(Kind::Ended { role, ending }) => {
                    if ending.success() == Success::No {
                        fallen.insert(role, (ending, clock::now()));
                    }
                    Next::Leave
                }
                _ => Next::Listen,
            });
            // It has its time; who is there then has lasted.
            let _ = tokio::time::timeout(AFTERMATH, hear).await;
        }
        for role in &self.roles {
            let runs = home.history(role)?.runs.into_iter();
            let mut ends = runs.filter_map(|run| run.end);
            let failure = ends.find_map(|end| {
                let ending = Ending {
                    result: end.result.unwrap_or(Typed {
                        name: end.name,
                        body: Value::Null,
                    }),
                    cause: end.cause.into(),
                };
                let failed = end.at >= self.since && ending.success() == Success::No;
                failed.then_some((ending, end.at))
            });
            if let Some(failure) = failure {
                fallen.insert(role.clone(), failure);
            }
        }
        let fallen = fallen.into_iter();
        Ok(fallen
            .map(|(role, (ending, at))| (role, ending, at))
            .collect())
    }
}
