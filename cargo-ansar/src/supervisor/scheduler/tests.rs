//! Tests the scheduler with a manual clock.

use proptest::prelude::*;

use crate::model::role_properties::READY_LIMIT;
use crate::model::stop::StopSignal;
use crate::supervisor::scheduler::*;

const GRACE: Duration = Duration::from_secs(4);
const STOP: StopSequence = StopSequence {
    signal: None,
    grace: GRACE,
};

fn member(kind: RoleKind, after: &[usize]) -> Member {
    Member {
        kind,
        after: after.to_vec(),
        timeout: None,
        ready_limit: Some(READY_LIMIT),
        stop: STOP,
        is_one_shot: false,
        tells_slow: false,
        finish: None,
        owner: None,
        setup: None,
        exclusive: BTreeSet::new(),
        is_held: false,
    }
}

fn operational(after: &[usize]) -> Member {
    member(RoleKind::Operational, after)
}

fn test() -> Member {
    member(RoleKind::Test, &[])
}

/// A scheduler and its clock.
struct Scene {
    scheduler: Scheduler,
    now: Instant,
}

impl Scene {
    fn new(members: Vec<Member>, policy: Policy) -> Self {
        Self {
            scheduler: Scheduler::new(members, policy),
            #[expect(
                clippy::disallowed_methods,
                reason = "any instant will do as the first"
            )]
            now: Instant::now(),
        }
    }

    fn of(members: Vec<Member>) -> Self {
        Self::new(members, Policy::default())
    }

    fn next(&mut self, input: Input) -> Vec<Action> {
        self.scheduler.next(input, self.now)
    }

    fn ended(&mut self, member: usize) -> Vec<Action> {
        self.next(Input::Ended {
            member,
            success: true,
            restart_after: None,
        })
    }

    fn failed(&mut self, member: usize) -> Vec<Action> {
        self.next(Input::Ended {
            member,
            success: false,
            restart_after: None,
        })
    }

    /// Advances the clock and returns the resulting actions, without reports.
    fn wait(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        let mut actions = self.next(Input::Tick);
        actions
            .retain(|action| !matches!(action, Action::StillRunning(_) | Action::StillStarting(_)));
        actions
    }
}

use Action::{Rerun, Signal, Skip, Slow, Start, Stopping, TimedOut, Unkillable};

#[test]
fn tests_start_when_operational_roles_are_ready() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[]), test(), test()]);
    assert_eq!(scene.next(Input::Begin), [Start(0), Start(1)]);
    assert_eq!(scene.next(Input::Ready(0)), []);
    assert_eq!(scene.next(Input::Ready(1)), [Start(2), Start(3)]);
    assert_eq!(scene.ended(2), []);
    assert_eq!(
        scene.failed(3),
        [
            Stopping(StopCause::Finished),
            Signal(0, StopStep::Ask),
            Signal(1, StopStep::Ask)
        ]
    );
    assert_eq!(scene.ended(0), []);
    assert_eq!(scene.ended(1), []);
    assert!(scene.scheduler.is_done());
    assert_eq!(scene.scheduler.wake_at(), None);
}

#[test]
fn success_satisfies_dependents_without_readiness() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[0])]);
    assert_eq!(scene.next(Input::Begin), [Start(0)]);
    assert_eq!(scene.ended(0), [Start(1)]);
}

#[test]
fn failure_skips_all_dependents() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[0]), operational(&[1])]);
    scene.next(Input::Begin);
    assert_eq!(scene.failed(0), [Skip(1, Some(0)), Skip(2, Some(1))]);
    assert!(scene.scheduler.is_done());
}

#[test]
fn a_failure_before_readiness_ends_a_test_run() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[]), test()]);
    scene.next(Input::Begin);
    assert_eq!(
        scene.failed(0),
        [
            Skip(2, None),
            Stopping(StopCause::Broken),
            Signal(1, StopStep::Ask)
        ]
    );
}

#[test]
fn a_failure_after_readiness_lets_running_tests_finish() {
    let policy = Policy {
        jobs: Some(1),
        ..Policy::default()
    };
    let mut scene = Scene::new(vec![operational(&[]), test(), test()], policy);
    scene.next(Input::Begin);
    assert_eq!(scene.next(Input::Ready(0)), [Start(1)]);
    assert_eq!(scene.failed(0), [Skip(2, None)]);
    scene.ended(1);
    assert!(scene.scheduler.is_done());
}

#[test]
fn jobs_bound_tests_and_nothing_else() {
    let policy = Policy {
        jobs: Some(2),
        ..Policy::default()
    };
    let mut scene = Scene::new(vec![test(), test(), test(), operational(&[])], policy);
    assert_eq!(scene.next(Input::Begin), [Start(3)]);
    assert_eq!(scene.next(Input::Ready(3)), [Start(0), Start(1)]);
    assert_eq!(scene.ended(1), [Start(2)]);
}

#[test]
fn fail_fast_stops_at_the_first_failure() {
    let policy = Policy {
        jobs: Some(2),
        fail_fast: true,
        ..Policy::default()
    };
    let mut scene = Scene::new(vec![test(), test(), test()], policy);
    scene.next(Input::Begin);
    assert_eq!(
        scene.failed(0),
        [
            Skip(2, None),
            Stopping(StopCause::FailFast),
            Signal(1, StopStep::Ask)
        ]
    );
}

fn with_retries(retries: u32) -> Policy {
    Policy {
        retries,
        ..Policy::default()
    }
}

#[test]
fn a_failed_test_is_run_again_after_the_others() {
    let members = vec![operational(&[]), test(), test(), test()];
    let mut scene = Scene::new(members, with_retries(2));
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    assert_eq!(scene.failed(1), [Rerun(1)]);
    assert_eq!(scene.scheduler.phase(1), Phase::Waiting);
    assert_eq!(scene.failed(2), [Rerun(2)]);
    assert_eq!(scene.ended(3), [Start(1), Start(2)]);
    assert_eq!(scene.failed(1), [Rerun(1)]);
    assert_eq!(scene.ended(2), [Start(1)]);
    assert_eq!(
        scene.failed(1),
        [Stopping(StopCause::Finished), Signal(0, StopStep::Ask)],
        "twice again, and no more"
    );
    scene.ended(0);
    assert!(scene.scheduler.is_done());
}

