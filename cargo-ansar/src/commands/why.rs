//! `cargo ansar why`: why a role was last started again, from the source file to
//! the role.

use jiff::Timestamp;

use crate::commands::history::open;
use crate::error::Error;
use crate::home::history::{Kind, Start};
use crate::home::restart_reason::Change;
use crate::host::clock;
use crate::model::name::{ExecutableName, RoleName};
use crate::workspace::Places;

/// What is known.
#[derive(Debug)]
pub struct Outcome {
    /// The role.
    pub role: RoleName,
    /// What it runs.
    pub executable: ExecutableName,
    /// Its last start.
    pub start: Option<Start>,
    /// The last deploy that changed it.
    pub change: Option<Change>,
    /// The time of the answer.
    pub now: Timestamp,
}

/// How a start comes by what a deploy changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It was running, and was started again for it.
    Restarted,
    /// It was started later, by this command, and has it since.
    Later(Kind),
    /// It was started before: it has not got it yet.
    NotYet,
    /// It never ran.
    NeverRan,
}

impl Outcome {
    /// How the last start comes by the last change.
    pub fn because(&self) -> Option<Because> {
        let change = self.change.as_ref()?;
        Some(match &self.start {
            None => Because::NeverRan,
            Some(start) if start.at < change.at => Because::NotYet,
            Some(start) if change.restarted && start.kind == Kind::Start => Because::Restarted,
            Some(start) => Because::Later(start.kind),
        })
    }
}

/// Why a role was last started again, as far as that is known.
pub fn why(places: &Places, role: &RoleName) -> Result<Outcome, Error> {
    let (home, entry) = open(places, role)?;
    let last = home.history(role)?.runs.pop();
    Ok(Outcome {
        executable: entry.executable,
        start: last.map(|run| run.start),
        change: home.deploy_state()?.changes.remove(role),
        now: clock::now(),
        role: role.clone(),
    })
}
