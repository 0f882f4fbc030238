//! The limits of the kernel for watching files, as a decision about data.

use crate::host::limits::Limits;
use crate::model::finding::{Finding, State};

/// Number of watches that a workspace with its dependencies may need, beside an
/// editor's.
const WATCHES: u64 = 8192;
/// Number of watchers that a few commands and an editor need.
const WATCHERS: u64 = 64;

/// Checks the limits for `watch`, which polls where they are too low.
pub fn check(limits: &Limits) -> [Finding; 2] {
    let finding = |check, limit: Option<u64>, least: u64, setting: &str, wanted: u64| match limit {
        None => Finding::ok(check, "not limited"),
        Some(limit) if limit >= least => Finding::ok(check, limit.to_string()),
        Some(limit) => Finding::new(
            check,
            State::Warning,
            format!("{limit}, expected {least} or more: `watch` may have to poll"),
            format!("allow more with `sudo sysctl {setting}={wanted}`"),
        ),
    };
    [
        finding(
            "watched-files",
            limits.watches,
            WATCHES,
            "fs.inotify.max_user_watches",
            524_288,
        ),
        finding(
            "watchers",
            limits.watchers,
            WATCHERS,
            "fs.inotify.max_user_instances",
            512,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_limits_have_the_command_that_raises_them() {
        let found = check(&Limits {
            watches: Some(100),
            watchers: Some(128),
            ..Limits::default()
        });
        let hint = "allow more with `sudo sysctl fs.inotify.max_user_watches=524288`";
        assert_eq!(found[0].hint.as_deref(), Some(hint));
        assert_eq!(found[1].state, State::Ok);
    }
}
