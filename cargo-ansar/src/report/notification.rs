//! Notifications about the verdict of `watch`.

use crate::host::desktop;
use crate::host::environment;
use crate::report::shell::Shell;

/// Returns true if a verdict is news after the one before: another one, or a
/// first one that is a failure.
pub fn is_news(before: Option<bool>, passed: bool) -> bool {
    before.unwrap_or(true) != passed
}

/// Tells a changed verdict: to the terminal, as a notification and a bell, and
/// to the desktop.
pub fn notify(shell: &mut Shell, passed: bool, text: &str) {
    let verdict = if passed { "Passed" } else { "Failed" };
    let has_notifications = environment::variable("TERM")
        .is_some_and(|term| !["", "dumb", "linux"].contains(&term.as_str()));
    shell.flush();
    shell.ring(has_notifications.then(|| format!("cargo ansar: {verdict} {text}")));
    if let Err(error) = desktop::notify(verdict, text) {
        shell.warn(&format!("cannot show a notification: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_what_differs() {
        for (before, passed, expected) in [
            (None, true, false),
            (None, false, true),
            (Some(true), true, false),
            (Some(true), false, true),
            (Some(false), false, false),
            (Some(false), true, true),
        ] {
            assert_eq!(is_news(before, passed), expected, "{before:?} {passed}");
        }
    }
}
