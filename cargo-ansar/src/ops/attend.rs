//! Roles in the background that a command in the foreground works against: they
//! are waited for, left as they are, and missed where they fall.

use std::collections::BTreeSet;

use ansar_runtime::contract::message::Typed;
use jiff::Timestamp;
use serde_json::Value;

use super::Error;
use super::engines::{Next, ask, look};
use crate::event::{Events, Until};
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
            return Ok(BTreeSet::new());
        };
        let order = Ask::Wait {
            roles: waited.into_iter().collect(),
            until: Until::Ready,
        };
        ask(home, engine, order, |_| Next::Listen).await?;
        // Whoever has ended meanwhile is not there any more.
        let there = self::there(home, &roles, events).await?;
        Ok(there.map(|(_, roles)| roles).unwrap_or_default())
    };
    tokio::select! {
        attended = tokio::time::timeout(READY_LIMIT, attending) => match attended {
            Ok(roles) => roles.map(|roles| Attended { roles, since }),
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

impl Attended {
    /// Those that did not last, each with its first failure.
    pub(super) fn fallen(&self, home: &Home) -> Result<Vec<(RoleName, Ending, Timestamp)>, Error> {
        let mut fallen = Vec::new();
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
            fallen.extend(failure.map(|(ending, at)| (role.clone(), ending, at)));
        }
        Ok(fallen)
    }
}
