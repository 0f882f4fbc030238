//! Lengths of time as they are typed.

use std::time::Duration;

/// Longer than this is meant by nobody.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// `30s`, `1m30s`, `500ms`, or seconds; a year at most.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time greater than 0, such as `30s`".to_owned();
    let time = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| expected())?,
        Err(_) => {
            let span: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
            Duration::try_from(span).map_err(|_| expected())?
        }
    };
    if time.is_zero() || time > LONGEST {
        return Err("expected more than nothing, and at most a year".to_owned());
    }
    Ok(time)
}