#[test]
fn dependents_of_a_test_wait_for_its_retries() {
    let after = member(RoleKind::Test, &[0]);
    let mut scene = Scene::new(vec![test(), after.clone()], with_retries(1));
    assert_eq!(scene.next(Input::Begin), [Start(0)]);
    assert_eq!(scene.failed(0), [Rerun(0), Start(0)]);
    assert_eq!(scene.ended(0), [Start(1)]);
    assert_eq!(scene.failed(1), [Rerun(1), Start(1)]);
    assert_eq!(scene.failed(1), []);
    assert!(scene.scheduler.is_done());

    let mut scene = Scene::new(vec![test(), after], with_retries(1));
    scene.next(Input::Begin);
    scene.failed(0);
    assert_eq!(scene.failed(0), [Skip(1, Some(0))]);
    assert!(scene.scheduler.is_done());
}

#[test]
fn retries_share_timeout_and_jobs() {
    let limited = Member {
        timeout: Some(Duration::from_secs(5)),
        ..test()
    };
    let policy = Policy {
        jobs: Some(1),
        ..with_retries(1)
    };
    let mut scene = Scene::new(vec![limited, test()], policy);
    scene.next(Input::Begin);
    assert_eq!(scene.wait(Duration::from_secs(3)), []);
    assert_eq!(scene.failed(0), [Rerun(0), Start(1)]);
    assert_eq!(scene.wait(Duration::from_secs(9)), []);
    assert_eq!(scene.ended(1), [Start(0)]);
    assert_eq!(scene.wait(Duration::from_secs(1)), []);
    let late = scene.wait(Duration::from_secs(1));
    assert_eq!(late, [TimedOut(0), Signal(0, StopStep::Ask)]);
    scene.failed(0);
    assert!(scene.scheduler.is_done(), "it has had its time");
}

#[test]
fn no_retry_after_a_failed_dependency() {
    let mut scene = Scene::new(vec![operational(&[]), test()], with_retries(3));
    scene.next(Input::Begin);
    assert_eq!(scene.next(Input::Ready(0)), [Start(1)]);
    assert_eq!(scene.failed(0), []);
    assert_eq!(scene.failed(1), []);
    assert!(scene.scheduler.is_done());

    let mut scene = Scene::new(vec![operational(&[]), test()], with_retries(3));
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    scene.next(Input::StopSome(vec![0]));
    scene.ended(0);
    scene.failed(1);
    assert!(scene.scheduler.is_done());
}

#[test]
fn no_retry_after_a_stop() {
    for stop in [Input::Stop, Input::StopSome(vec![0])] {
        let mut scene = Scene::new(vec![test()], with_retries(5));
        scene.next(Input::Begin);
        scene.next(stop);
        assert_eq!(scene.failed(0), []);
        assert!(scene.scheduler.is_done());
    }
    let mut scene = Scene::new(vec![test(), test()], with_retries(5));
    scene.next(Input::Begin);
    assert_eq!(scene.failed(0), [Rerun(0)]);
    let stopped = scene.next(Input::Stop);
    assert!(stopped.contains(&Skip(0, None)), "{stopped:?}");
    scene.failed(1);
    assert!(scene.scheduler.is_done());
}

#[test]
fn fail_fast_waits_for_retries() {
    let policy = Policy {
        fail_fast: true,
        ..with_retries(1)
    };
    let mut scene = Scene::new(vec![test(), test()], policy);
    scene.next(Input::Begin);
    assert_eq!(scene.failed(0), [Rerun(0)]);
    assert_eq!(scene.failed(1), [Rerun(1), Start(0), Start(1)]);
    let end = [Stopping(StopCause::FailFast), Signal(1, StopStep::Ask)];
    assert_eq!(scene.failed(0), end);
}

#[test]
fn slow_test_is_reported_periodically() {
    let period = Duration::from_secs(60);
    let policy = Policy {
        slow: Some(period),
        ..with_retries(1)
    };
    let mut scene = Scene::new(vec![operational(&[]), test()], policy);
    scene.next(Input::Begin);
    assert_eq!(scene.wait(period / 2), [], "no test yet");
    scene.next(Input::Ready(0));
    assert_eq!(scene.wait(period / 2), []);
    assert_eq!(scene.scheduler.wake_at(), Some(scene.now + period / 2));
    assert_eq!(scene.wait(period / 2), [Slow(1, period)]);
    assert_eq!(scene.wait(period / 2), []);
    assert_eq!(scene.wait(period / 2), [Slow(1, period * 2)]);
    scene.failed(1);
    assert_eq!(scene.wait(period), [Slow(1, period)], "it begins anew");
    scene.next(Input::Stop);
    assert!(!scene.wait(period).iter().any(|it| matches!(it, Slow(..))));
    scene.ended(1);
    scene.ended(0);
    assert_eq!(scene.scheduler.wake_at(), None);
}

#[test]
fn stop_signals_escalate_over_the_grace_time() {
    let mut scene = Scene::of(vec![operational(&[])]);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    assert_eq!(
        scene.next(Input::Stop),
        [Stopping(StopCause::Asked), Signal(0, StopStep::Ask)]
    );
    assert_eq!(scene.next(Input::Stop), []);
    assert_eq!(scene.wait(GRACE / 4), []);
    assert_eq!(scene.wait(GRACE / 4), [Signal(0, StopStep::Terminate)]);
    assert_eq!(scene.wait(GRACE / 4), []);
    assert_eq!(scene.wait(GRACE / 4), [Signal(0, StopStep::Kill)]);
    assert_eq!(scene.wait(KILLED_IN / 2), []);
    scene.ended(0);
    assert!(scene.scheduler.is_done());
    assert_eq!(scene.wait(KILLED_IN), []);
}

