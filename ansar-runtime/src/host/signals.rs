//! The signals that request a stop.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use super::parent::Parent;

/// The time that a component gets to stop after its parent has died.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);

/// The signals that request a stop.
const STOPS: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

/// The first signal that requested a stop, or 0.
static FIRST: AtomicI32 = AtomicI32::new(0);

/// Returns the first signal that asked this process to stop.
pub(crate) fn first() -> Option<i32> {
    let signal = FIRST.load(Ordering::SeqCst);
    (signal != 0).then_some(signal)
}

/// Calls `stop` at every SIGINT, SIGTERM, SIGHUP and SIGQUIT, on a separate thread,
/// so that it works while the component blocks its main thread.
///
/// By hand (without a `parent`) the second signal ends the process at once. A
/// component whose parent is gone is ended a second later.
pub(crate) fn on_stop(parent: Option<Parent>, stop: impl Fn() + Send + 'static) -> io::Result<()> {
    for signal in STOPS {
        record(signal)?;
    }
    let mut signals = Signals::new(STOPS)?;
    let listen = move || {
        let mut heard = false;
        for signal in signals.forever() {
            stop();
            match parent {
                None if heard => end(128 + signal),
                Some(parent) if parent.is_gone() => end_soon(128 + signal),
                _ => {}
            }
            heard = true;
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen)?;
    Ok(())
}

/// Records `signal` in [`FIRST`] as it arrives, not when the thread gets to it: a
/// component whose callees end by the same control-c may have its result first.
#[expect(unsafe_code, reason = "a signal handler")]
fn record(signal: i32) -> io::Result<()> {
    let action = move || {
        let _ = FIRST.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
    };
    // SAFETY: the action is one atomic instruction, which is async-signal-safe.
    unsafe { low_level::register(signal, action) }.map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bound on how long an orphan may linger, not a wait for an event"
)]
fn end_soon(code: i32) {
    std::thread::sleep(ORPHAN_GRACE);
    end(code);
}

#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "the component was asked to stop, and no parent is left to wait for it"
)]
fn end(code: i32) {
    std::process::exit(code);
}
