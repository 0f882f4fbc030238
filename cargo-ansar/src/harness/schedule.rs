//! The times of tests that share a process.
//!
//! `libtest` tells no times. It starts tests in the order of its list, and the
//! next one when one has ended, so the results that it prints also tell which
//! tests run. A result that contradicts this, as of another version of
//! `libtest`, makes all later times unknown.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The tests of a process: those that run, and those that wait.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Tests that have not begun, in their order.
    waiting: VecDeque<String>,
    /// Tests that run, with their beginnings; true if they were reported as
    /// slow.
    running: BTreeMap<String, (Instant, bool)>,
    /// Number of tests that run at once.
    threads: usize,
}

impl Schedule {
    /// Creates the schedule of `tests`, in the order of the executable's list.
    pub(super) fn new(tests: impl Iterator<Item = String>, threads: usize) -> Self {
        Self {
            waiting: tests.collect(),
            running: BTreeMap::new(),
            threads,
        }
    }

    /// Starts the first tests.
    pub(super) fn begin(&mut self, now: Instant) {
        while self.running.len() < self.threads {
            let Some(name) = self.waiting.pop_front() else {
                break;
            };
            self.running.insert(name, (now, false));
        }
    }

    /// Ends a test, and starts the next one. Returns the time of the test, if it
    /// is known.
    pub(super) fn ended(&mut self, name: &str, now: Instant) -> Option<Duration> {
        let Some((begun, _)) = self.running.remove(name) else {
            self.waiting.clear();
            self.running.clear();
            return None;
        };
        self.begin(now);
        Some(now - begun)
    }

    /// Returns the tests that run.
    pub(super) fn running(&self) -> impl Iterator<Item = &String> {
        self.running.keys()
    }

    /// Returns the tests that have become slow, and the time at which the next
    /// one will.
    pub(super) fn slow(&mut self, now: Instant, after: Duration) -> (Vec<String>, Option<Instant>) {
        let mut slow = Vec::new();
        let mut next = None;
        for (name, (begun, is_told)) in &mut self.running {
            let at = *begun + after;
            if *is_told {
                continue;
            }
            if at <= now {
                *is_told = true;
                slow.push(name.clone());
            } else if next.is_none_or(|next| at < next) {
                next = Some(at);
            }
        }
        (slow, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock;

    #[test]
    fn a_test_begins_when_another_has_ended() {
        let begun = clock::instant();
        let at = |ms| begun + Duration::from_millis(ms);
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let mut schedule = Schedule::new(names.into_iter(), 2);
        schedule.begin(at(0));
        assert_eq!(schedule.ended("b", at(3)), Some(Duration::from_millis(3)));
        assert_eq!(schedule.running().collect::<Vec<_>>(), ["a", "c"]);
        let slow = Duration::from_millis(5);
        assert_eq!(schedule.slow(at(4), slow), (vec![], Some(at(5))));
        assert_eq!(
            schedule.slow(at(6), slow),
            (vec!["a".to_owned()], Some(at(8)))
        );
        assert_eq!(schedule.slow(at(7), slow), (vec![], Some(at(8))));
        assert_eq!(schedule.ended("c", at(9)), Some(Duration::from_millis(6)));
        assert_eq!(schedule.ended("a", at(9)), Some(Duration::from_millis(9)));
        assert_eq!(schedule.ended("d", at(9)), Some(Duration::ZERO));
    }

    #[test]
    fn a_contradiction_makes_times_unknown() {
        let now = clock::instant();
        let names = ["a", "b", "c"].map(str::to_owned);
        let mut schedule = Schedule::new(names.into_iter(), 1);
        schedule.begin(now);
        for name in ["c", "a", "b"] {
            assert_eq!(schedule.ended(name, now), None);
        }
        assert_eq!(schedule.running().count(), 0);
    }
}
