use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LEASE: Duration = Duration::from_secs(10);
const PLACE: Duration = Duration::from_secs(60);

fn roles(names: &[&str]) -> BTreeSet<RoleName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A scheduler, its clock, and what it has asked for since.
struct Run {
    scheduler: Scheduler,
    now: Instant,
    seq: BTreeMap<usize, u64>,
}

impl Run {
    /// Returns a run of a server and two tests in two shards.
    fn of_two(fail_fast: bool) -> Self {
        let shards = vec![
            Shard {
                operational: roles(&["server-0"]),
                tests: roles(&["test-a"]),
                ..Shard::default()
            },
            Shard {
                operational: BTreeSet::new(),
                tests: roles(&["test-b"]),
                ..Shard::default()
            },
        ];
        Self::of(shards, fail_fast)
    }

    fn of(shards: Vec<Shard>, fail_fast: bool) -> Self {
        let now = crate::host::clock::instant();
        let policy = Policy {
            lease: LEASE,
            place_timeout: PLACE,
            fail_fast,
        };
        Self {
            scheduler: Scheduler::new(shards, policy, now),
            now,
            seq: BTreeMap::new(),
        }
    }

    fn feed(&mut self, input: Input) -> Vec<Action> {
        self.scheduler.next(input, self.now)
    }

    fn event(&mut self, shard: usize, role: &str, change: Change) -> Vec<Action> {
        let seq = self.seq.entry(shard).or_default();
        *seq += 1;
        let seq = *seq;
        self.numbered(shard, (1, seq), role, change)
    }

    fn numbered(
        &mut self,
        shard: usize,
        (epoch, seq): (u64, u64),
        role: &str,
        change: Change,
    ) -> Vec<Action> {
        self.feed(Input::Event {
            shard,
            epoch,
            seq,
            role: Some(role.parse().unwrap()),
            change: Some(change),
        })
    }

    /// Lets time pass, while these shards give signs of life.
    fn pass(&mut self, time: Duration, heard: &[usize]) -> Vec<Action> {
        let end = self.now + time;
        let mut actions = Vec::new();
        while self.now < end {
            self.now = end.min(self.now + Duration::from_secs(1));
            for &shard in heard {
                actions.extend(self.feed(Input::Heard(shard)));
            }
            actions.extend(self.feed(Input::Tick));
        }
        actions.retain(|action| !matches!(action, Action::Heartbeat(_)));
        actions
    }

    /// Brings both shards to the start of their operational roles.
    fn join(&mut self) {
        for shard in 0..2 {
            self.feed(Input::Joined(shard));
        }
        for shard in 0..2 {
            self.feed(Input::Placed(shard));
        }
    }

    /// Brings both shards to their tests.
    fn test(&mut self) {
        self.feed(Input::Begin);
        self.join();
        let ready = self.event(0, "server-0", Change::Ready);
        assert_eq!(ready, [Action::Accept, Action::Test(0), Action::Test(1)]);
    }
}

#[test]
fn shards_wait_for_each_other() {
    let mut run = Run::of_two(false);
    assert_eq!(run.feed(Input::Begin), [Action::Place(0), Action::Place(1)]);
    assert_eq!(run.feed(Input::Joined(1)), []);
    let joined = run.feed(Input::Joined(0));
    assert_eq!(joined, [Action::Transfer(0), Action::Transfer(1)]);
    assert_eq!(run.feed(Input::Placed(1)), []);
    let started = run.feed(Input::Placed(0));
    assert_eq!(started, [Action::Start(0), Action::Start(1)]);
    let ready = run.event(0, "server-0", Change::Ready);
    assert_eq!(ready, [Action::Accept, Action::Test(0), Action::Test(1)]);

    run.event(0, "test-a", Change::Ended(true));
    assert_eq!(run.feed(Input::Tested(0)), []);
    run.event(1, "test-b", Change::Ended(true));
    let finished = run.feed(Input::Tested(1));
    assert_eq!(finished, [Action::Finish(0), Action::Finish(1)]);
    for shard in [1, 0] {
        assert_eq!(run.feed(Input::Ended(shard)), [Action::Collect(shard)]);
        assert_eq!(run.feed(Input::Collected(shard)), [Action::Release(shard)]);
    }
    assert!(run.scheduler.is_done());
    assert_eq!(run.scheduler.wake_at(), None);
}

