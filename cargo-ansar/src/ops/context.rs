//! What all roles logged around a failure, in the order of time.

use std::collections::VecDeque;

use ansar_runtime::contract::line::Level;
use jiff::{SignedDuration, Timestamp};

use super::log::between;
use crate::home::Home;
use crate::home::log::head::Stamp;
use crate::model::conclusion::{Failure, Said};
use crate::model::name::RoleName;
use crate::model::query::Range;

/// How far around a failure is looked.
const REACH: SignedDuration = SignedDuration::from_millis(500);
/// How many records up to a failure are shown.
const BEFORE: usize = 30;
/// How many records behind it.
const AFTER: usize = 10;
/// How many failures have a context at most.
const MOST: usize = 20;
/// How many logs are looked into, over all failures.
const MOST_LOGS: usize = 2000;

/// Gives the first failures their contexts. A log that cannot be read explains
/// nothing.
pub(super) fn attach<'r>(
    home: &Home,
    roles: impl Iterator<Item = &'r RoleName>,
    failures: impl Iterator<Item = &'r mut Failure>,
) {
    let roles: Vec<RoleName> = roles.cloned().collect();
    let most = (MOST_LOGS / roles.len().max(1)).clamp(1, MOST);
    let mut known: Vec<(Timestamp, Vec<Said>)> = Vec::new();
    for failure in failures.take(MOST) {
        let at = failure.at;
        failure.context = match known.iter().find(|(other, _)| *other == at) {
            Some((_, context)) => context.clone(),
            None if known.len() < most => {
                let context = around(home, &roles, at);
                known.push((at, context.clone()));
                context
            }
            None => continue,
        };
    }
}

fn around(home: &Home, roles: &[RoleName], at: Timestamp) -> Vec<Said> {
    let range = Range {
        from: at.checked_sub(REACH).unwrap_or(at),
        to: at.checked_add(REACH).ok(),
        count: None,
    };
    let failed = Stamp::of(at);
    let (mut before, mut after) = (VecDeque::new(), Vec::new());
    // What was read up to an error is shown.
    let _ = between(home, roles, range, Level::Console, |role, head, text| {
        let said = Said {
            role: role.clone(),
            text: String::from_utf8_lossy(text).trim_end().to_owned(),
        };
        if head.stamp <= failed {
            if before.len() == BEFORE {
                before.pop_front();
            }
            before.push_back(said);
        } else {
            after.push(said);
        }
        after.len() < AFTER
    });
    before.into_iter().chain(after).collect()
}
