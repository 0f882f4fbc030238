//! Actions of keys while `watch` runs.

use ansar_contract::layout::Area;
use ansar_contract::line::{Line, Tag};

use crate::deploy::restart_affected::{Running, restart_affected};
use crate::error::Error;
use crate::events::Events;
use crate::home::Home;
use crate::home::role::Origin;
use crate::host::process::interrupts::Interrupts;
use crate::logs::store::last_lines;
use crate::model::name::RoleName;
use crate::model::run_report::LogRecord;
use crate::supervisor::lock_roles::lock_home;
use crate::workspace::Places;
use crate::workspace::roles::test_pattern;

/// Action of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyAction {
    /// Run the tests again.
    Again,
    /// Run the roles that failed, until they pass.
    Failed,
    /// Run all roles.
    All,
    /// Restart operational roles.
    Restart,
    /// Show the last log lines of all roles.
    Logs,
    /// Quit.
    Quit,
}

impl KeyAction {
    /// Returns the action of a key, if it has one.
    pub(crate) fn of(key: char) -> Option<Self> {
        match key {
            '\n' | '\r' => Some(Self::Again),
            'f' => Some(Self::Failed),
            'a' => Some(Self::All),
            'r' => Some(Self::Restart),
            'l' => Some(Self::Logs),
            'q' => Some(Self::Quit),
            _ => None,
        }
    }
}

/// Restarts the running operational roles. Returns true if any was running.
pub(crate) async fn restart(
    home: &Home,
    places: &Places,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<bool, Error> {
    let pattern = test_pattern(places.workspace()?.as_ref())?;
    let _lock = lock_home(home, interrupts, events).await?;
    let mut roles = home.entries()?;
    roles.retain(|role, entry| entry.origin != Origin::Retired && !pattern.matches(role));
    let restored = restart_affected(
        home,
        roles.keys(),
        Running::Restore,
        interrupts,
        events,
        || {},
        |running_roles| Ok(roles.keys().any(|role| running_roles.will_restart(role))),
    );
    restored.await.map(|(any, _)| any)
}

/// Maximum number of lines shown.
const LAST: usize = 40;
/// Bytes at the end of each log that are searched.
const REACH: u64 = 256 * 1024;

/// Returns the last log lines of all roles, in order of time. Logs that cannot
/// be read are left out.
pub(crate) fn logs(home: &Home) -> Vec<LogRecord> {
    let roles = home.entries().unwrap_or_default();
    let mut all: Vec<(String, LogRecord)> = Vec::new();
    for role in roles.into_keys() {
        all.extend(last_of(home, &role));
    }
    // The sort is stable: lines of a role with the same time keep their order.
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    let older = all.len().saturating_sub(LAST);
    all.drain(..older);
    all.into_iter().map(|(_, record)| record).collect()
}

/// Returns the last lines of a role, each with its time.
fn last_of(home: &Home, role: &RoleName) -> Vec<(String, LogRecord)> {
    let folder = home.folder(Area::Logs, role);
    let lines = last_lines(&folder, REACH, LAST, |line| Line::parse(line).is_some());
    let mut at = String::new();
    let lines = lines.unwrap_or_default().into_iter();
    lines
        .map(|text| {
            if let Some(line) = Line::parse(&text) {
                // A continuation stays with its line.
                if line.tag != Tag::Continued || at.is_empty() {
                    line.stamp.clone_into(&mut at);
                }
            }
            let role = role.clone();
            (at.clone(), LogRecord { role, text })
        })
        .collect()
}

#[cfg(test)]
mod tests_of_keys {
    use super::*;

    #[test]
    fn enter_and_five_letters_have_actions() {
        let doing: String = (' '..='~')
            .filter(|key| KeyAction::of(*key).is_some())
            .collect();
        assert_eq!(doing, "aflqr");
        assert_eq!(KeyAction::of('\n'), Some(KeyAction::Again));
    }
}