#[test]
fn roles_wait_for_those_of_other_shards() {
    let awaits = |role: &str, needed: &str| {
        let pair = (role.parse().unwrap(), roles(&[needed]));
        BTreeMap::from([pair])
    };
    let shards = vec![
        Shard {
            operational: roles(&["api-0"]),
            awaits: awaits("api-0", "db-0"),
            ..Shard::default()
        },
        Shard {
            operational: roles(&["db-0"]),
            tests: roles(&["test-a"]),
            ..Shard::default()
        },
    ];
    let mut run = Run::of(shards, false);
    run.feed(Input::Begin);
    run.join();
    let admitted = Action::Admit(0, "api-0".parse().unwrap());
    let ready = run.event(1, "db-0", Change::Ready);
    assert_eq!(ready, [Action::Accept, admitted]);
    // It is admitted once.
    assert_eq!(run.event(1, "db-0", Change::Again), [Action::Accept]);
    assert_eq!(run.event(1, "db-0", Change::Ready), [Action::Accept]);
    let tests = [Action::Accept, Action::Test(0), Action::Test(1)];
    assert_eq!(run.event(0, "api-0", Change::Ready), tests);
    // The role that it waited for is stopped after it.
    assert_eq!(run.feed(Input::Tested(0)), []);
    assert_eq!(run.feed(Input::Tested(1)), [Action::Finish(0)]);
    assert_eq!(run.feed(Input::Tick), []);
    let ended = [Action::Collect(0), Action::Finish(1)];
    assert_eq!(run.feed(Input::Ended(0)), ended);
}

#[test]
fn shards_that_wait_for_each_other_end_together() {
    let shard = |own: &[&str], role: &str, needed: &str| Shard {
        operational: roles(own),
        awaits: BTreeMap::from([(role.parse().unwrap(), roles(&[needed]))]),
        ..Shard::default()
    };
    let shards = vec![
        shard(&["a-0", "b-0"], "b-0", "c-0"),
        shard(&["c-0", "d-0"], "d-0", "a-0"),
    ];
    let mut run = Run::of(shards, false);
    run.feed(Input::Begin);
    run.join();
    for (shard, role) in [(0, "a-0"), (1, "c-0"), (0, "b-0"), (1, "d-0")] {
        run.event(shard, role, Change::Ready);
    }
    run.feed(Input::Tested(0));
    let finish = [Action::Finish(0), Action::Finish(1)];
    assert_eq!(run.feed(Input::Tested(1)), finish);
}

#[test]
fn empty_shards_are_not_placed() {
    let tests = Shard {
        operational: BTreeSet::new(),
        tests: roles(&["test-a"]),
        ..Shard::default()
    };
    let mut run = Run::of(vec![Shard::default(), tests], false);
    assert_eq!(run.feed(Input::Begin), [Action::Place(1)]);
    run.feed(Input::Joined(1));
    let placed = run.feed(Input::Placed(1));
    // No operational role is waited for.
    assert_eq!(placed, [Action::Start(1), Action::Test(1)]);
}

#[test]
fn a_silent_shard_is_lost_after_its_lease() {
    let mut run = Run::of_two(false);
    run.test();
    assert_eq!(run.pass(Duration::from_secs(9), &[0]), []);
    let lost = run.pass(Duration::from_secs(1), &[0]);
    let reason = "nothing heard for 10.0 s".to_owned();
    let role = "test-b".parse().unwrap();
    assert_eq!(
        lost,
        [Action::Lost(1, reason, vec![role]), Action::Release(1)]
    );
    // The other shard takes no notice.
    run.event(0, "test-a", Change::Ended(true));
    assert_eq!(run.feed(Input::Tested(0)), [Action::Finish(0)]);
}

#[test]
fn events_of_a_lost_shard_do_not_count() {
    let mut run = Run::of_two(false);
    run.test();
    run.feed(Input::Closed(1, "the stream ended".to_owned()));
    for epoch in [1, 2] {
        let late = run.numbered(1, (epoch, 9), "test-b", Change::Ended(true));
        assert_eq!(late, [Action::Refuse]);
    }
    assert_eq!(run.feed(Input::Tested(1)), []);
    assert_eq!(run.feed(Input::Joined(1)), []);
    assert_eq!(run.scheduler.refused(), 2);
}

#[test]
fn doubled_reordered_and_foreign_events_do_not_count() {
    let mut run = Run::of_two(false);
    run.test();
    let mut send = |numbers, role| run.numbered(1, numbers, role, Change::Ended(true));
    assert_eq!(send((1, 5), "test-b"), [Action::Accept]);
    for numbers in [(1, 5), (1, 4), (2, 6), (0, 6)] {
        assert_eq!(send(numbers, "test-b"), [Action::Refuse], "{numbers:?}");
    }
    assert_eq!(send((1, 6), "test-a"), [Action::Refuse]);
    assert_eq!(send((1, 6), "test-b"), [Action::Accept]);
    assert_eq!(run.scheduler.refused(), 5);
}

