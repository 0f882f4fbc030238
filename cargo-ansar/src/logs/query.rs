//! Which part of a log is meant: a range of time, from what was typed.
//!
//! Pure: what time it is, and where, is given.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, ToSpan, Zoned};

/// Where a query begins.
#[derive(Debug, Clone)]
pub enum Begin {
    /// At a time.
    From(When),
    /// At the latest mark.
    Last(Mark),
    /// When something started.
    Start(Timestamp),
    /// This long ago.
    Back(Length),
}

/// Where a query ends.
#[derive(Debug, Clone)]
pub enum End {
    /// Nowhere.
    Open,
    /// At a time.
    To(When),
    /// This long after its beginning.
    Span(Length),
    /// After so many records.
    Count(u64),
}

/// A time as it is typed: ISO 8601, with an offset or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With an offset: one and the same everywhere.
    Instant(Timestamp),
    /// What a calendar and a clock show, somewhere.
    Civil(DateTime),
}

/// A length of time as it is typed: `5m`, `1h30m`, `2d`, or seconds; never
/// negative.
#[derive(Debug, Clone, Copy)]
pub struct Length(Span);

/// Where a period of the calendar or of the clock begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The first of the month, at midnight.
    Month,
    /// Monday, at midnight.
    Week,
    /// Midnight.
    Day,
    /// The full hour.
    Hour,
    /// The full and the half hour.
    Half,
    /// Every quarter of an hour.
    Quarter,
    /// Every ten minutes.
    Ten,
    /// Every five minutes.
    Five,
    /// The full minute.
    Minute,
}

/// A range of time: its beginning is in it, its end is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Option<Timestamp>,
    /// How many records it has at most.
    pub count: Option<u64>,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It is over before it begins.
    #[error("the query ends at {to}, and begins at {from} only")]
    Backwards {
        /// Where it begins.
        from: Timestamp,
        /// Where it ends.
        to: Timestamp,
    },
}

/// The range that is meant, as things stand at `now`; its zone is the one in
/// which times are typed and days begin.
///
/// What lies outside of all times that can be told is cut to them.
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
        // Whoever names a zone means it; jiff would pass it over.
        let civil = text.parse::<DateTime>();
        let civil = civil.ok().filter(|_| !text.contains('['));
        civil.map(Self::Civil).ok_or_else(|| {
            "expected a time such as `2023-04-06T01:52:17` or `2023-04-06`".to_owned()
        })
    }
}

impl Length {
    /// So many minutes.
    pub fn minutes(minutes: i64) -> Self {
        Self(minutes.minutes())
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a length of time such as `5m`, `1h30m` or `2d`".to_owned();
        let span = match text.parse::<u32>() {
            Ok(seconds) => i64::from(seconds).seconds(),
            Err(_) => text.parse::<Span>().map_err(|_| expected())?,
        };
        // A span whose signs are mixed does not exist.
        if span.is_negative() || span.is_zero() {
            return Err(expected());
        }
        // One that cannot be added to any time is nobody's.
        span.total((jiff::Unit::Second, SpanRelativeTo::days_are_24_hours()))
            .or_else(|_| span.total((jiff::Unit::Second, jiff::civil::date(2000, 1, 1))))
            .map_err(|_| expected())?;
        Ok(Self(span))
    }
}

impl Mark {
    /// Every mark, the longest period first.
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

    /// Its name on the command line.
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

    /// The latest one that is not after `now`.
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
        // Subtracted, not set: an hour that comes twice stays the one it is.
        let minute = i64::from(now.minute()) % minutes;
        let into = minute
            .minutes()
            .seconds(now.second())
            .nanoseconds(now.subsec_nanosecond());
        let at = now.timestamp();
        at.checked_sub(into).unwrap_or(Timestamp::MIN)
    }
}

/// The beginning of the day so many days before that of `now`.
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