#[test]
fn unkillable_member_is_given_up() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[])]);
    scene.next(Input::Begin);
    scene.next(Input::Kill);
    scene.ended(1);
    assert!(scene.scheduler.wake_at() <= Some(scene.now + KILLED_IN));
    assert_eq!(scene.wait(KILLED_IN), [Unkillable(0)]);
    assert_eq!(scene.scheduler.phase(0), Phase::Stopping);
    assert!(scene.scheduler.is_unkillable(0) && scene.scheduler.is_done());
    assert_eq!(scene.wait(KILLED_IN), []);
    scene.ended(0);
    assert_eq!(scene.scheduler.phase(0), Phase::Ended);
    assert!(!scene.scheduler.has_unkillable());
}

#[test]
fn another_stop_kills_an_unkillable_member_again() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[])]);
    scene.next(Input::Begin);
    scene.next(Input::StopSome(vec![0]));
    scene.wait(GRACE / 2);
    assert_eq!(scene.wait(GRACE / 2), [Signal(0, StopStep::Kill)]);
    assert_eq!(scene.wait(KILLED_IN), [Unkillable(0)]);
    assert!(!scene.scheduler.is_done());
    let again = scene.next(Input::StopSome(vec![0]));
    assert_eq!(again, [Signal(0, StopStep::Kill)]);
    assert_eq!(scene.wait(KILLED_IN), [Unkillable(0)]);
}

#[test]
fn unkillable_test_does_not_block_others() {
    let mut late = test();
    late.timeout = Some(GRACE);
    let policy = Policy {
        jobs: Some(1),
        ..Policy::default()
    };
    let mut scene = Scene::new(vec![late, test()], policy);
    assert_eq!(scene.next(Input::Begin), [Start(0)]);
    scene.wait(GRACE);
    scene.wait(GRACE / 2);
    assert_eq!(scene.wait(GRACE / 2), [Signal(0, StopStep::Kill)]);
    assert_eq!(scene.wait(KILLED_IN), [Unkillable(0), Start(1)]);
    scene.ended(1);
    assert!(scene.scheduler.is_done());
}

#[test]
fn dependents_are_stopped_first() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[0])]);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    assert_eq!(
        scene.next(Input::Stop),
        [Stopping(StopCause::Asked), Signal(1, StopStep::Ask)]
    );
    assert_eq!(scene.ended(1), [Signal(0, StopStep::Ask)]);
}

#[test]
fn a_stubborn_dependent_does_not_prolong_the_grace_time() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[0])]);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    scene.next(Input::Stop);
    assert_eq!(
        scene.wait(GRACE / 2),
        [
            Signal(0, StopStep::Terminate),
            Signal(1, StopStep::Terminate)
        ]
    );
    assert_eq!(
        scene.wait(GRACE / 2),
        [Signal(0, StopStep::Kill), Signal(1, StopStep::Kill)]
    );
}

/// An operational member with this grace.
fn graceful(after: &[usize], grace: Duration) -> Member {
    Member {
        stop: StopSequence {
            signal: None,
            grace,
        },
        ..operational(after)
    }
}

#[test]
fn own_signal_is_the_only_one_before_the_kill() {
    let mut member = operational(&[]);
    member.stop.signal = "SIGQUIT".parse().ok();
    let mut scene = Scene::of(vec![member]);
    scene.next(Input::Begin);
    let stopping = scene.next(Input::StopSome(vec![0]));
    assert_eq!(stopping, [Signal(0, StopStep::Ask)]);
    assert_eq!(scene.wait(GRACE / 2), []);
    assert_eq!(scene.wait(GRACE / 2), [Signal(0, StopStep::Kill)]);
}

#[test]
fn each_member_has_its_own_grace() {
    let mut scene = Scene::of(vec![graceful(&[], 3 * GRACE), operational(&[])]);
    scene.next(Input::Begin);
    scene.next(Input::Stop);
    assert_eq!(scene.wait(GRACE / 2), [Signal(1, StopStep::Terminate)]);
    assert_eq!(scene.wait(GRACE / 2), [Signal(1, StopStep::Kill)]);
    scene.ended(1);
    assert_eq!(scene.wait(GRACE / 2), [Signal(0, StopStep::Terminate)]);
    assert_eq!(scene.wait(GRACE), []);
    assert_eq!(scene.wait(GRACE / 2), [Signal(0, StopStep::Kill)]);
}

#[test]
fn a_grace_of_zero_kills_at_once() {
    let mut scene = Scene::of(vec![graceful(&[], Duration::ZERO)]);
    scene.next(Input::Begin);
    let stopping = scene.next(Input::StopSome(vec![0]));
    assert_eq!(stopping, [Signal(0, StopStep::Kill)]);
}

#[test]
fn a_longer_grace_of_a_dependent_is_not_cut_short() {
    let members = vec![
        operational(&[]),
        operational(&[0]),
        graceful(&[1], 3 * GRACE),
    ];
    let mut scene = Scene::of(members);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    scene.next(Input::Ready(1));
    let stopping = [Stopping(StopCause::Asked), Signal(2, StopStep::Ask)];
    assert_eq!(scene.next(Input::Stop), stopping);
    assert_eq!(scene.wait(GRACE), []);
    assert_eq!(scene.wait(GRACE / 2), [Signal(2, StopStep::Terminate)]);
    // From now on, the own grace of the next one counts.
    assert_eq!(scene.ended(2), [Signal(1, StopStep::Ask)]);
    assert_eq!(scene.wait(GRACE / 2), [Signal(1, StopStep::Terminate)]);
    assert_eq!(scene.wait(GRACE / 2), [Signal(1, StopStep::Kill)]);
    assert_eq!(scene.ended(1), [Signal(0, StopStep::Ask)]);
}

