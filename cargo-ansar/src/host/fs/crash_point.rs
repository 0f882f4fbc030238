//! Crash points: in tests, kills this process right before its n-th change of
//! the file system, which a signal from outside cannot time. Compiled out of
//! release builds.

#[cfg(debug_assertions)]
use std::sync::LazyLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The variable with the number of the change to crash at, starting at 1.
#[cfg(debug_assertions)]
const KILL_AT: &str = "__ANSAR_TEST_KILL_AT";

/// Marks a crash point. Called right before each change of the file system.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "a test variable of this module")]
pub(crate) fn change() {
    static FATAL: LazyLock<Option<usize>> =
        LazyLock::new(|| std::env::var(KILL_AT).ok()?.parse().ok());
    static CHANGES: AtomicUsize = AtomicUsize::new(0);
    let Some(fatal) = *FATAL else {
        return;
    };
    if CHANGES.fetch_add(1, Ordering::Relaxed) + 1 == fatal {
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    }
}

/// Does nothing in release builds.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) const fn change() {}
