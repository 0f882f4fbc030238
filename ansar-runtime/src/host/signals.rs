//! The signals that request a stop.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use super::parent::Parent;

/// The time that a component gets to stop after its parent has died.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);

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
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    let listen = move || {
        let mut heard = false;
        for signal in signals.forever() {
            let _ = FIRST.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
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
