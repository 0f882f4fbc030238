//! Two measurements that take turns, and what is judged of them.

use std::time::{Duration, Instant};

/// What came of a row.
pub(crate) struct Judged {
    /// The median of ours.
    pub(crate) ours: f64,
    /// The median of the yardstick.
    pub(crate) yardstick: f64,
    /// The median of the ratios, pair by pair.
    pub(crate) ratio: f64,
    /// What the ratio may be.
    pub(crate) budget: f64,
    /// Of the medians.
    pub(crate) unit: &'static str,
}

impl Judged {
    /// Whether the row is within its budget.
    pub(crate) fn is_met(&self) -> bool {
        self.ratio <= self.budget
    }
}

/// How long something takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// Measures both in turn, `pairs` times after a first one that does not count.
///
/// Who goes first alternates, too, so that neither always finds the other's
/// caches.
pub(crate) fn interleaved(
    pairs: usize,
    budget: f64,
    mut ours: impl FnMut() -> Duration,
    mut yardstick: impl FnMut() -> Duration,
) -> Judged {
    ours();
    yardstick();
    let (mut mine, mut other) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        if pair % 2 == 0 {
            mine.push(ours());
            other.push(yardstick());
        } else {
            other.push(yardstick());
            mine.push(ours());
        }
    }
    judge(&mine, &other, budget)
}

/// Judges what was measured in pairs.
pub(crate) fn judge(ours: &[Duration], yardstick: &[Duration], budget: f64) -> Judged {
    let pairs = ours.iter().zip(yardstick);
    let ratios = pairs.map(|(mine, other)| mine.as_secs_f64() / other.as_secs_f64());
    let ms = |times: &[Duration]| median(times.iter().map(|time| time.as_secs_f64() * 1e3));
    Judged {
        ours: ms(ours),
        yardstick: ms(yardstick),
        ratio: median(ratios),
        budget,
        unit: "ms",
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        values[half]
    } else {
        f64::midpoint(values[half - 1], values[half])
    }
}
