//! How long a test waits for what must happen.

use std::time::Duration;

/// How long anything may take. No program that works comes near it, also on a
/// machine that is busy with the other tests.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `condition` holds and returns what it found; `None` where it
/// does not within [`PATIENCE`].
///
/// The last resort, for what nobody tells: it looks again and again.
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
