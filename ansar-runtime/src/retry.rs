//! The delays of a retry policy, as a pure sequence.

use std::time::Duration;

use ansar_contract::retry::Retry;

/// The delays between attempts, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Delays {
    policy: Retry,
    given: usize,
}

impl Delays {
    /// Returns the delays of `policy`.
    pub(crate) fn new(policy: Retry) -> Self {
        Self { policy, given: 0 }
    }

    /// Returns the next delay, or `None` if there are no more. `chance` is that of
    /// [`Retry::delay`].
    pub(crate) fn next(&mut self, chance: impl FnOnce(u64) -> u64) -> Option<Duration> {
        let delay = self.policy.delay(self.given, chance)?;
        self.given += 1;
        Some(delay)
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "slots are few here")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::clock;

    #[test]
    fn every_number_of_slots_comes_up() {
        let seen: std::collections::BTreeSet<u64> =
            (0..10_000).map(|_| clock::any_up_to(8)).collect();
        assert_eq!(seen, (0..=8).collect());
    }

    fn policy(
        first: &[f64],
        regular: Option<f64>,
        limit: Option<u32>,
        randomized: Option<f64>,
        truncated: Option<f64>,
    ) -> Delays {
        Delays::new(Retry {
            first_steps: first.to_vec(),
            regular_steps: regular,
            step_limit: limit,
            randomized,
            truncated,
        })
    }

    fn seconds(mut delays: Delays, count: usize) -> Vec<f64> {
        std::iter::from_fn(|| delays.next(|_| 0))
            .map(|delay| delay.as_secs_f64())
            .take(count)
            .collect()
    }

    #[test]
    fn the_sequences_of_the_guide() {
        let first = [1.0, 2.0, 4.0];
        assert_eq!(seconds(policy(&first, None, None, None, None), 9), first);
        assert_eq!(
            seconds(policy(&[], Some(1.0), None, None, None), 9),
            [1.0; 9]
        );
        assert_eq!(
            seconds(policy(&[], Some(1.0), Some(4), None, None), 9),
            [1.0; 4]
        );
        assert_eq!(
            seconds(policy(&first, Some(8.0), Some(6), None, None), 9),
            [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
        );
    }

    #[test]
    fn the_randomized_sequence_of_the_guide_is_among_the_possible_ones() {
        let mut delays = policy(&[1.0, 2.0, 4.0], Some(8.0), Some(6), Some(0.25), Some(0.5));
        for (greatest, drawn, expected) in [
            (2, 1, 1.25),
            (4, 2, 2.5),
            (8, 8, 6.0),
            (16, 12, 11.0),
            (16, 6, 9.5),
            (16, 10, 10.5),
        ] {
            let delay = delays.next(|most| {
                assert_eq!(most, greatest);
                drawn
            });
            assert_eq!(delay, Some(Duration::from_secs_f64(expected)));
        }
        assert_eq!(delays.next(|_| 0), None);
    }

    #[test]
    fn an_empty_policy_has_no_delays() {
        assert_eq!(Delays::new(Retry::default()).next(|_| 0), None);
        assert_eq!(policy(&[1.0], None, Some(0), None, None).next(|_| 0), None);
    }

    proptest! {
        #[test]
        fn a_delay_lies_between_its_base_and_its_truncated_addition(
            base in 0.0..100.0f64, slot in 0.001..10.0f64, part in 0.0..=1.0f64, draw: u64,
        ) {
            let mut delays = policy(&[], Some(base), None, Some(slot), Some(part));
            let delay = delays.next(|most| draw % (most + 1)).unwrap().as_secs_f64();
            prop_assert!(delay >= base - 1e-9);
            prop_assert!(delay <= base + base * part + 1e-6);
        }

        #[test]
        fn an_addition_is_any_whole_number_of_slots_that_fits(
            base in 0.001..1000.0f64, slot in 0.001..10.0f64, part in 0.001..=1.0f64, draw: u64,
        ) {
            let mut delays = policy(&[base], None, None, Some(slot), Some(part));
            let mut drawn = 0;
            let delay = delays.next(|most| {
                // As many as fit, and not one more.
                let room = base * part;
                assert!(most as f64 * slot <= room * (1.0 + 1e-12));
                assert!((most as f64 + 1.0) * slot > room * (1.0 - 1e-12));
                drawn = draw % (most + 1);
                drawn
            });
            let expected = base + drawn as f64 * slot;
            prop_assert!((delay.unwrap().as_secs_f64() - expected).abs() < 1e-6);
        }

        #[test]
        fn a_quotient_that_is_whole_is_not_rounded_down(slots in 0u32..100_000, tenths in 1u32..100) {
            let slot = f64::from(tenths) / 10.0;
            let mut delays = policy(&[f64::from(slots) * slot], None, None, Some(slot), None);
            delays.next(|most| {
                assert_eq!(most, u64::from(slots));
                most
            });
        }

        #[test]
        fn the_number_of_delays_is_what_the_policy_says(
            first in proptest::collection::vec(0.0..9.0f64, 0..6),
            regular in proptest::option::of(0.0..9.0f64),
            limit in proptest::option::of(0u32..12),
        ) {
            let endless = regular.is_some();
            let all = if endless { 100 } else { first.len() };
            let expected = limit.map_or(all, |limit| all.min(limit as usize));
            let delays = policy(&first, regular, limit, None, None);
            prop_assert_eq!(seconds(delays, 100).len(), expected);
        }
    }
}
