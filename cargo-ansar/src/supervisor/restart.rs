//! Decides whether a role that has ended by itself is started again, and when.

use std::time::Duration;

use ansar_contract::retry::Retry;

use crate::model::outcome::Success;
use crate::model::restart_policy::Restart;

/// A role that ran for this long was stable: what happened before is forgotten.
pub const STABLE: Duration = Duration::from_mins(1);

/// When a role is started again, and after what time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Restarting {
    /// When at all.
    pub restart: Restart,
    /// The times to wait, one after the other; the role's retry policy, or
    /// the usual steps where it has none.
    pub steps: Option<Retry>,
}

impl Restarting {
    /// What is waited where nothing else is said: ever longer, up to half a
    /// minute, without end.
    fn usual() -> Retry {
        Retry {
            first_steps: vec![1.0, 2.0, 4.0, 8.0, 16.0],
            regular_steps: Some(30.0),
            ..Retry::default()
        }
    }

    /// How long a role waits that has ended by itself so `success`fully, after
    /// it was restarted `before` times without being stable; none where it is
    /// not started again. `chance` draws as for [`Retry::delay`].
    pub fn delay(
        &self,
        success: Success,
        before: usize,
        chance: impl FnOnce(u64) -> u64,
    ) -> Option<Duration> {
        let again = match self.restart {
            Restart::Never => false,
            Restart::OnFailure => success == Success::No,
            Restart::Always => true,
        };
        if !again {
            return None;
        }
        match &self.steps {
            Some(steps) => steps.delay(before, chance),
            None => Self::usual().delay(before, chance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restarting(restart: Restart, steps: Option<Retry>) -> Restarting {
        Restarting { restart, steps }
    }

    #[test]
    fn who_is_started_again() {
        for (restart, expected) in [
            (Restart::Never, [false, false, false]),
            (Restart::OnFailure, [false, false, true]),
            (Restart::Always, [true, true, true]),
        ] {
            let again = [Success::Yes, Success::Stopped, Success::No]
                .map(|success| restarting(restart, None).delay(success, 0, |_| 0).is_some());
            assert_eq!(again, expected, "{restart:?}");
        }
    }

    #[test]
    fn the_times_to_wait_are_those_of_the_policy_and_end_with_it() {
        let steps = Retry {
            first_steps: vec![0.5, 1.5],
            ..Retry::default()
        };
        let restarting = restarting(Restart::OnFailure, Some(steps));
        let delays: Vec<_> = (0..3)
            .map(|before| restarting.delay(Success::No, before, |_| 0))
            .collect();
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        assert_eq!(delays, [seconds(0.5), seconds(1.5), None]);
    }

    #[test]
    fn without_a_policy_it_goes_on_for_ever_and_ever_slower() {
        let restarting = restarting(Restart::Always, None);
        let delay = |before| restarting.delay(Success::No, before, |_| 0).unwrap();
        assert!((0..10).all(|before| delay(before) <= delay(before + 1)));
        assert_eq!(delay(1_000_000), Duration::from_secs(30));
    }
}
