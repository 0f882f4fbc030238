//! Parsing of durations on the command line.

use std::time::Duration;

/// Upper limit of a duration.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Parses a duration such as `30s`, `1m30s`, `500ms` or a number of seconds.
/// Rejects zero and more than a year.
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
        return Err("expected a time greater than 0 and at most a year".to_owned());
    }
    Ok(time)
}
