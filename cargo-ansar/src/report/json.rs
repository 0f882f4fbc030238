//! Output for programs: one versioned JSON object per line.

use serde::Serialize;

use crate::events::json::VERSION;
use crate::report::shell::Shell;

/// A line of output.
#[derive(Serialize)]
struct Line<T> {
    version: u32,
    #[serde(flatten)]
    item: T,
}

/// Shows an item as one line.
pub(super) fn item(shell: &mut Shell, item: impl Serialize) {
    let version = VERSION;
    // Encoding plain data cannot fail.
    shell.json(&serde_json::to_string(&Line { version, item }).unwrap_or_default());
}