#[test]
fn members_below_a_stubborn_one_with_a_longer_grace_follow_it() {
    let mut scene = Scene::of(vec![operational(&[]), graceful(&[0], 3 * GRACE)]);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    scene.next(Input::Stop);
    scene.wait(3 * GRACE / 2);
    assert_eq!(
        scene.wait(3 * GRACE / 2),
        [Signal(0, StopStep::Terminate), Signal(1, StopStep::Kill)]
    );
    assert_eq!(scene.wait(GRACE / 2), [Signal(0, StopStep::Kill)]);
}

#[test]
fn one_shot_member_satisfies_dependents_by_its_success() {
    let one_shot = Member {
        is_one_shot: true,
        ready_limit: None,
        ..operational(&[])
    };
    let mut scene = Scene::of(vec![one_shot, operational(&[0]), test()]);
    assert_eq!(scene.next(Input::Begin), [Start(0)]);
    assert_eq!(scene.next(Input::Ready(0)), []);
    assert_eq!(scene.scheduler.phase(0), Phase::Starting);
    assert_eq!(scene.wait(2 * READY_LIMIT), []);
    assert_eq!(scene.ended(0), [Start(1)]);
    assert_eq!(scene.next(Input::Ready(1)), [Start(2)]);
}

#[test]
fn failed_one_shot_member_skips_those_that_start_after_it() {
    let one_shot = Member {
        is_one_shot: true,
        ..operational(&[])
    };
    let mut scene = Scene::of(vec![one_shot, operational(&[0]), test()]);
    scene.next(Input::Begin);
    let skipped = [Skip(1, Some(0)), Skip(2, None), Stopping(StopCause::Broken)];
    assert_eq!(scene.failed(0), skipped);
}

#[test]
fn unhealthy_member_is_stopped_and_restarted() {
    let mut scene = Scene::of(vec![operational(&[])]);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    assert_eq!(scene.next(Input::Unhealthy(0)), [Signal(0, StopStep::Ask)]);
    assert_eq!(scene.next(Input::Unhealthy(0)), []);
    let ended = Input::Ended {
        member: 0,
        success: false,
        restart_after: Some(Duration::ZERO),
    };
    assert_eq!(scene.next(ended), [Start(0)]);
}

#[test]
fn each_step_of_a_setup_has_the_whole_ready_limit() {
    let mut scene = Scene::of(vec![operational(&[])]);
    scene.next(Input::Begin);
    scene.wait(READY_LIMIT / 2);
    scene.next(Input::Step(0));
    assert_eq!(scene.wait(READY_LIMIT / 2), []);
    let late = [Action::NeverReady(0), Signal(0, StopStep::Ask)];
    assert_eq!(scene.wait(READY_LIMIT / 2), late);
    // A step that ends afterwards does not undo it.
    scene.next(Input::Step(0));
    assert_eq!(scene.scheduler.phase(0), Phase::Stopping);
}

#[test]
fn a_step_ends_what_the_previous_one_left_behind() {
    let mut scene = Scene::of(vec![operational(&[])]);
    scene.next(Input::Begin);
    assert_eq!(scene.next(Input::MainExited(0)), [Signal(0, StopStep::Ask)]);
    scene.next(Input::Step(0));
    assert_eq!(scene.scheduler.phase(0), Phase::Starting);
    assert_eq!(scene.wait(GRACE), []);
    scene.next(Input::MainExited(0));
    scene.next(Input::StopSome(vec![0]));
    scene.next(Input::Step(0));
    assert_eq!(scene.scheduler.phase(0), Phase::Stopping);
}

#[test]
fn kill_skips_the_stop_sequence() {
    let mut scene = Scene::of(vec![operational(&[])]);
    scene.next(Input::Begin);
    scene.next(Input::Stop);
    assert_eq!(scene.next(Input::Kill), [Signal(0, StopStep::Kill)]);
    assert_eq!(scene.next(Input::Kill), []);
}

#[test]
fn timeout_stops_one_member() {
    let limited = Member {
        timeout: Some(Duration::from_secs(2)),
        ..test()
    };
    let mut scene = Scene::of(vec![limited, test()]);
    scene.next(Input::Begin);
    assert_eq!(
        scene.scheduler.wake_at(),
        Some(scene.now + Duration::from_secs(2))
    );
    assert_eq!(
        scene.wait(Duration::from_secs(2)),
        [TimedOut(0), Signal(0, StopStep::Ask)]
    );
    assert_eq!(scene.wait(GRACE / 2), [Signal(0, StopStep::Terminate)]);
    scene.failed(0);
    assert!(!scene.scheduler.is_done());
}

#[test]
fn readiness_has_a_limit() {
    let mut scene = Scene::of(vec![operational(&[]), test()]);
    scene.next(Input::Begin);
    assert_eq!(
        scene.wait(READY_LIMIT),
        [Action::NeverReady(0), Signal(0, StopStep::Ask)]
    );
    assert_eq!(
        scene.failed(0),
        [Skip(1, None), Stopping(StopCause::Broken)]
    );
    assert!(scene.scheduler.is_done());
}

#[test]
fn waiting_is_reported() {
    let mut scene = Scene::of(vec![operational(&[]), test()]);
    scene.next(Input::Begin);
    scene.now += Policy::default().report_after;
    assert_eq!(scene.next(Input::Tick), [Action::StillStarting(vec![0])]);
    assert_eq!(scene.next(Input::Tick), []);
    scene.next(Input::Stop);
    scene.now += Policy::default().report_after;
    assert_eq!(scene.next(Input::Tick), [Action::StillRunning(vec![0])]);
}

#[test]
fn some_members_stop_in_order() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[0]), operational(&[])]);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    assert_eq!(
        scene.next(Input::StopSome(vec![0, 1])),
        [Signal(1, StopStep::Ask)]
    );
    assert_eq!(scene.ended(1), [Signal(0, StopStep::Ask)]);
    assert_eq!(scene.ended(0), []);
    assert_eq!(scene.scheduler.phase(2), Phase::Starting);
    assert!(!scene.scheduler.is_done());
}

