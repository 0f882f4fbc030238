//! `cargo ansar why`: show why a role was last restarted, from the source file
//! to the role.

use jiff::Timestamp;

use crate::commands::history::open;
use crate::error::Error;
use crate::home::history::{Kind, Start};
use crate::home::restart_reason::Change;
use crate::host::clock;
use crate::model::name::{ExecutableName, RoleName};
use crate::workspace::Places;

/// The outcome of `why`.
#[derive(Debug)]
pub struct Outcome {
    /// Name of the role.
    pub role: RoleName,
    /// Executable of the role.
    pub executable: ExecutableName,
    /// Last start of the role.
    pub start: Option<Start>,
    /// Last deploy that changed the role.
    pub change: Option<Change>,
    /// Time of the query.
    pub now: Timestamp,
}

/// Relation between a role's last start and a deployed change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The deploy restarted the running role.
    Restarted,
    /// The role was started later by a command of this kind, and uses the
    /// change.
    Later(Kind),
    /// The role was started before, and does not use the change yet.
    NotYet,
    /// The role has never run.
    NeverRan,
}

impl Outcome {
    /// Returns the relation between the last start and the last change.
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

/// Returns the last start of a role and the last change of it.
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
