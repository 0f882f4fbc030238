//! What is shown, for programs: one JSON object per line, of version 1.

use serde::Serialize;

use crate::events::json::VERSION;
use crate::report::shell::Shell;

/// A line.
#[derive(Serialize)]
struct Line<T> {
    version: u32,
    #[serde(flatten)]
    item: T,
}

/// Shows one thing as a line.
pub(super) fn item(shell: &mut Shell, item: impl Serialize) {
    let version = VERSION;
    // Plain data, which always can be encoded.
    shell.json(&serde_json::to_string(&Line { version, item }).unwrap_or_default());
}
