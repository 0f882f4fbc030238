//! In tests, the death of this process right before its n-th change of the file
//! system, which no signal from outside could hit as well. In a release there
//! is no such thing.

#[cfg(debug_assertions)]
use std::sync::LazyLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The variable that says before which change; the first is 1.
#[cfg(debug_assertions)]
const KILL_AT: &str = "__ANSAR_TEST_KILL_AT";

/// To be called right before whatever changes the file system.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "this is the door")]
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

/// To be called right before whatever changes the file system.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) const fn change() {}