#[test]
fn roles_that_reported_are_not_lost() {
    let mut run = Run::of_two(false);
    run.test();
    run.event(0, "test-a", Change::Ended(false));
    let lost = run.feed(Input::Closed(0, "gone".to_owned()));
    let server = "server-0".parse().unwrap();
    assert_eq!(lost[0], Action::Lost(0, "gone".to_owned(), vec![server]));
    // A test that would have been tried again has reported nothing.
    run.event(1, "test-b", Change::Ended(false));
    run.event(1, "test-b", Change::Again);
    let lost = run.feed(Input::Closed(1, "gone".to_owned()));
    let test = "test-b".parse().unwrap();
    assert_eq!(lost[0], Action::Lost(1, "gone".to_owned(), vec![test]));
    assert!(run.scheduler.is_done());
}

#[test]
fn tests_do_not_start_without_their_server() {
    let mut run = Run::of_two(false);
    run.feed(Input::Begin);
    run.join();
    let failed = run.event(0, "server-0", Change::Ended(false));
    assert_eq!(failed, [Action::Accept]);
    // The engine of the shard notices it.
    let broken = run.event(0, "server-0", Change::Stopping);
    let stops = [Action::Stop(0, false), Action::Stop(1, false)];
    assert_eq!(broken[1..], stops);

    let mut run = Run::of_two(false);
    run.feed(Input::Begin);
    run.join();
    let lost = run.feed(Input::Closed(0, "gone".to_owned()));
    assert!(lost.contains(&Action::Stop(1, false)), "{lost:?}");
    run.feed(Input::Ended(1));
    run.feed(Input::Collected(1));
    assert!(run.scheduler.is_done());
}

#[test]
fn a_shard_that_stops_stops_all_shards() {
    let mut run = Run::of_two(true);
    run.test();
    let stopped = run.event(1, "test-b", Change::Stopping);
    let stops = [
        Action::Accept,
        Action::Stop(0, false),
        Action::Stop(1, false),
    ];
    assert_eq!(stopped, stops);
    // A second request kills.
    let killed = run.feed(Input::Stop(true));
    assert_eq!(killed, [Action::Stop(0, true), Action::Stop(1, true)]);
}

#[test]
fn a_command_that_places_nothing_ends_the_run() {
    let mut run = Run::of_two(false);
    run.feed(Input::Begin);
    run.feed(Input::Joined(0));
    let unplaced = run.feed(Input::Closed(1, "no such host".to_owned()));
    let expected = [
        Action::Unplaced(1, "no such host".to_owned()),
        Action::Release(1),
        Action::Release(0),
    ];
    assert_eq!(unplaced, expected);
    assert!(run.scheduler.is_done());
}

#[test]
fn an_instance_of_a_lost_test_is_not_named() {
    let shard = Shard {
        tests: roles(&["test-a"]),
        instances: roles(&["fresh-test-a-db-0"]),
        ..Shard::default()
    };
    let mut run = Run::of(vec![shard], false);
    run.feed(Input::Begin);
    run.feed(Input::Joined(0));
    let lost = run.feed(Input::Closed(0, "gone".to_owned()));
    let test = "test-a".parse().unwrap();
    assert_eq!(lost[0], Action::Lost(0, "gone".to_owned(), vec![test]));
}

#[test]
fn shards_that_are_not_placed_in_time_are_named() {
    let mut run = Run::of_two(false);
    run.feed(Input::Begin);
    run.feed(Input::Joined(0));
    let late = run.pass(PLACE, &[0]);
    let expected = [
        Action::NotPlaced(vec![1]),
        Action::Release(0),
        Action::Release(1),
    ];
    assert_eq!(late, expected);
    assert!(run.scheduler.is_done());
}

#[test]
fn joined_shards_get_signs_of_life() {
    let mut run = Run::of_two(false);
    run.test();
    let beat = LEASE / BEATS;
    assert_eq!(run.scheduler.wake_at(), Some(run.now + beat));
    run.now += beat;
    let beats = run.feed(Input::Tick);
    assert_eq!(beats, [Action::Heartbeat(0), Action::Heartbeat(1)]);
}