#[test]
fn stop_does_not_wait_for_running_dependents() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[0])]);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    assert_eq!(
        scene.next(Input::StopSome(vec![0])),
        [Signal(0, StopStep::Ask)]
    );
}

#[test]
fn stop_skips_waiting_dependents() {
    let mut scene = Scene::of(vec![operational(&[]), operational(&[0])]);
    scene.next(Input::Begin);
    scene.next(Input::StopSome(vec![0]));
    assert_eq!(scene.ended(0), [Skip(1, Some(0))]);
    assert!(scene.scheduler.is_done());
}

#[test]
fn exited_member_restarts_after_its_delay() {
    let delay = Duration::from_secs(2);
    let mut scene = Scene::of(vec![operational(&[])]);
    let crash = Input::Ended {
        member: 0,
        success: false,
        restart_after: Some(delay),
    };
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    assert_eq!(scene.next(crash.clone()), []);
    assert_eq!(scene.scheduler.phase(0), Phase::BackingOff);
    assert_eq!(scene.scheduler.wake_at(), Some(scene.now + delay));
    assert_eq!(scene.wait(delay / 2), []);
    assert_eq!(scene.wait(delay / 2), [Start(0)]);
    // While it waits for its restart, there is no process to signal.
    scene.next(crash.clone());
    assert_eq!(scene.next(Input::StopSome(vec![0])), [Skip(0, None)]);
    assert!(scene.scheduler.is_done());
}

#[test]
fn stopped_member_does_not_restart() {
    let mut scene = Scene::of(vec![operational(&[])]);
    scene.next(Input::Begin);
    scene.next(Input::StopSome(vec![0]));
    let crash = Input::Ended {
        member: 0,
        success: false,
        restart_after: Some(Duration::ZERO),
    };
    assert_eq!(scene.next(crash), []);
    assert!(scene.scheduler.is_done());
}

#[test]
fn added_members_reuse_indices() {
    let mut scene = Scene::of(vec![operational(&[])]);
    scene.next(Input::Begin);
    scene.ended(0);
    scene
        .scheduler
        .admit(vec![(0, operational(&[])), (1, operational(&[0]))]);
    assert!(!scene.scheduler.is_done());
    assert_eq!(scene.next(Input::Tick), [Start(0)]);
    assert_eq!(scene.next(Input::Ready(0)), [Start(1)]);
}

fn exclusive_test(words: &[&str]) -> Member {
    Member {
        exclusive: words.iter().map(|word| (*word).to_owned()).collect(),
        ..test()
    }
}

#[test]
fn members_that_share_a_word_take_turns() {
    let members = vec![
        exclusive_test(&["db"]),
        exclusive_test(&["db", "cache"]),
        exclusive_test(&["cache"]),
        test(),
    ];
    let mut scene = Scene::of(members);
    assert_eq!(scene.next(Input::Begin), [Start(0), Start(2), Start(3)]);
    assert_eq!(scene.ended(2), []);
    assert_eq!(scene.failed(0), [Start(1)]);
    assert_eq!(scene.ended(3), []);
    scene.ended(1);
    assert!(scene.scheduler.is_done());
}

#[test]
fn members_with_the_same_setup_start_one_after_the_other() {
    let set_up = || Member {
        setup: Some("initdb".to_owned()),
        ..operational(&[])
    };
    let members = vec![set_up(), set_up(), set_up(), operational(&[])];
    let mut scene = Scene::of(members);
    assert_eq!(scene.next(Input::Begin), [Start(0), Start(3)]);
    assert_eq!(scene.next(Input::Ready(3)), []);
    assert_eq!(scene.next(Input::Ready(0)), [Start(1)]);
    assert_eq!(scene.failed(1), [Start(2)]);
}

/// A member that belongs to the test with this number.
fn owned(owner: usize, after: &[usize]) -> Member {
    Member {
        owner: Some(owner),
        ..operational(after)
    }
}

#[test]
fn owned_members_run_around_their_test_alone() {
    let members = vec![
        operational(&[]),
        member(RoleKind::Test, &[2]),
        owned(1, &[0]),
        test(),
    ];
    let policy = Policy {
        retries: 1,
        ..Policy::default()
    };
    let mut scene = Scene::new(members, policy);
    assert_eq!(scene.next(Input::Begin), [Start(0)]);
    assert_eq!(scene.next(Input::Ready(0)), [Start(3), Start(2)]);
    assert_eq!(scene.next(Input::Ready(2)), [Start(1)]);
    assert_eq!(scene.ended(3), []);
    assert_eq!(scene.failed(1), [Rerun(1), Signal(2, StopStep::Ask)]);
    assert_eq!(scene.ended(2), [Rerun(2), Start(2)]);
    assert_eq!(scene.next(Input::Ready(2)), [Start(1)]);
    assert_eq!(
        scene.ended(1),
        [Stopping(StopCause::Finished), Signal(2, StopStep::Ask)]
    );
    assert_eq!(scene.ended(2), [Signal(0, StopStep::Ask)]);
    scene.ended(0);
    assert!(scene.scheduler.is_done());
}

#[test]
fn test_is_skipped_if_an_owned_member_fails() {
    let members = vec![
        member(RoleKind::Test, &[1, 2]),
        owned(0, &[]),
        owned(0, &[1]),
        test(),
    ];
    let mut scene = Scene::of(members);
    assert_eq!(scene.next(Input::Begin), [Start(3), Start(1)]);
    assert_eq!(scene.failed(1), [Skip(0, Some(1)), Skip(2, Some(1))]);
    assert_eq!(scene.ended(3), []);
    assert!(scene.scheduler.is_done());
}

