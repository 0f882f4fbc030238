//! The deadline of everything that a test waits for.

use std::time::Duration;

/// Deadline of every wait. No working program comes near it, even on a machine
/// that is busy with the other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls `condition` until it returns a value; `None` if it does not within
/// [`PATIENCE`].
///
/// The last resort, where there is no event to wait for.
#[expect(
    clippy::disallowed_methods,
    reason = "what has no event can only be looked at"
)]
pub fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    const PAUSE: Duration = Duration::from_millis(5);
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if let Some(found) = condition() {
            return Some(found);
        }
        std::thread::sleep(PAUSE);
    }
    None
}
