//! Tests of the window: all moves show the lines of a plain
//! list.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::logs::store::{LEAST_STORAGE, STORAGE, Writer};

const HEIGHT: usize = 10;
const BUDGET: usize = 16 << 20;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
}

fn everything() -> Filter {
    Filter {
        level: Level::Debug,
        grep: None,
    }
}

struct Logs {
    folder: tempfile::TempDir,
    writers: Vec<Writer>,
}

impl Logs {
    fn new(roles: usize, storage: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writers = (0..roles).map(|nth| {
            let folder = folder.path().join(format!("role-{nth}"));
            std::fs::create_dir(&folder).unwrap();
            Writer::new(folder, storage)
        });
        let writers = writers.collect();
        Self { folder, writers }
    }

    fn write(&mut self, role: usize, ms: i64, tag: char, text: &str) {
        let stamp = Stamp::of(at(ms));
        let line = format!("[00000007] {stamp} {tag} {text}\n");
        self.writers[role].append(line.as_bytes(), at(ms)).unwrap();
    }

    fn names(&self) -> Vec<(RoleName, PathBuf)> {
        let roles = 0..self.writers.len();
        roles
            .map(|nth| {
                let name = format!("role-{nth}");
                (name.parse().unwrap(), self.folder.path().join(&name))
            })
            .collect()
    }

    fn open(&self, filter: Filter, anchor: Anchor) -> Window {
        Window::open(self.names(), filter, anchor).unwrap()
    }
}

fn texts(window: &mut Window) -> Vec<String> {
    assert!(window.load(HEIGHT, BUDGET).unwrap());
    let lines = window.page(HEIGHT).lines.into_iter();
    lines.map(|line| line.text).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_hundred_thousand_lines_are_reached_from_the_end() {
    const ALL: usize = 100_000;
    let mut logs = Logs::new(3, STORAGE);
    for number in 0..ALL {
        let ms = i64::try_from(number).unwrap();
        logs.write(number % 3, ms, '^', &number.to_string());
    }
    let mut window = logs.open(everything(), Anchor::Last);
    assert_eq!(texts(&mut window), numbers(ALL - HEIGHT..ALL));
    assert!(window.follows());
    window.scroll(-90_000);
    let top = ALL - HEIGHT - 90_000;
    assert_eq!(texts(&mut window), numbers(top..top + HEIGHT));
    assert!(window.rows.len() < 2 * MARGIN + MARGIN);
    window.scroll(-90_000);
    assert_eq!(texts(&mut window), numbers(0..HEIGHT));
    assert!(window.page(HEIGHT).is_first && !window.follows());
    window.scroll(50_000);
    assert_eq!(texts(&mut window), numbers(50_000..50_000 + HEIGHT));
    window.scroll(1_000_000);
    assert_eq!(texts(&mut window), numbers(ALL - HEIGHT..ALL));
    assert!(window.follows());
}

#[test]
fn new_lines_move_a_page_that_follows() {
    let mut logs = Logs::new(1, LEAST_STORAGE);
    let mut window = logs.open(everything(), Anchor::Last);
    assert_eq!(texts(&mut window), [""; 0]);
    for number in 0..3_000_usize {
        let ms = i64::try_from(number).unwrap();
        logs.write(0, ms, '^', &number.to_string());
        if number % 100 == 99 {
            assert!(window.refresh());
            assert_eq!(texts(&mut window), numbers(number + 1 - HEIGHT..number + 1));
        }
    }
    window.scroll(-5);
    let shown = texts(&mut window);
    logs.write(0, 5_000, '^', "new");
    assert!(window.refresh());
    assert_eq!(texts(&mut window), shown);
    assert!(!window.refresh(), "nothing new is stored");
}

#[test]
fn a_filter_keeps_the_place() {
    let mut logs = Logs::new(2, STORAGE);
    for number in 0..20_000_usize {
        let ms = i64::try_from(number).unwrap();
        let tag = if number % 1_000 == 0 { '!' } else { '_' };
        logs.write(number % 2, ms, tag, &number.to_string());
    }
    let faults = || Filter {
        level: Level::Fault,
        grep: None,
    };
    let mut window = logs.open(everything(), Anchor::At(Stamp::of(at(5_500))));
    assert_eq!(texts(&mut window), numbers(5_500..5_500 + HEIGHT));
    let mut window = logs.open(faults(), window.anchor());
    let thousands = |range: std::ops::Range<usize>| {
        let all = range.map(|number| (number * 1_000).to_string());
        all.collect::<Vec<_>>()
    };
    assert_eq!(texts(&mut window), thousands(6..16));
    window.scroll(-100);
    assert_eq!(texts(&mut window), thousands(0..10));
}

#[test]
fn a_search_is_cut_into_steps() {
    let mut logs = Logs::new(1, STORAGE);
    logs.write(0, 0, '!', "found");
    for number in 1..20_000 {
        logs.write(0, number, '_', "noise");
    }
    let filter = Filter {
        level: Level::Debug,
        grep: Some(regex::bytes::Regex::new("found").unwrap()),
    };
    let mut window = logs.open(filter, Anchor::Last);
    let mut steps = 0;
    while !window.load(HEIGHT, 64 << 10).unwrap() {
        assert!(window.page(HEIGHT).searching.is_some());
        steps += 1;
    }
    assert!(steps > 5, "{steps}");
    assert_eq!(window.page(HEIGHT).lines.len(), 1);
}

#[test]
fn continuations_stay_with_their_line() {
    let mut logs = Logs::new(1, STORAGE);
    for number in 0..100 {
        logs.write(0, number, if number % 2 == 0 { '!' } else { '_' }, "head");
        logs.write(0, number, '|', "more");
    }
    let filter = Filter {
        level: Level::Fault,
        grep: None,
    };
    for anchor in [Anchor::First, Anchor::Last, Anchor::At(Stamp::of(at(50)))] {
        let mut window = logs.open(filter.clone(), anchor);
        assert_eq!(texts(&mut window), ["head", "more"].repeat(HEIGHT / 2));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every sequence of moves shows the same as a list of all lines.
    #[test]
    fn moves_are_those_of_a_list(moves in prop::collection::vec(-3_000_i64..3_000, 1..12)) {
        const ALL: usize = 6_000;
        let mut logs = Logs::new(4, STORAGE);
        for number in 0..ALL {
            let ms = i64::try_from(number).unwrap();
            logs.write(number * 7 % 4, ms, '^', &number.to_string());
        }
        let mut window = logs.open(everything(), Anchor::Last);
        let last = i64::try_from(ALL - HEIGHT).unwrap();
        let mut top = last;
        for by in moves {
            window.scroll(by);
            top = (top + by).clamp(0, last);
            let from = usize::try_from(top).unwrap();
            prop_assert_eq!(texts(&mut window), numbers(from..from + HEIGHT));
        }
    }
}
