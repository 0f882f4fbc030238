//! `cargo ansar history` and `returned`: what became of a role, again and
//! again.

use std::time::Duration;

use ansar_contract::envelope::Typed;
use jiff::Timestamp;

use crate::error::Error;
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
    /// Now.
    pub now: Timestamp,
    /// Those that are kept, oldest first.
    pub runs: Vec<(Run, State)>,
    /// How many records could not be read.
    pub skipped: usize,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has not ended.
    Running,
    /// It has ended.
    Ended,
    /// What ran it was killed before it could write the end down.
    Lost,
}

/// The runs of a role.
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
    // Whatever was started after it, it does not run any more.
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

/// What a role returned: when it was started last, or at the start of this
/// index. Where it runs, its end is waited for, for `timeout` at most.
pub async fn returned(
    places: &Places,
    role: &RoleName,
    index: Option<usize>,
    timeout: Option<Duration>,
) -> Result<Typed, Error> {
    let (home, _) = open(places, role)?;
    // Before the first look: what comes after it is told.
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
            // Whoever is gone writes nothing after that.
            let History { runs, .. } = home.history(role)?;
            let same = runs.into_iter().rfind(|run| run.start == *start);
            match same {
                Some(Run { end: Some(end), .. }) => return result(role, end),
                Some(_) if !is_gone => {}
                _ => return Err(Error::NothingReturned(role.clone())),
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
            Err(_) => Err(Error::NotEnded {
                role: role.clone(),
                after,
            }),
        },
    }
}

/// When a role was started, by the index of that.
pub(crate) fn start(home: &Home, role: &RoleName, index: usize) -> Result<Timestamp, Error> {
    let run = nth(&home.history(role)?, role, Some(index))?;
    Ok(run.start.at)
}

/// The home, and a role of it.
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

/// The run of an index, or the latest.
fn nth(history: &History, role: &RoleName, index: Option<usize>) -> Result<Run, Error> {
    let kept = history.runs.len();
    if kept == 0 {
        return Err(Error::NeverRan(role.clone()));
    }
    let run = history.runs.get(index.unwrap_or(kept - 1));
    run.cloned().ok_or_else(|| Error::NoStart {
        role: role.clone(),
        index: index.unwrap_or_default(),
        last: kept - 1,
    })
}

fn result(role: &RoleName, end: End) -> Result<Typed, Error> {
    end.result.ok_or(Error::TooLarge {
        role: role.clone(),
        size: end.size,
    })
}
