//! `cargo ansar history` and `returned`: past runs of a role and their results.

use std::time::Duration;

use ansar_contract::envelope::Typed;
use jiff::Timestamp;

use crate::error::{Error, RoleError};
use crate::home::Home;
use crate::home::history::{End, History, Run};
use crate::home::role::Entry;
use crate::host::clock;
use crate::host::fs::changes::Changes;
use crate::host::process::wait::gone;
use crate::model::name::RoleName;
use crate::workspace::Places;
use crate::workspace::roles::known;

/// The runs of a role.
#[derive(Debug)]
pub struct Outcome {
    /// Time of the query.
    pub now: Timestamp,
    /// Recorded runs, oldest first.
    pub runs: Vec<(Run, State)>,
    /// Number of unreadable records.
    pub skipped: usize,
}

/// State of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The role runs.
    Running,
    /// The role has ended.
    Ended,
    /// The engine was killed before it recorded the end.
    Lost,
}

/// Returns the recorded runs of a role.
pub fn history(places: &Places, role: &RoleName) -> Result<Outcome, Error> {
    let (home, _) = open(places, role)?;
    let History { runs, skipped } = home.history(role)?;
    let mut runs: Vec<_> = runs
        .into_iter()
        .map(|run| {
            let state = state(&home, &run);
            (run, state)
        })
        .collect();
    // A later start proves that the earlier run is over.
    if let Some((_, earlier)) = runs.split_last_mut() {
        for (_, state) in earlier {
            if *state == State::Running {
                *state = State::Lost;
            }
        }
    }
    Ok(Outcome {
        now: clock::now(),
        runs,
        skipped,
    })
}

/// Returns the result of a role's latest run, or of the run with this index.
/// Waits for a running role to end, up to `timeout`.
pub async fn returned(
    places: &Places,
    role: &RoleName,
    index: Option<usize>,
    timeout: Option<Duration>,
) -> Result<Typed, Error> {
    let (home, _) = open(places, role)?;
    // Watches before the first read, so that no change is missed.
    let mut changes = Changes::new()
        .and_then(|mut changes| changes.watch(&home.histories()).map(|()| changes))
        .map_err(|source| Error::System {
            what: "watch the history",
            source,
        })?;
    let run = nth(&home.history(role)?, role, index)?;
    let wait = async {
        let Run { start, .. } = &run;
        let mut gone = std::pin::pin!(gone(start.engine, start.engine_started));
        let mut is_gone = !home.has_mark(start.engine);
        loop {
            // Read after the engine is known to be gone: it writes no more.
            let History { runs, .. } = home.history(role)?;
            let same = runs.into_iter().rfind(|run| run.start == *start);
            match same {
                Some(Run { end: Some(end), .. }) => return result(role, end),
                Some(_) if !is_gone => {}
                _ => return Err(Error::Role(RoleError::NothingReturned(role.clone()))),
            }
            tokio::select! {
                () = &mut gone => is_gone = true,
                () = changes.next() => {}
            }
        }
    };
    match timeout {
        None => wait.await,
        Some(after) => match tokio::time::timeout(after, wait).await {
            Ok(returned) => returned,
            Err(_) => Err(Error::Role(RoleError::NotEnded {
                role: role.clone(),
                after,
            })),
        },
    }
}

/// Returns the time of the start with this index.
pub(crate) fn start(home: &Home, role: &RoleName, index: usize) -> Result<Timestamp, Error> {
    let run = nth(&home.history(role)?, role, Some(index))?;
    Ok(run.start.at)
}

/// Opens the home, and returns it with the role's entry.
pub(crate) fn open(places: &Places, role: &RoleName) -> Result<(Home, Entry), Error> {
    let (home, workspace) = places.open()?;
    let entry = known(&home, workspace.as_ref(), role)?;
    Ok((home, entry))
}

fn state(home: &Home, run: &Run) -> State {
    if run.end.is_some() {
        State::Ended
    } else if run.is_open() && home.has_mark(run.start.engine) {
        State::Running
    } else {
        State::Lost
    }
}

/// Returns the run with this index, or the latest.
fn nth(history: &History, role: &RoleName, index: Option<usize>) -> Result<Run, Error> {
    let kept = history.runs.len();
    if kept == 0 {
        return Err(Error::Role(RoleError::NeverRan(role.clone())));
    }
    let run = history.runs.get(index.unwrap_or(kept - 1));
    run.cloned().ok_or_else(|| {
        Error::Role(RoleError::NoStart {
            role: role.clone(),
            index: index.unwrap_or_default(),
            last: kept - 1,
        })
    })
}

fn result(role: &RoleName, end: End) -> Result<Typed, Error> {
    end.result.ok_or(Error::Role(RoleError::TooLarge {
        role: role.clone(),
        size: end.size,
    }))
}
