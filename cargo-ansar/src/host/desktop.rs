//! Notifications of the desktop.

#![expect(
    clippy::disallowed_methods,
    reason = "it starts the program that shows a notification"
)]

use std::env;
use std::io;
use std::process::{Command, Stdio};

use crate::host::process::rlimit;

/// Shows a notification with `notify-send`, without waiting for it. Does nothing
/// outside of a desktop session. The text is shown as it is, without markup.
pub fn notify(title: &str, text: &str) -> io::Result<()> {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(is_set) {
        return Ok(());
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let mut command = Command::new("notify-send");
    command
        .args(["--app-name=cargo ansar", "--", title, &text])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = match rlimit::spawn(&mut command, None) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        child => child?,
    };
    // Another part of this process may have reaped it.
    let wait = move || drop(child.wait());
    std::thread::Builder::new().spawn(wait).map(drop)
}
