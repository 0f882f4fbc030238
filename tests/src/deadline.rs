//! The deadline of everything that a test waits for.

use std::time::{Duration, Instant};

/// Deadline of every wait. No working program comes near it, even on a machine
/// that is busy with the other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls `condition` until it returns a value; `None` if it does not within
/// [`PATIENCE`].
///
/// The last resort, where there is no event to wait for.
pub fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if let Some(found) = condition() {
            return Some(found);
        }
        pause();
    }
    None
}

/// Polls `condition` until it returns a value; `None` if it does not before the
/// `deadline`.
///
/// For what is promised to happen in time, and has no event.
pub fn eventually_before<T>(
    deadline: Instant,
    mut condition: impl FnMut() -> Option<T>,
) -> Option<T> {
    while !time_until(deadline).is_zero() {
        if let Some(found) = condition() {
            return Some(found);
        }
        pause();
    }
    None
}

/// Returns the time until a deadline; zero if it has passed.
#[expect(clippy::disallowed_methods, reason = "a promise is about time")]
pub(crate) fn time_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);

#[expect(
    clippy::disallowed_methods,
    reason = "what has no event can only be looked at"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
