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
    named().unwrap_or_else(|| "vi".into())
}

/// Returns true if the user has chosen an editor.
pub fn is_chosen() -> bool {
    named().is_some()
}

fn named() -> Option<OsString> {
    let names = ["VISUAL", "EDITOR"].into_iter();
    let mut editors = names.filter_map(env::var_os);
    editors.find(|editor| !editor.is_empty())
}

/// Opens a file in the editor, in the process group and on the streams of this
/// command, and returns the editor's exit. Dropping the future leaves the
/// editor running.
pub async fn edit(editor: &OsStr, path: &Path) -> io::Result<Exit> {
    run(editor, &[path.as_os_str()]).await
}

/// Opens a file in the editor like [`edit`], at a line.
pub async fn edit_at(editor: &OsStr, path: &Path, line: u32) -> io::Result<Exit> {
    let line = OsString::from(format!("+{line}"));
    run(editor, &[&line, path.as_os_str()]).await
}

async fn run(editor: &OsStr, arguments: &[&OsStr]) -> io::Result<Exit> {
    let mut command = Command::new("sh");
    let mut line = editor.to_owned();
    line.push(" \"$@\"");
    command.arg("-c").arg(line).arg("sh").args(arguments);
    let mut child = rlimit::spawn(&mut command, None)?;
    let ended = tokio::task::spawn_blocking(move || child.wait()).await;
    let status = ended.map_err(io::Error::other)??;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    })
}
