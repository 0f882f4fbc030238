//! The time that the launcher may be silent.

use std::cell::Cell;
use std::time::Duration;

use crate::remote::conversation::BEATS;

/// Time without a message before the launcher has named the lease.
const FIRST: Duration = Duration::from_secs(30);

/// A lease, by a clock that goes on while the system is suspended.
pub(super) struct Lease {
    time: Cell<Duration>,
    heard: Cell<Duration>,
    is_over: Cell<bool>,
    clock: fn() -> Duration,
}

impl Lease {
    /// Returns a lease that begins now.
    pub(super) fn new(clock: fn() -> Duration) -> Self {
        Self {
            time: Cell::new(FIRST),
            heard: Cell::new(clock()),
            is_over: Cell::new(false),
            clock,
        }
    }

    /// Returns its time.
    pub(super) fn time(&self) -> Duration {
        self.time.get()
    }

    /// Sets its time, in seconds.
    pub(super) fn set_time(&self, seconds: f64) {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if !time.is_zero() {
            self.time.set(time);
        }
    }

    /// Begins it anew, unless it is over: what was sent to a frozen agent must not
    /// bring it back.
    pub(super) fn renew(&self) {
        if !self.is_over() {
            self.heard.set((self.clock)());
        }
    }

    /// Returns true if it is over, once and for all.
    pub(super) fn is_over(&self) -> bool {
        let silence = (self.clock)().saturating_sub(self.heard.get());
        let is_over = self.is_over.get() || silence >= self.time.get();
        self.is_over.set(is_over);
        is_over
    }

    /// Waits until it is over.
    pub(super) async fn ends(&self) {
        while !self.is_over() {
            tokio::time::sleep(self.time() / BEATS).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    #[test]
    fn a_lease_that_is_over_is_not_renewed() {
        let pass = |seconds| NOW.set(NOW.get() + Duration::from_secs(seconds));
        let lease = Lease::new(|| NOW.get());
        lease.set_time(10.0);
        pass(9);
        assert!(!lease.is_over());
        lease.renew();
        pass(9);
        assert!(!lease.is_over());
        // It was frozen, and finds what was sent meanwhile.
        pass(1);
        lease.renew();
        assert!(lease.is_over());
    }

    #[test]
    fn times_that_are_none_are_ignored() {
        let lease = Lease::new(|| NOW.get());
        for seconds in [-1.0, 0.0, f64::NAN, f64::INFINITY, 1e300] {
            lease.set_time(seconds);
            assert_eq!(lease.time(), FIRST);
        }
    }
}