#[test]
fn tests_that_wait_for_owned_members_are_jobs() {
    let members = vec![
        member(RoleKind::Test, &[1]),
        owned(0, &[]),
        member(RoleKind::Test, &[3]),
        owned(2, &[]),
    ];
    let policy = Policy {
        jobs: Some(1),
        ..Policy::default()
    };
    let mut scene = Scene::new(members, policy);
    assert_eq!(scene.next(Input::Begin), [Start(1)]);
    assert_eq!(scene.next(Input::Ready(1)), [Start(0)]);
    assert_eq!(scene.ended(0), [Start(3), Signal(1, StopStep::Ask)]);
    scene.ended(1);
    assert_eq!(scene.next(Input::Ready(3)), [Start(2)]);
    assert_eq!(
        scene.ended(2),
        [Stopping(StopCause::Finished), Signal(3, StopStep::Ask)]
    );
    scene.ended(3);
    assert!(scene.scheduler.is_done());
}

proptest! {
    #[test]
    fn owned_members_are_there_for_every_try(
        counts in proptest::collection::vec(0..3usize, 1..6),
        shared_words in any::<bool>(),
        jobs in proptest::option::of(1usize..3),
        retries in 0..3u32,
        mut seed: u64,
    ) {
        let mut members = vec![operational(&[])];
        for count in &counts {
            let test = members.len();
            let own: Vec<usize> = (test + 1..=test + count).collect();
            members.push(Member {
                after: own.clone(),
                exclusive: shared_words.then(|| "db".to_owned()).into_iter().collect(),
                ..super::tests::test()
            });
            for (nth, number) in own.iter().enumerate() {
                let after = if nth > 0 { vec![number - 1] } else { vec![0] };
                members.push(Member { is_one_shot: nth == 1, ..owned(test, &after) });
            }
        }
        let policy = Policy { jobs, retries, ..Policy::default() };
        let mut scene = Scene::new(members.clone(), policy);
        let mut alive: Vec<usize> = Vec::new();
        let mut there: Vec<usize> = Vec::new();
        let mut stopped: Vec<usize> = Vec::new();
        let mut actions = scene.next(Input::Begin);
        let mut tries = vec![0; members.len()];
        for _ in 0..10_000 {
            for action in std::mem::take(&mut actions) {
                match action {
                    Start(member) => {
                        prop_assert!(!alive.contains(&member));
                        let after = members[member].after.iter();
                        let missing: Vec<_> = after.filter(|needed| !there.contains(needed)).collect();
                        prop_assert!(missing.is_empty(), "{} starts without {:?}", member, missing);
                        tries[member] += 1;
                        alive.push(member);
                        let tests = alive.iter().filter(|it| members[**it].kind == RoleKind::Test);
                        prop_assert!(tests.count() <= jobs.unwrap_or(usize::MAX));
                    }
                    Rerun(member) => there.retain(|it| *it != member),
                    Signal(member, _) => stopped.push(member),
                    _ => {}
                }
            }
            // Services end only when they are stopped.
            let can_end = |member: &usize| {
                let it = &members[*member];
                it.kind == RoleKind::Test || it.is_one_shot || stopped.contains(member)
            };
            let mut moves: Vec<(usize, bool)> = alive.iter().filter(|it| can_end(it)).map(|it| (*it, true)).collect();
            moves.extend(alive.iter().filter(|it| {
                !there.contains(it) && !members[**it].is_one_shot && members[**it].kind != RoleKind::Test
                    && !stopped.contains(it)
            }).map(|it| (*it, false)));
            if moves.is_empty() {
                break;
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (member, ends) = moves[usize::try_from(seed >> 33).unwrap_or(0) % moves.len()];
            if !ends {
                there.push(member);
                actions = scene.next(Input::Ready(member));
                continue;
            }
            alive.retain(|it| *it != member);
            stopped.retain(|it| *it != member);
            there.retain(|it| *it != member);
            let is_test = members[member].kind == RoleKind::Test;
            if members[member].is_one_shot {
                there.push(member);
            }
            actions = if is_test && seed & (1 << 41) == 0 { scene.failed(member) } else { scene.ended(member) };
        }
        prop_assert!(alive.is_empty(), "{:?}", alive);
        prop_assert!(scene.scheduler.is_done(), "{:?}", scene.scheduler);
        for (number, member) in members.iter().enumerate() {
            let own = member.owner.unwrap_or(number);
            prop_assert!(tries[number] >= 1);
            prop_assert_eq!(tries[number], tries[own]);
        }
    }
}

fn finished_test() -> Member {
    Member {
        finish: Some(Duration::from_secs(30)),
        timeout: Some(Duration::from_secs(9)),
        ..test()
    }
}

#[test]
fn commands_after_a_member_run_before_its_end() {
    let members = vec![operational(&[]), finished_test()];
    let policy = Policy {
        retries: 1,
        ..Policy::default()
    };
    let mut scene = Scene::new(members, policy);
    scene.next(Input::Begin);
    assert_eq!(scene.next(Input::Ready(0)), [Start(1)]);
    assert_eq!(
        scene.wait(Duration::from_secs(9)),
        [TimedOut(1), Signal(1, StopStep::Ask)]
    );
    assert_eq!(scene.next(Input::Finishing(1, Duration::from_secs(30))), []);
    // The stop of the member is over, and so is its time.
    assert_eq!(scene.wait(Duration::from_secs(20)), []);
    assert_eq!(scene.next(Input::Finishing(1, Duration::from_secs(30))), []);
    assert_eq!(
        scene.wait(Duration::from_secs(30)),
        [TimedOut(1), Signal(1, StopStep::Ask)]
    );
    assert_eq!(
        scene.failed(1),
        [Stopping(StopCause::Finished), Signal(0, StopStep::Ask)]
    );
}

#[test]
fn commands_after_a_member_run_when_all_are_stopped() {
    let mut scene = Scene::of(vec![operational(&[]), finished_test()]);
    scene.next(Input::Begin);
    scene.next(Input::Ready(0));
    assert_eq!(
        scene.next(Input::Stop),
        [Stopping(StopCause::Asked), Signal(1, StopStep::Ask)]
    );
    // What it needs is not asked to stop before.
    assert_eq!(scene.wait(GRACE / 2), [Signal(1, StopStep::Terminate)]);
    assert_eq!(scene.next(Input::Finishing(1, Duration::from_secs(30))), []);
    assert_eq!(scene.next(Input::Stop), []);
    assert_eq!(scene.wait(Duration::from_secs(20)), []);
    assert_eq!(scene.ended(1), [Signal(0, StopStep::Ask)]);
    scene.ended(0);
    assert!(scene.scheduler.is_done());
}

#[test]
fn kill_ends_commands_after_a_member() {
    let mut scene = Scene::of(vec![finished_test()]);
    scene.next(Input::Begin);
    scene.next(Input::Finishing(0, Duration::from_secs(30)));
    assert_eq!(
        scene.next(Input::Kill),
        [Stopping(StopCause::Asked), Signal(0, StopStep::Kill)]
    );
    scene.ended(0);
    assert!(scene.scheduler.is_done());
}

#[test]
fn each_command_before_a_test_gets_the_time_to_become_ready() {
    let mut scene = Scene::of(vec![test()]);
    scene.next(Input::Begin);
    scene.next(Input::Preparing(0));
    scene.wait(READY_LIMIT / 2);
    scene.next(Input::Step(0));
    assert_eq!(scene.wait(READY_LIMIT / 2), []);
    let late = scene.wait(READY_LIMIT / 2);
    assert_eq!(late, [Action::NeverReady(0), Signal(0, StopStep::Ask)]);
    let mut scene = Scene::of(vec![test()]);
    scene.next(Input::Begin);
    scene.next(Input::Preparing(0));
    scene.next(Input::Prepared(0));
    assert_eq!(scene.wait(READY_LIMIT), []);
}

#[test]
fn retry_waits_for_an_exclusive_test() {
    let members = vec![exclusive_test(&["db"]), exclusive_test(&["db"]), test()];
    let policy = Policy {
        retries: 1,
        ..Policy::default()
    };
    let mut scene = Scene::new(members, policy);
    assert_eq!(scene.next(Input::Begin), [Start(0), Start(2)]);
    assert_eq!(scene.failed(2), [Rerun(2)]);
    assert_eq!(scene.failed(0), [Rerun(0), Start(1)]);
    assert_eq!(scene.ended(1), [Start(0), Start(2)]);
}

proptest! {
    #[test]
    fn exclusive_members_all_run(
        words in proptest::collection::vec(proptest::collection::btree_set(0..4u8, 0..4), 1..12),
        jobs in proptest::option::of(1usize..4),
        retries in 0..2u32,
        mut seed: u64,
    ) {
        let members = words.iter().map(|words| Member {
            exclusive: words.iter().map(u8::to_string).collect(),
            ..test()
        });
        let policy = Policy { jobs, retries, ..Policy::default() };
        let mut scene = Scene::new(members.collect(), policy);
        let mut ran = vec![0; words.len()];
        let mut alive: Vec<usize> = Vec::new();
        let mut actions = scene.next(Input::Begin);
        loop {
            let started = actions.iter().filter_map(|action| match action {
                Start(member) => Some(*member),
                _ => None,
            });
            for member in started {
                let shared = alive.iter().any(|&other| !words[other].is_disjoint(&words[member]));
                prop_assert!(!shared);
                ran[member] += 1;
                alive.push(member);
            }
            if alive.is_empty() {
                break;
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let member = alive.swap_remove(usize::try_from(seed >> 33).unwrap_or(0) % alive.len());
            actions = if seed & (1 << 40) == 0 { scene.ended(member) } else { scene.failed(member) };
        }
        prop_assert!(scene.scheduler.is_done());
        prop_assert!(ran.iter().all(|runs| *runs > 0));
    }
}

#[derive(Debug, Clone)]
enum Move {
    Ready(usize),
    Ended(usize, bool, bool),
    StopOne(usize),
    Stop,
    Kill,
    Wait,
}

fn members_and_moves() -> impl Strategy<Value = (Vec<Member>, Option<usize>, bool, Vec<Move>)> {
    let member = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0..9u64,
        any::<[bool; 3]>(),
        proptest::collection::btree_set(0..3u8, 0..3),
    );
    let moves = prop_oneof![
        6 => (0usize..12).prop_map(Move::Ready),
        6 => (0usize..12, any::<bool>(), any::<bool>())
            .prop_map(|(member, success, again)| Move::Ended(member, success, again)),
        2 => (0usize..12).prop_map(Move::StopOne),
        1 => Just(Move::Stop),
        1 => Just(Move::Kill),
        3 => Just(Move::Wait),
    ];
    (
        proptest::collection::vec(member, 1..12),
        proptest::option::of(1usize..4),
        any::<bool>(),
        proptest::collection::vec(moves, 0..60),
    )
        .prop_map(|(members, jobs, fail_fast, moves)| {
            let members: Vec<Member> = members
                .into_iter()
                .enumerate()
                .map(
                    |(
                        number,
                        (
                            is_test,
                            follows,
                            limited,
                            grace,
                            [has_signal, is_one_shot, has_finish],
                            words,
                        ),
                    )| {
                        Member {
                            kind: if is_test {
                                RoleKind::Test
                            } else {
                                RoleKind::Operational
                            },
                            // Only an earlier member of the same kind, so that there is
                            // no cycle.
                            after: if follows && number > 0 && !is_test {
                                vec![number - 1]
                            } else {
                                Vec::new()
                            },
                            is_held: false,
                            timeout: limited.then_some(Duration::from_secs(9)),
                            ready_limit: Some(READY_LIMIT),
                            stop: StopSequence {
                                signal: has_signal.then_some(StopSignal::TERMINATE),
                                grace: Duration::from_secs(grace),
                            },
                            is_one_shot,
                            owner: None,
                            tells_slow: false,
                            finish: has_finish.then_some(Duration::from_secs(3)),
                            setup: (grace % 2 == 0).then(|| "same".to_owned()),
                            exclusive: if is_test || is_one_shot {
                                words.iter().map(u8::to_string).collect()
                            } else {
                                BTreeSet::new()
                            },
                        }
                    },
                )
                .collect();
            (members, jobs, fail_fast, moves)
        })
}

/// The stop of a member, as seen from outside.
#[derive(Debug, Clone, Default)]
struct Ladder {
    since: Option<Instant>,
    sent: Option<StopStep>,
}

proptest! {
    #[test]
    fn every_run_ends(
        (mut members, jobs, fail_fast, moves) in members_and_moves(),
        retries in 0..3u32,
    ) {
        // An operational member must not depend on a test.
        for number in 0..members.len() {
            let after: Vec<usize> = members[number].after.clone();
            members[number].after = after
                .into_iter()
                .filter(|&needed| members[needed].kind == RoleKind::Operational)
                .collect();
        }
        let count = members.len();
        let slow = Some(Duration::from_secs(4));
        let policy = Policy { jobs, fail_fast, retries, slow, ..Policy::default() };
        let mut scene = Scene::new(members.clone(), policy);
        let mut alive = vec![false; count];
        let mut done = vec![false; count];
        let mut finishing = vec![false; count];
        let mut ladders = vec![Ladder::default(); count];
        let end = std::iter::repeat_n(Move::Wait, 200);
        let moves = std::iter::once(Move::Wait).chain(moves).chain([Move::Stop]).chain(end);
        for next in moves {
            let mut inputs = vec![match next {
                Move::Ready(member) if member < count => Input::Ready(member),
                // Only running members can end.
                Move::Ended(member, success, again) if member < count && alive[member] => {
                    let again = again.then_some(Duration::from_secs(1));
                    Input::Ended { member, success, restart_after: again }
                }
                Move::StopOne(member) if member < count => Input::StopSome(vec![member]),
                Move::Stop => Input::Stop,
                Move::Kill => Input::Kill,
                _ => {
                    scene.now += Duration::from_secs(1);
                    Input::Tick
                }
            }];
            while let Some(input) = inputs.pop() {
                let input = match input {
                    Input::Ended { member, .. }
                        if members[member].finish.is_some() && !finishing[member] =>
                    {
                        finishing[member] = true;
                        ladders[member] = Ladder::default();
                        Input::Finishing(member, Duration::from_secs(3))
                    }
                    input => input,
                };
                let ended = match input {
                    Input::Ended { member, .. } => Some(member),
                    _ => None,
                };
                if let Some(member) = ended {
                    alive[member] = false;
                    finishing[member] = false;
                }
                let is_kill = input == Input::Kill;
                let actions = scene.next(input);
                if let Some(member) = ended {
                    done[member] = scene.scheduler.phase(member) == Phase::Ended;
                }
                for action in actions {
                    match action {
                        Start(member) => {
                            prop_assert!(!alive[member] && !done[member], "started twice");
                            alive[member] = true;
                            ladders[member] = Ladder::default();
                            let tests = (0..count)
                                .filter(|&other| alive[other] && members[other].kind == RoleKind::Test);
                            prop_assert!(tests.count() <= jobs.unwrap_or(usize::MAX));
                            let words = &members[member].exclusive;
                            let mut others = (0..count).filter(|&other| other != member && alive[other]);
                            prop_assert!(others.all(|other| members[other].exclusive.is_disjoint(words)));
                        }
                        Skip(member, _) => {
                            prop_assert!(!alive[member] && !done[member], "skipped after a start");
                            done[member] = true;
                        }
                        Signal(member, signal) => {
                            prop_assert!(alive[member], "signalled what does not run");
                            let ladder = &mut ladders[member];
                            prop_assert!(ladder.sent < Some(signal), "an earlier signal");
                            ladder.sent = Some(signal);
                            let stop = members[member].stop;
                            let has_term = signal == StopStep::Terminate;
                            prop_assert!(!has_term || stop.signal.is_none());
                            if signal == StopStep::Kill && !is_kill {
                                let since = ladder.since.unwrap_or(scene.now);
                                prop_assert!(scene.now >= since + stop.grace, "no grace");
                            }
                            // Killed members end.
                            if signal == StopStep::Kill {
                                inputs.push(Input::Ended { member, success: true, restart_after: None });
                            }
                        }
                        _ => {}
                    }
                }
                for (member, ladder) in ladders.iter_mut().enumerate() {
                    if scene.scheduler.phase(member) == Phase::Stopping {
                        ladder.since.get_or_insert(scene.now);
                    }
                }
            }
        }
        prop_assert!(scene.scheduler.is_done(), "{:?}", scene.scheduler);
        prop_assert_eq!(scene.scheduler.wake_at(), None);
    }
}

#[test]
fn exit_of_main_member_stops_all() {
    for success in [true, false] {
        let members = vec![operational(&[]), operational(&[]), operational(&[])];
        let policy = Policy {
            main: Some(1),
            ..Policy::default()
        };
        let mut scene = Scene::new(members, policy);
        scene.next(Input::Begin);
        assert_eq!(scene.ended(0), []);
        assert_eq!(
            scene.next(Input::Ended {
                member: 1,
                success,
                restart_after: None
            }),
            [Stopping(StopCause::Finished), Signal(2, StopStep::Ask)]
        );
        assert_eq!(scene.ended(2), []);
        assert!(scene.scheduler.is_done());
    }
}

#[test]
fn skipped_main_member_stops_all() {
    let members = vec![operational(&[]), operational(&[0]), operational(&[])];
    let policy = Policy {
        main: Some(1),
        ..Policy::default()
    };
    let mut scene = Scene::new(members, policy);
    scene.next(Input::Begin);
    assert_eq!(
        scene.failed(0),
        [
            Skip(1, Some(0)),
            Stopping(StopCause::Finished),
            Signal(2, StopStep::Ask)
        ]
    );
}
