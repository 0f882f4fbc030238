//! The looks at one probe: their schedule, and their answers.
//!
//! Pure: it neither looks nor knows the time.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// Time before the first look.
const FIRST: Duration = Duration::from_millis(1);
/// Number of different answers that are counted one by one.
const MOST_KINDS: usize = 8;

/// Longest time between two looks at one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A look costs microseconds.
    Cheap,
    /// A look is a connection.
    Connection,
    /// A look is a process.
    Process,
    /// There are no looks: an event is the answer.
    Event,
}

impl Pace {
    fn longest(self) -> Option<Duration> {
        match self {
            Self::Cheap => Some(Duration::from_millis(5)),
            Self::Connection => Some(Duration::from_millis(20)),
            Self::Process => Some(Duration::from_millis(100)),
            Self::Event => None,
        }
    }
}

/// The answer to one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The condition is met.
    Met,
    /// The condition is not met, for this reason.
    Unmet(Cow<'static, str>),
}

/// The next step of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look at this time, not earlier.
    LookAt(Instant),
    /// A look has begun; wait for its answer.
    Await,
    /// An event will answer.
    Event,
    /// The condition was met.
    Ready,
}

/// The looks at one probe until its condition is met.
#[derive(Debug)]
pub(crate) struct ProbeSchedule {
    pace: Pace,
    step: Duration,
    next: Next,
    answers: Tally,
}

impl ProbeSchedule {
    /// Returns the schedule of a probe of a role that was started `now`.
    pub(crate) fn new(pace: Pace, now: Instant) -> Self {
        Self {
            pace,
            step: FIRST,
            next: match pace {
                Pace::Event => Next::Event,
                _ => Next::LookAt(now + FIRST),
            },
            answers: Tally::default(),
        }
    }

    /// Returns the time of the next look; `None` if there is none, or one has
    /// begun.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.next {
            Next::LookAt(at) => Some(at),
            _ => None,
        }
    }

    /// Returns true if the condition was met.
    pub(crate) fn is_ready(&self) -> bool {
        self.next == Next::Ready
    }

    /// Begins a look if one is due; returns false otherwise.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|at| at <= now);
        if is_due {
            self.next = Next::Await;
        }
        is_due
    }

    /// Begins a look that is made for another probe too, even if it is not due
    /// for this one; returns false if there is none to begin.
    pub(crate) fn join(&mut self) -> bool {
        let is_waiting = self.due().is_some();
        if is_waiting {
            self.next = Next::Await;
        }
        is_waiting
    }

    /// Takes the answer to a look. Answers after the first that is met are
    /// ignored.
    pub(crate) fn next(&mut self, answer: Answer, now: Instant) -> Next {
        if self.is_ready() {
            return self.next;
        }
        self.next = match (answer, self.pace.longest()) {
            (Answer::Met, _) => Next::Ready,
            (Answer::Unmet(why), longest) => {
                self.answers.add(why);
                match longest {
                    Some(longest) => {
                        self.step = (self.step + self.step / 4).min(longest);
                        Next::LookAt(now + self.step)
                    }
                    None => Next::Event,
                }
            }
        };
        self.next
    }

    /// Returns the answers so far.
    pub(crate) fn answers(&self) -> &Tally {
        &self.answers
    }
}

/// A count per kind of answer. Shown with the latest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    kinds: VecDeque<(Cow<'static, str>, u64)>,
    /// Number of answers of kinds that are no longer listed.
    others: u64,
}

impl Tally {
    fn add(&mut self, answer: Cow<'static, str>) {
        // Most looks find what the look before found.
        if let Some((_, count)) = self.kinds.front_mut().filter(|(kind, _)| *kind == answer) {
            *count += 1;
            return;
        }
        let known = self.kinds.iter().position(|(kind, _)| *kind == answer);
        let known = known.and_then(|at| self.kinds.remove(at));
        let (kind, count) = known.unwrap_or((answer, 0));
        self.kinds.push_front((kind, count + 1));
        if self.kinds.len() > MOST_KINDS {
            self.others += self.kinds.pop_back().map_or(0, |(_, count)| count);
        }
    }

