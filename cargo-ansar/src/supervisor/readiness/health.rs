//! Decides when a role that was ready counts as unhealthy. Pure.

use std::time::{Duration, Instant};

use crate::supervisor::readiness::schedule::Answer;

/// A repeated look at a role that is ready.
#[derive(Debug)]
pub(crate) struct Checkup {
    every: Duration,
    failures: u32,
    /// Number of failed looks since the last that succeeded.
    in_a_row: u32,
    /// The time of the next look; unset while one has begun.
    due: Option<Instant>,
}

/// A change of a role's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HealthChange {
    /// Looks fail, for this reason.
    Unhealthy(String),
    /// A look succeeded again.
    Healthy,
}

impl Checkup {
    /// Returns looks every `every` from `now` on, of which `failures` in a row
    /// make the role unhealthy.
    pub(crate) fn new(every: Duration, failures: u32, now: Instant) -> Self {
        Self {
            every,
            failures: failures.max(1),
            in_a_row: 0,
            due: Some(now + every),
        }
    }

    /// Returns the time of the next look; `None` while one has begun.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns true if the role is unhealthy.
    pub(crate) fn is_unhealthy(&self) -> bool {
        self.in_a_row >= self.failures
    }

    /// Begins a look if one is due; returns false otherwise.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        self.due.take_if(|at| *at <= now).is_some()
    }

    /// Takes the answer to a look. Returns a change of the role's health.
    pub(crate) fn next(&mut self, answer: Answer, now: Instant) -> Option<HealthChange> {
        self.due = Some(now + self.every);
        let was_unhealthy = self.is_unhealthy();
        match answer {
            Answer::Met => {
                self.in_a_row = 0;
                was_unhealthy.then_some(HealthChange::Healthy)
            }
            Answer::Unmet(why) => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                let turns = !was_unhealthy && self.is_unhealthy();
                turns.then(|| match self.in_a_row {
                    1 => HealthChange::Unhealthy(why.into_owned()),
                    times => HealthChange::Unhealthy(format!("{why}, {times} times in a row")),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::clock;

    #[test]
    fn failures_in_a_row_make_a_role_unhealthy_once() {
        let mut now = clock::instant();
        let every = Duration::from_secs(5);
        let mut checkup = Checkup::new(every, 3, now);
        let unhealthy = || Some(HealthChange::Unhealthy("503, 3 times in a row".to_owned()));
        let healthy = || Some(HealthChange::Healthy);
        for (is_met, expected) in [
            (false, None),
            (false, None),
            (true, None),
            (false, None),
            (false, None),
            (false, unhealthy()),
            (false, None),
            (true, healthy()),
            (true, None),
        ] {
            assert!(!checkup.begin(now));
            now += every;
            assert!(checkup.begin(now));
            assert_eq!(checkup.due(), None);
            let answer = if is_met {
                Answer::Met
            } else {
                Answer::Unmet("503".into())
            };
            assert_eq!(checkup.next(answer, now), expected);
        }
    }

    proptest! {
        #[test]
        fn turns_alternate(answers: Vec<bool>, failures in 0..4_u32) {
            let now = clock::instant();
            let mut checkup = Checkup::new(Duration::ZERO, failures, now);
            let mut is_unhealthy = false;
            for is_met in answers {
                prop_assert!(checkup.begin(now));
                let answer = if is_met { Answer::Met } else { Answer::Unmet("".into()) };
                match checkup.next(answer, now) {
                    Some(HealthChange::Unhealthy(_)) => {
                        prop_assert!(!is_unhealthy);
                        is_unhealthy = true;
                    }
                    Some(HealthChange::Healthy) => {
                        prop_assert!(is_unhealthy);
                        is_unhealthy = false;
                    }
                    None => {}
                }
                prop_assert_eq!(checkup.is_unhealthy(), is_unhealthy);
            }
        }
    }
}
