//! The retry policy of a role.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The delays between attempts after a [`Maybe`](super::lifecycle::Maybe), in the
/// form of the role property `retry`.
///
/// The delays are `first_steps`, then `regular_steps` again and again, at most
/// `step_limit` in total; without a limit, regular steps go on for ever.
/// `randomized` and `truncated` add a random whole number of slots to each delay,
/// so that several roles do not try again at the same moment.
///
/// ```
/// use std::time::Duration;
///
/// use ansar_contract::retry::Retry;
///
/// let retry: Retry = serde_json::from_str(r#"{"first_steps": [1.0, 2.0]}"#)?;
/// assert_eq!(retry.delay(1, |_| 0), Some(Duration::from_secs(2)));
/// assert_eq!(retry.delay(2, |_| 0), None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The first delays, in seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_steps: Vec<f64>,
    /// The delay after these, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regular_steps: Option<f64>,
    /// The largest number of delays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_limit: Option<u32>,
    /// The length of one slot of the random addition, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub randomized: Option<f64>,
    /// The part of a delay that is divided into slots, 0 to 1; 1 if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<f64>,
}

impl Retry {
    /// The longest delay that makes sense: a year.
    const LONGEST: f64 = 366.0 * 86_400.0;

    /// The delay after `index` others; `None` where there are no more.
    ///
    /// It is `base + k·randomized`, `k` being what `chance` draws from
    /// 0..=⌊base·truncated/randomized⌋.
    pub fn delay(&self, index: usize, chance: impl FnOnce(u64) -> u64) -> Option<Duration> {
        if self.step_limit.is_some_and(|limit| index >= limit as usize) {
            return None;
        }
        let step = self.first_steps.get(index).copied();
        let base = step.or(self.regular_steps)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "slots beyond 2^53 are closer than a clock can tell"
        )]
        let added = self.randomized.map_or(0.0, |slot| {
            chance(slots(base, self.truncated.unwrap_or(1.0), slot)) as f64 * slot
        });
        Duration::try_from_secs_f64(base + added).ok()
    }

    /// Checks the policy. The error names the field and what it may hold.
    pub fn check(&self) -> Result<(), String> {
        let seconds = |field: &str, value: f64| {
            if value.is_finite() && (0.0..=Self::LONGEST).contains(&value) {
                Ok(())
            } else {
                Err(format!(
                    "`{field}` is {value}, expected seconds from 0 to a year"
                ))
            }
        };
        for step in &self.first_steps {
            seconds("first_steps", *step)?;
        }
        if let Some(step) = self.regular_steps {
            seconds("regular_steps", step)?;
        }
        if let Some(slot) = self
            .randomized
            .filter(|slot| !(slot.is_finite() && *slot > 0.0))
        {
            return Err(format!(
                "`randomized` is {slot}, expected seconds greater than 0"
            ));
        }
        if let Some(part) = self.truncated.filter(|part| !(0.0..=1.0).contains(part)) {
            return Err(format!("`truncated` is {part}, expected 0 to 1"));
        }
        Ok(())
    }
}

/// ⌊base·part/slot⌋, exact where the quotient is a whole number that binary
/// fractions cannot hold (0.3/0.1).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a policy that was checked has no negative values, and the cast saturates"
)]
fn slots(base: f64, part: f64, slot: f64) -> u64 {
    let quotient = base * part / slot;
    (quotient * (1.0 + 4.0 * f64::EPSILON)).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_fields_are_not_written() {
        let retry = Retry {
            first_steps: vec![1.0, 2.0],
            ..Retry::default()
        };
        let text = serde_json::to_string(&retry).unwrap();
        assert_eq!(text, r#"{"first_steps":[1.0,2.0]}"#);
    }

    #[test]
    fn policies_that_cannot_be_waited_for_are_refused() {
        let with = |text: &str| serde_json::from_str::<Retry>(text).unwrap().check();
        assert!(with(r#"{"first_steps": [1, 2], "randomized": 0.25}"#).is_ok());
        for text in [
            r#"{"first_steps": [-1]}"#,
            r#"{"regular_steps": 1e300}"#,
            r#"{"randomized": 0}"#,
            r#"{"truncated": 1.5}"#,
        ] {
            assert!(with(text).is_err(), "{text}");
        }
    }
}