    /// Returns the latest answer.
    pub(crate) fn last(&self) -> Option<&str> {
        self.kinds.front().map(|(kind, _)| &**kind)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kinds.is_empty() {
            return f.write_str("no answer yet");
        }
        let kinds = self.kinds.iter().map(|(kind, count)| (&**kind, *count));
        let others = Some(("other answers", self.others)).filter(|_| self.others > 0);
        for (nth, (kind, count)) in kinds.chain(others).enumerate() {
            let comma = if nth == 0 { "" } else { ", " };
            match count {
                1 => write!(f, "{comma}{kind} (once)")?,
                _ => write!(f, "{comma}{kind} ({count} times)")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::clock;

    const LOOKING: [Pace; 3] = [Pace::Cheap, Pace::Connection, Pace::Process];

    fn unmet(why: &str) -> Answer {
        Answer::Unmet(why.to_owned().into())
    }

    fn tally(answers: &[&str]) -> String {
        let mut tally = Tally::default();
        for answer in answers {
            tally.add((*answer).to_owned().into());
        }
        tally.to_string()
    }

    #[test]
    fn looks_become_rarer_up_to_the_pace() {
        let begun = clock::instant();
        for pace in LOOKING {
            let mut schedule = ProbeSchedule::new(pace, begun);
            assert_eq!(schedule.due(), Some(begun + FIRST));
            let mut now = begun + FIRST;
            let mut steps = vec![FIRST];
            for _ in 0..40 {
                assert!(schedule.begin(now));
                let Next::LookAt(at) = schedule.next(unmet("no"), now) else {
                    panic!("it is not ready");
                };
                steps.push(at - now);
                now = at;
            }
            assert!(steps.is_sorted());
            assert_eq!(steps[1], Duration::from_micros(1250));
            assert_eq!(steps.last().copied(), pace.longest());
        }
    }

    #[test]
    fn event_is_awaited_without_looks() {
        let now = clock::instant();
        let mut schedule = ProbeSchedule::new(Pace::Event, now);
        assert_eq!(schedule.due(), None);
        assert_eq!(schedule.next(unmet("no"), now), Next::Event);
        assert_eq!(schedule.next(Answer::Met, now), Next::Ready);
    }

    #[test]
    fn answers_are_counted_per_kind_with_the_latest_first() {
        assert_eq!(tally(&[]), "no answer yet");
        assert_eq!(
            tally(&["refused", "refused", "503", "503", "503"]),
            "503 (3 times), refused (2 times)"
        );
        assert_eq!(tally(&["a", "b", "a"]), "a (2 times), b (once)");
        let many: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(tally(&many).ends_with("2 (once), other answers (2 times)"));
    }

    proptest! {
        #[test]
        fn a_look_is_never_early_and_the_first_success_ends_it(
            pace in proptest::sample::select(&LOOKING),
            steps in proptest::collection::vec((0..30_000_u64, 0..20_000_u64, 0..12_u8), 1..60),
        ) {
            let mut now = clock::instant();
            let mut schedule = ProbeSchedule::new(pace, now);
            let mut unmet_answers = 0;
            for (pause, took, answer) in steps {
                let due = schedule.due();
                now += Duration::from_micros(pause);
                let begins = schedule.begin(now);
                prop_assert_eq!(begins, due.is_some_and(|at| at <= now));
                prop_assert!(!(begins && schedule.begin(now)), "one look at a time");
                if !begins {
                    continue;
                }
                now += Duration::from_micros(took);
                match schedule.next(if answer == 0 { Answer::Met } else { unmet(&answer.to_string()) }, now) {
                    Next::Ready => prop_assert_eq!(answer, 0),
                    Next::LookAt(at) => {
                        unmet_answers += 1;
                        prop_assert!(at > now && Some(at - now) <= pace.longest());
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
                prop_assert_eq!(schedule.is_ready(), answer == 0);
                if answer == 0 {
                    prop_assert_eq!(schedule.due(), None);
                    prop_assert_eq!(schedule.next(unmet("late"), now), Next::Ready);
                    break;
                }
            }
            let Tally { kinds, others } = schedule.answers();
            let counted: u64 = kinds.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(counted + others, unmet_answers);
        }
    }
}
