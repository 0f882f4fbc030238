//! Running the user's editor.

#![expect(
    clippy::disallowed_methods,
    reason = "it starts the editor that the environment names"
)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::host::process::Exit;
use crate::host::process::rlimit;

/// Returns the user's editor: `VISUAL`, else `EDITOR`, else `vi`. It may
/// contain arguments.
pub fn chosen() -> OsString {
    ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(env::var_os)
        .find(|editor| !editor.is_empty())
        .unwrap_or_else(|| "vi".into())
}

/// Opens a file in the editor, in the process group and on the streams of this
/// command, and returns the editor's exit. Dropping the future leaves the
/// editor running.
pub async fn edit(editor: &OsStr, path: &Path) -> io::Result<Exit> {
    let mut command = Command::new("sh");
    let mut line = editor.to_owned();
    line.push(" \"$1\"");
    command.arg("-c").arg(line).arg("sh").arg(path);
    let mut child = rlimit::spawn(&mut command, None)?;
    let ended = tokio::task::spawn_blocking(move || child.wait()).await;
    let status = ended.map_err(io::Error::other)??;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    })
}
