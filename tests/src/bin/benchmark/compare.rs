//! Interleaved measurements of two sides, and their comparison with a budget.

use std::time::{Duration, Instant};

/// Result of a row.
pub(crate) struct Judged {
    /// Median of our measurements.
    pub(crate) ours: f64,
    /// Median of the baseline's measurements.
    pub(crate) yardstick: f64,
    /// Median of the ratios, pair by pair.
    pub(crate) ratio: f64,
    /// Upper limit of the ratio.
    pub(crate) budget: f64,
    /// Unit of the medians.
    pub(crate) unit: &'static str,
}

impl Judged {
    /// Returns true if the row is within its budget.
    pub(crate) fn is_met(&self) -> bool {
        self.ratio <= self.budget
    }
}

/// Measures the duration of some work.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// Measures both sides in turn, `pairs` times, after a warm-up pair that is not
/// counted.
///
/// The order alternates, so that neither side always finds the other's caches.
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

/// Compares paired measurements with the budget.
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

/// Returns the median of values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        values[half]
    } else {
        f64::midpoint(values[half - 1], values[half])
    }
}
