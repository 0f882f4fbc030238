//! Text for people about events and outcomes. The text is not a contract and
//! may change.

mod init;
mod narrative;
mod results;

use std::fmt::Write as _;

use ansar_contract::envelope::{Envelope, Typed};
use serde::Serialize;

use crate::model::name::RoleName;
use crate::report::json;
use crate::report::shell::Shell;

pub use crate::report::human::init::{described, imported};
pub use crate::report::human::narrative::{event, is_told};
pub use crate::report::human::results::{
    Context, broken, killed, reported, stale, summary, tested, unchanged, verdict,
};
pub(super) use crate::report::human::results::{excerpt, short};

/// Number of names that are listed; the rest is counted.
const NAMES: usize = 5;

/// Shows an error with its causes and its hint.
pub fn error(shell: &mut Shell, error: &dyn std::error::Error, hint: Option<&str>) {
    shell.flush();
    shell.error(&error.to_string());
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    for cause in causes {
        shell.tell(&format!("  caused by: {cause}"));
    }
    if let Some(hint) = hint {
        shell.hint(hint);
    }
}

/// Shows a message as data.
pub fn message(shell: &mut Shell, message: &Typed) {
    if !shell.is_for_people() {
        return json::item(shell, Envelope::of(message));
    }
    // Encoding JSON values cannot fail.
    let text = serde_json::to_string_pretty(&Envelope::of(message)).unwrap_or_default();
    shell.json(&text);
}

/// Shows names as data, one per line.
pub fn names(shell: &mut Shell, names: &[RoleName]) {
    #[derive(Serialize)]
    struct Line<'a> {
        role: &'a RoleName,
    }

    for role in names {
        if shell.is_for_people() {
            shell.data(role.as_str());
        } else {
            json::item(shell, Line { role });
        }
    }
}

/// Names one role, or counts several.
pub fn roles(names: &[RoleName]) -> String {
    match names {
        [only] => format!("role `{only}`"),
        all => count(all.len(), "role"),
    }
}

pub(super) fn count(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = match number {
        1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {what}{plural}")
}

/// Returns one line about a failure: its role, its message and its place.
fn failure_text(role: &RoleName, text: &str, place: &str) -> String {
    let name = format!("{role}: ");
    let text = text.strip_prefix(&name).unwrap_or(text);
    format!("{name}{text} ({place})")
}

fn some_roles(roles: &[RoleName]) -> String {
    let names: Vec<String> = roles.iter().map(ToString::to_string).collect();
    some_of(&names)
}

fn some_of(names: &[String]) -> String {
    let mut text = names[..names.len().min(NAMES)].join(", ");
    if names.len() > NAMES {
        let _ = write!(text, " and {} more", names.len() - NAMES);
    }
    text
}
