//! Decides whether and when a role that exited by itself is restarted.

use std::time::Duration;

use ansar_contract::retry::Retry;

use crate::model::outcome::Success;
use crate::model::restart_policy::Restart;

/// Run time after which a role counts as stable: its previous restarts are
/// forgotten.
pub const STABLE: Duration = Duration::from_secs(60);

/// The restart policy and backoff of a role.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Restarting {
    /// The restart policy.
    pub restart: Restart,
    /// The backoff; the role's retry policy, or the default if unset.
    pub steps: Option<Retry>,
}

impl Restarting {
    /// Returns the default backoff: increasing to 30 seconds, without end.
    fn default_backoff() -> Retry {
        Retry {
            first_steps: vec![1.0, 2.0, 4.0, 8.0, 16.0],
            regular_steps: Some(30.0),
            ..Retry::default()
        }
    }

    /// Returns the delay before a role with this outcome is restarted, or
    /// `None` if it is not. `before` is the number of restarts since it was
    /// last stable; `chance` draws as for [`Retry::delay`].
    pub fn delay(
        &self,
        success: Success,
        before: usize,
        chance: impl FnOnce(u64) -> u64,
    ) -> Option<Duration> {
        let restarts = match self.restart {
            Restart::Never => false,
            Restart::OnFailure => success == Success::No,
            Restart::Always => true,
        };
        if !restarts {
            return None;
        }
        match &self.steps {
            Some(steps) => steps.delay(before, chance),
            None => Self::default_backoff().delay(before, chance),
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
    fn policy_and_outcome_decide() {
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
    fn delays_follow_the_policy_and_end_with_it() {
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
    fn default_backoff_increases_without_end() {
        let restarting = restarting(Restart::Always, None);
        let delay = |before| restarting.delay(Success::No, before, |_| 0).unwrap();
        assert!((0..10).all(|before| delay(before) <= delay(before + 1)));
        assert_eq!(delay(1_000_000), Duration::from_secs(30));
    }
}