/// A step of a run in which anything may happen.
#[derive(Debug, Clone)]
enum Step {
    Input(Input),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let shard = 0_usize..3;
    let change = prop_oneof![
        Just(Change::Ready),
        Just(Change::Again),
        any::<bool>().prop_map(Change::Ended),
        Just(Change::Stopping),
    ];
    let role = prop_oneof!["server-[012]", "test-[0-5]"];
    let event = (shard.clone(), 1_u64..3, 1_u64..40, role, change);
    let event = event.prop_map(|(shard, epoch, seq, role, change)| Input::Event {
        shard,
        epoch,
        seq,
        role: Some(role.parse().unwrap()),
        change: Some(change),
    });
    let input = prop_oneof![
        4 => shard.clone().prop_map(Input::Joined),
        4 => shard.clone().prop_map(Input::Heard),
        4 => shard.clone().prop_map(Input::Placed),
        8 => event,
        4 => shard.clone().prop_map(Input::Tested),
        2 => shard.clone().prop_map(Input::Ended),
        2 => shard.clone().prop_map(Input::Collected),
        1 => shard.prop_map(|shard| Input::Closed(shard, "gone".to_owned())),
        1 => any::<bool>().prop_map(Input::Stop),
    ];
    prop_oneof![6 => input.prop_map(Step::Input), 1 => (1_u64..8).prop_map(Step::Pass)]
}

fn three() -> Vec<Shard> {
    vec![
        Shard {
            operational: roles(&["server-0", "server-1"]),
            tests: roles(&["test-0", "test-1"]),
            ..Shard::default()
        },
        Shard {
            operational: BTreeSet::new(),
            tests: roles(&["test-2", "test-3"]),
            ..Shard::default()
        },
        Shard {
            operational: roles(&["server-2"]),
            tests: roles(&["test-4", "test-5"]),
            awaits: BTreeMap::from([("server-2".parse().unwrap(), roles(&["server-0"]))]),
            ..Shard::default()
        },
    ]
}

proptest! {
    /// In each order of arrivals, a shard is asked for each thing at
    /// most once and in order, nothing is asked of one that is over, and all
    /// shards are over at last.
    #[test]
    fn every_run_ends(steps in proptest::collection::vec(step(), 0..120)) {
        let shards = three();
        let mut run = Run::of(shards.clone(), false);
        let mut all = run.feed(Input::Begin);
        let mut seqs = [0; 3];
        for step in steps {
            match step {
                Step::Pass(seconds) => {
                    run.now += Duration::from_secs(seconds);
                    all.extend(run.feed(Input::Tick));
                }
                Step::Input(input) => {
                    let actions = run.feed(input.clone());
                    let is_accepted = actions.contains(&Action::Accept);
                    match input {
                        Input::Event { shard, epoch, seq, role, .. } if is_accepted => {
                            prop_assert!(seq > seqs[shard] && epoch == 1);
                            prop_assert!(shards[shard].has(&role.unwrap()));
                            seqs[shard] = seq;
                        }
                        _ => {}
                    }
                    all.extend(actions);
                }
            }
        }
        // Silence ends everything.
        for _ in 0..2 {
            run.now += PLACE;
            all.extend(run.feed(Input::Tick));
        }
        prop_assert!(run.scheduler.is_done());
        prop_assert_eq!(run.scheduler.wake_at(), None);
        for shard in 0..3 {
            let own = |action: &Action| match action {
                Action::Place(it) => (*it == shard).then_some(0),
                Action::Transfer(it) => (*it == shard).then_some(1),
                Action::Start(it) => (*it == shard).then_some(2),
                Action::Test(it) => (*it == shard).then_some(3),
                Action::Finish(it) => (*it == shard).then_some(4),
                Action::Collect(it) => (*it == shard).then_some(5),
                Action::Lost(it, ..) => (*it == shard).then_some(6),
                Action::Release(it) => (*it == shard).then_some(7),
                Action::Heartbeat(it) | Action::Stop(it, _) | Action::Admit(it, _) => {
                    (*it == shard).then_some(8)
                }
                Action::Accept
                | Action::Refuse
                | Action::NotPlaced(_)
                | Action::Unplaced(..) => None,
            };
            let steps: Vec<i32> = all.iter().filter_map(own).collect();
            let once: Vec<i32> = steps.iter().copied().filter(|step| *step < 8).collect();
            prop_assert!(once.is_sorted() && once.windows(2).all(|two| two[0] < two[1]), "{steps:?}");
            let released = steps.iter().position(|step| *step == 7);
            prop_assert_eq!(released, Some(steps.len() - 1), "{:?}", steps);
        }
    }
}
