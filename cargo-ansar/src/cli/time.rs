//! Lengths of time as they are typed.

use std::time::Duration;

/// `30s`, `1m30s`, `500ms`, or seconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time greater than 0, such as `30s`".to_owned();
    let time = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| expected())?,
        Err(_) => {
            let span: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
            Duration::try_from(span).map_err(|_| expected())?
        }
    };
    if time.is_zero() {
        return Err(expected());
    }
    Ok(time)
}
