//! Resolves the time range of a log query from the arguments.
//!
//! Pure: the current time and zone are passed in.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, ToSpan, Zoned};

/// The beginning of a query.
#[derive(Debug, Clone)]
pub enum Begin {
    /// At a given time.
    From(When),
    /// At the latest calendar mark, such as midnight.
    Last(Mark),
    /// At the start of a role.
    Start(Timestamp),
    /// This long before now.
    Back(Length),
}

/// The end of a query.
#[derive(Debug, Clone)]
pub enum End {
    /// No end.
    Open,
    /// Before a given time.
    To(When),
    /// This long after the beginning.
    Span(Length),
    /// After this number of records.
    Count(u64),
}

/// A time argument: ISO 8601, with or without an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A time with an offset.
    Instant(Timestamp),
    /// A time without an offset, in the time zone of the query.
    Civil(DateTime),
}

/// A duration argument: `5m`, `1h30m`, `2d`, or a number of seconds. Always
/// positive.
#[derive(Debug, Clone, Copy)]
pub struct Length(Span);

/// The beginning of a calendar or clock period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Midnight on the first day of the month.
    Month,
    /// Midnight on Monday.
    Week,
    /// Midnight.
    Day,
    /// Every full hour.
    Hour,
    /// Every half hour.
    Half,
    /// Every quarter hour.
    Quarter,
    /// Every ten minutes.
    Ten,
    /// Every five minutes.
    Five,
    /// Every full minute.
    Minute,
}

/// A time range, from its beginning (inclusive) to its end (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The beginning.
    pub from: Timestamp,
    /// The end, if there is one.
    pub to: Option<Timestamp>,
    /// Maximum number of records.
    pub count: Option<u64>,
}

/// An invalid query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The end is before the beginning.
    #[error("the query ends at {to}, before its beginning at {from}")]
    Backwards {
        /// The beginning.
        from: Timestamp,
        /// The end, if there is one.
        to: Timestamp,
    },
}

/// Resolves a query to a time range.
///
/// The time zone of `now` applies to times without an offset and to calendar
/// marks. Times that cannot be represented are clamped.
///
/// # Errors
///
/// Returns an error if the end is before the beginning.
pub fn range(begin: &Begin, end: &End, now: &Zoned) -> Result<Range, QueryError> {
    let zone = now.time_zone();
    let from = match begin {
        Begin::From(when) => when.at(zone),
        Begin::Last(mark) => mark.before(now),
        Begin::Start(at) => *at,
        Begin::Back(length) => now
            .checked_sub(length.0)
            .map_or(Timestamp::MIN, |then| then.timestamp()),
    };
    let (to, count) = match end {
        End::Open => (None, None),
        End::To(when) => (Some(when.at(zone)), None),
        End::Span(length) => {
            let then = from.to_zoned(zone.clone()).checked_add(length.0);
            (then.ok().map(|then| then.timestamp()), None)
        }
        End::Count(count) => (None, Some(*count)),
    };
    match to {
        Some(to) if to < from => Err(QueryError::Backwards { from, to }),
        _ => Ok(Range { from, to, count }),
    }
}

impl When {
    fn at(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            Self::Civil(civil) => match zone.to_ambiguous_timestamp(civil).compatible() {
                Ok(at) => at,
                Err(_) if civil.year() < 0 => Timestamp::MIN,
                Err(_) => Timestamp::MAX,
            },
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::Instant(at));
        }
        // A bracketed zone is rejected because jiff would ignore it.
        let civil = text.parse::<DateTime>();
        let civil = civil.ok().filter(|_| !text.contains('['));
        civil.map(Self::Civil).ok_or_else(|| {
            "expected a time such as `2023-04-06T01:52:17` or `2023-04-06`".to_owned()
        })
    }
}

impl Length {
    /// Returns a duration of this many minutes.
    pub fn minutes(minutes: i64) -> Self {
        Self(minutes.minutes())
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a duration such as `5m`, `1h30m` or `2d`".to_owned();
        let span = match text.parse::<u32>() {
            Ok(seconds) => i64::from(seconds).seconds(),
            Err(_) => text.parse::<Span>().map_err(|_| expected())?,
        };
        // All units of a jiff span have the same sign.
        if span.is_negative() || span.is_zero() {
            return Err(expected());
        }
        // Reject durations that exceed the range of representable times.
        span.total((jiff::Unit::Second, SpanRelativeTo::days_are_24_hours()))
            .or_else(|_| span.total((jiff::Unit::Second, jiff::civil::date(2000, 1, 1))))
            .map_err(|_| expected())?;
        Ok(Self(span))
    }
}

impl Mark {
    /// All marks, longest period first.
    pub const ALL: [Self; 9] = [
        Self::Month,
        Self::Week,
        Self::Day,
        Self::Hour,
        Self::Half,
        Self::Quarter,
        Self::Ten,
        Self::Five,
        Self::Minute,
    ];

    /// Returns the name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Month => "MONTH",
            Self::Week => "WEEK",
            Self::Day => "DAY",
            Self::Hour => "HOUR",
            Self::Half => "HALF",
            Self::Quarter => "QUARTER",
            Self::Ten => "TEN",
            Self::Five => "FIVE",
            Self::Minute => "MINUTE",
        }
    }

    /// Returns the latest time of this mark that is not after `now`.
    fn before(self, now: &Zoned) -> Timestamp {
        let minutes = match self {
            Self::Month => {
                let days = i64::from(now.day()) - 1;
                return midnight(now, days);
            }
            Self::Week => {
                let days = i64::from(now.weekday().to_monday_zero_offset());
                return midnight(now, days);
            }
            Self::Day => return midnight(now, 0),
            Self::Hour => 60,
            Self::Half => 30,
            Self::Quarter => 15,
            Self::Ten => 10,
            Self::Five => 5,
            Self::Minute => 1,
        };
        // Subtract instead of setting fields: an hour that occurs twice, at the
        // end of summer time, stays the same hour.
        let minute = i64::from(now.minute()) % minutes;
        let into = minute
            .minutes()
            .seconds(now.second())
            .nanoseconds(now.subsec_nanosecond());
        let at = now.timestamp();
        at.checked_sub(into).unwrap_or(Timestamp::MIN)
    }
}

/// Returns midnight of the day `days` before that of `now`.
fn midnight(now: &Zoned, days: i64) -> Timestamp {
    let day = now.date().checked_sub(days.days());
    let begin = day.and_then(|day| day.to_zoned(now.time_zone().clone()));
    begin.map_or(Timestamp::MIN, |begin| begin.timestamp())
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|mark| mark.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|mark| mark.name()).collect();
                format!("expected one of {}", names.join(", "))
            })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
