//! Roles whose component was started by hand in component mode, without an
//! engine. Their process holds the lock of the role itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::error::{EngineError, Error};
use crate::home::Home;
use crate::host::process::wait::all_gone;
use crate::host::process::{orphans, signal};
use crate::model::name::RoleName;
use crate::model::stop::StopSequence;
use crate::protocol::RoleStatus;
use crate::supervisor::called::components;

/// A role that was started by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ByHand {
    /// The role.
    pub(crate) role: RoleName,
    /// The process ID.
    pub(crate) pid: u32,
    /// Time since the process started.
    pub(crate) uptime: Duration,
}

/// Time that a process gets to exit after SIGKILL.
const EXIT_LIMIT: Duration = Duration::from_secs(5);

/// Returns those of `roles` that were started by hand: they are not among the
/// `known` roles of engines, nor run by an `unresponsive` one, and the process named in the lock is the component of the role.
pub(crate) fn started_by_hand<'r>(
    home: &Home,
    known: &BTreeMap<&RoleName, &RoleStatus>,
    unresponsive: &[u32],
    roles: impl IntoIterator<Item = &'r RoleName>,
) -> Result<Vec<ByHand>, Error> {
    let mut holders = Vec::new();
    for role in roles {
        if known.contains_key(role) {
            continue;
        }
        let note = home.holder(role)?.map(|(note, _)| note);
        if let Some(pid) = note.and_then(|note| note.trim().parse::<u32>().ok()) {
            holders.push((role, pid));
        }
    }
    // Without holders, no command lines are read.
    if holders.is_empty() {
        return Ok(Vec::new());
    }
    let components = components(home.root());
    let found = holders.into_iter().filter_map(|(role, pid)| {
        let mut all = components.iter();
        let found = all.find(|it| it.pid == pid && it.role == role.as_str())?;
        let parent = orphans::parent(pid);
        // It may be a role of an engine that does not answer.
        if parent.is_some_and(|parent| unresponsive.contains(&parent)) {
            return None;
        }
        Some(ByHand {
            role: role.clone(),
            pid,
            uptime: found.uptime,
        })
    });
    Ok(found.collect())
}

/// Stops roles that were started by hand and waits until their processes have
/// exited; returns the roles.
///
/// # Errors
///
/// Returns an error that names the roles whose process cannot be ended.
pub(crate) async fn stop_by_hand(
    home: &Home,
    roles: Vec<ByHand>,
) -> Result<BTreeSet<RoleName>, Error> {
    let mut stopped = BTreeSet::new();
    let mut unkillable = Vec::new();
    for ByHand { role, pid, .. } in roles {
        let process = [(pid, orphans::start_time(pid))];
        // An error shows in the wait: the process is gone, or cannot be
        // signalled.
        let _ = signal::terminate(pid);
        let entry = home.entry(&role)?;
        let stop = entry.map(|entry| StopSequence::from(entry.properties.stop));
        if !all_gone(&process, stop.unwrap_or_default().grace).await {
            let _ = signal::kill(pid);
            if !all_gone(&process, EXIT_LIMIT).await {
                unkillable.push((role, format!("process {pid}, which was started by hand")));
                continue;
            }
        }
        stopped.insert(role);
    }
    if unkillable.is_empty() {
        Ok(stopped)
    } else {
        Err(Error::Engine(EngineError::Unkillable(unkillable)))
    }
}
