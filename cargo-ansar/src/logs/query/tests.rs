//! Tests of time ranges, at a fixed time.

use jiff::SignedDuration;
use proptest::prelude::*;

use crate::logs::query::*;

/// A Thursday.
const NOW: &str = "2023-04-06T01:52:17.317[UTC]";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn from(begin: &Begin, now: &str) -> Timestamp {
    let now: Zoned = now.parse().unwrap();
    range(begin, &End::Open, &now).unwrap().from
}

#[test]
fn a_mark_is_the_beginning_of_its_period() {
    for (mark, expected) in [
        (Mark::Month, "2023-04-01T00:00:00Z"),
        (Mark::Week, "2023-04-03T00:00:00Z"),
        (Mark::Day, "2023-04-06T00:00:00Z"),
        (Mark::Hour, "2023-04-06T01:00:00Z"),
        (Mark::Half, "2023-04-06T01:30:00Z"),
        (Mark::Quarter, "2023-04-06T01:45:00Z"),
        (Mark::Ten, "2023-04-06T01:50:00Z"),
        (Mark::Five, "2023-04-06T01:50:00Z"),
        (Mark::Minute, "2023-04-06T01:52:00Z"),
    ] {
        assert_eq!(from(&Begin::Last(mark), NOW), at(expected), "{mark}");
        assert_eq!(mark.name().to_lowercase().parse(), Ok(mark));
    }
    assert!("FORTNIGHT".parse::<Mark>().unwrap_err().contains("WEEK"));
}

#[test]
fn days_begin_in_the_zone_of_now() {
    let now = "2023-04-06T00:30:00+02:00[Europe/Berlin]";
    assert_eq!(
        from(&Begin::Last(Mark::Day), now),
        at("2023-04-05T22:00:00Z")
    );
    let civil = Begin::From("2023-04-06T00:10".parse().unwrap());
    assert_eq!(from(&civil, now), at("2023-04-05T22:10:00Z"));
    let instant = Begin::From("2023-04-06T00:10Z".parse().unwrap());
    assert_eq!(from(&instant, now), at("2023-04-06T00:10:00Z"));
}

#[test]
fn repeated_hour_stays_the_same() {
    for (now, expected) in [
        (
            "2023-10-29T02:40:00+02:00[Europe/Berlin]",
            "2023-10-29T00:00:00Z",
        ),
        (
            "2023-10-29T02:40:00+01:00[Europe/Berlin]",
            "2023-10-29T01:00:00Z",
        ),
    ] {
        assert_eq!(from(&Begin::Last(Mark::Hour), now), at(expected));
    }
}

#[test]
fn durations_and_times_are_parsed() {
    for (text, seconds) in [("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("45", 45)] {
        let begin = Begin::Back(text.parse().unwrap());
        let back = SignedDuration::from_secs(seconds);
        assert_eq!(from(&begin, NOW), at("2023-04-06T01:52:17.317Z") - back);
    }
    for text in ["", "5", "-5m", "0s", "5 parsecs", "-1"] {
        let length = text.parse::<Length>();
        assert_eq!(length.is_ok(), text == "5", "{text}: {length:?}");
    }
    for text in [
        "2023-04-06",
        "2023-04-06T01:52",
        "2023-04-06 01:52:17.317",
        "2023-04-06T01:52:17+02",
    ] {
        assert!(text.parse::<When>().is_ok(), "{text}");
    }
    for text in [
        "",
        "yesterday",
        "2023-13-01",
        "01:52",
        "2023-04-06T01:52[Europe/Berlin]",
    ] {
        assert!(text.parse::<When>().is_err(), "{text}");
    }
}

#[test]
fn an_end_is_a_time_or_a_span_or_a_count() {
    let now: Zoned = NOW.parse().unwrap();
    let begin = Begin::From("2023-04-06T01:00".parse().unwrap());
    let ends = |end: &str| (End::To(end.parse().unwrap()), at("2023-04-06T01:10:00Z"));
    let (to, expected) = ends("2023-04-06T01:10");
    assert_eq!(range(&begin, &to, &now).unwrap().to, Some(expected));
    let span = End::Span("10m".parse().unwrap());
    assert_eq!(range(&begin, &span, &now).unwrap().to, Some(expected));
    let counted = range(&begin, &End::Count(7), &now).unwrap();
    assert_eq!((counted.to, counted.count), (None, Some(7)));
    let before = End::To("2023-04-06T00:59".parse().unwrap());
    assert!(range(&begin, &before, &now).is_err());
}

/// Generates a time in one of several zones.
fn any_now() -> impl Strategy<Value = Zoned> {
    let zones = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"];
    (0..4_000_000_000_000_i64, 0..zones.len()).prop_map(move |(ms, zone)| {
        let at = Timestamp::from_millisecond(ms).unwrap();
        at.in_tz(zones[zone]).unwrap()
    })
}

proptest! {
    #[test]
    fn a_mark_is_never_ahead_and_is_its_own_mark(now in any_now(), mark in 0..Mark::ALL.len()) {
        let mark = Mark::ALL[mark];
        let then = mark.before(&now);
        prop_assert!(then <= now.timestamp());
        let again = then.to_zoned(now.time_zone().clone());
        prop_assert_eq!(mark.before(&again), then);
        let month = SignedDuration::from_hours(24 * 31 + 1);
        prop_assert!(then > now.timestamp() - month);
    }

    #[test]
    fn shorter_periods_begin_later(now in any_now()) {
        // A month may begin within a week, and a quarter hour is not a multiple
        // of ten minutes.
        let of = |mark: Mark| mark.before(&now);
        prop_assert!(of(Mark::Week) <= of(Mark::Day) && of(Mark::Month) <= of(Mark::Day));
        prop_assert!(of(Mark::Day) <= of(Mark::Hour) && of(Mark::Hour) <= of(Mark::Half));
        prop_assert!(of(Mark::Half) <= of(Mark::Quarter) && of(Mark::Quarter) <= of(Mark::Five));
        prop_assert!(of(Mark::Ten) <= of(Mark::Five) && of(Mark::Five) <= of(Mark::Minute));
    }

    #[test]
    fn any_query_has_a_range_or_an_error(
        now in any_now(),
        back in 1..u32::MAX,
        span in 1..u32::MAX,
    ) {
        let begin = Begin::Back(back.to_string().parse().unwrap());
        let end = End::Span(span.to_string().parse().unwrap());
        let range = range(&begin, &end, &now).unwrap();
        prop_assert!(range.from < now.timestamp());
        prop_assert_eq!(range.from + SignedDuration::from_secs(span.into()), range.to.unwrap());
    }

    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = (text.parse::<When>(), text.parse::<Length>(), text.parse::<Mark>());
    }
}
