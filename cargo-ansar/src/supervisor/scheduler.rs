//! Decides when roles are started, restarted and stopped.
//!
//! A pure state machine: [`Scheduler::next`] takes an input and the time, and
//! returns actions. It knows no processes, no clock and no role names: members
//! are identified by their index. Members may be added while others run, and
//! reuse the indices of members that have ended.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::model::stop::StopSequence;

/// The properties of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The kind of role.
    pub kind: RoleKind,
    /// Members that must be ready or done before this one starts.
    pub after: Vec<usize>,
    /// Maximum run time of the member, retries included; unlimited if unset.
    pub timeout: Option<Duration>,
    /// Time that the member, and each step of its setup, gets to become ready;
    /// unlimited if unset.
    pub ready_limit: Option<Duration>,
    /// The signals that stop the member.
    pub stop: StopSequence,
    /// True if the member is ready for others once it has succeeded.
    pub is_one_shot: bool,
    /// True if the member reports itself what is slow in it.
    pub tells_slow: bool,
    /// Time that the member gets for what follows its end; unset if nothing
    /// does.
    pub finish: Option<Duration>,
    /// The setup that the member begins with. Members with the same setup start
    /// one after the other, each once the one before it is ready or has ended,
    /// since its result can be copied then.
    pub setup: Option<String>,
    /// The test to which an operational member belongs: it starts before the
    /// test, anew for each try, and is stopped after it. The test is among those
    /// that start after it.
    pub owner: Option<usize>,
    /// Words of a member that ends by itself. Members that share a word never
    /// run at the same time.
    pub exclusive: BTreeSet<String>,
    /// True if the member does not start before [`Input::Admit`]: it waits for roles
    /// on other machines.
    pub is_held: bool,
}

/// The kind of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleKind {
    /// A role that tests need, or that runs on its own.
    Operational,
    /// A role that ends by itself and returns a test result.
    Test,
}

/// Options of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Maximum number of tests that run at the same time; unlimited if unset.
    pub jobs: Option<usize>,
    /// True if the first failed test stops everything.
    pub fail_fast: bool,
    /// Maximum number of retries of a failed test. A retry starts when every
    /// test with fewer retries has ended.
    pub retries: u32,
    /// Run time after which a test is reported as slow, repeatedly; never if
    /// unset.
    pub slow: Option<Duration>,
    /// Member whose exit stops all others, also if it was successful.
    pub main: Option<usize>,
    /// True if tests start, and operational members are stopped after them, only
    /// on request: other machines run a part of the same roles.
    pub is_held: bool,
    /// Time before members that are waited for are reported.
    pub report_after: Duration,
}

/// The room for members that start at the same time. Computed once for all: for
/// each it would be quadratic.
struct Room {
    /// Number of tests that may start.
    jobs: usize,
    /// True if all operational members are ready.
    is_operational: bool,
    /// The smallest number of retries of tests that run, or that come first.
    least: u32,
    /// Words of members that run.
    held: BTreeSet<String>,
    /// Setups that run.
    setups: BTreeSet<String>,
}

impl Room {
    /// Returns true if there is a place for a test with this number of retries.
    fn has_test(&self, reruns: u32) -> bool {
        self.jobs > 0 && self.is_operational && reruns <= self.least
    }
}

/// Time that a killed member gets to end before it counts as unkillable.
pub const KILLED_IN: Duration = Duration::from_secs(3);

impl Default for Policy {
    fn default() -> Self {
        Self {
            jobs: None,
            fail_fast: false,
            retries: 0,
            slow: None,
            main: None,
            is_held: false,
            report_after: Duration::from_secs(1),
        }
    }
}

/// An input of the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Starts the first members.
    Begin,
    /// Lets a member start, if [`Member::is_held`].
    Admit(usize),
    /// Starts tests, if [`Policy::is_held`].
    Test,
    /// Stops operational members, if [`Policy::is_held`].
    Finish,
    /// A member is ready.
    Ready(usize),
    /// All processes of a member have ended, or it could not be started.
    Ended {
        /// The member.
        member: usize,
        /// True if it succeeded, or was stopped on request.
        success: bool,
        /// The delay before a restart, if it is to be restarted. Ignored if it
        /// was asked to stop.
        restart_after: Option<Duration>,
    },
    /// The main process of a member has exited by itself; its remaining
    /// processes are to be stopped.
    MainExited(usize),
    /// All processes of a step of a member's setup have ended, and the next
    /// step, or the member itself, is about to start.
    Step(usize),
    /// A member begins with commands, before its own start: each gets the time
    /// to become ready.
    Preparing(usize),
    /// The commands before a member's own start have ended.
    Prepared(usize),
    /// All processes of a member have ended, and a command that follows its end
    /// is about to start. It gets this time, also while all members are stopped.
    Finishing(usize, Duration),
    /// A member has become unhealthy, and is to be restarted.
    Unhealthy(usize),
    /// Stops these members gracefully; the others keep running.
    StopSome(Vec<usize>),
    /// Stops all members gracefully.
    Stop,
    /// Kills all members.
    Kill,
    /// Time has passed.
    Tick,
}

/// An action to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a member.
    Start(usize),
    /// A test has failed and will be retried.
    Rerun(usize),
    /// Report that a test has been running for this long.
    Slow(usize, Duration),
    /// Send a signal to all processes of a member.
    Signal(usize, StopStep),
    /// A member has reached its timeout; its exit counts as timed out.
    TimedOut(usize),
    /// A member was not ready in time; its exit counts as timed out.
    NeverReady(usize),
    /// A member will not be started, or not restarted: because of a member that
    /// it starts after, if one is named.
    Skip(usize, Option<usize>),
    /// All running members are being stopped.
    Stopping(StopCause),
    /// Report that a member was killed and has not ended. It counts as ended.
    Unkillable(usize),
    /// Report members that take long to stop.
    StillRunning(Vec<usize>),
    /// Report members that take long to become ready.
    StillStarting(Vec<usize>),
}

/// The phase of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not started yet.
    Waiting,
    /// Running, not ready yet.
    Starting,
    /// Running and ready.
    Ready,
    /// Being stopped.
    Stopping,
    /// Exited by itself, waiting for its restart.
    BackingOff,
    /// Ended, or will never start.
    Ended,
}

/// The reason why all members are being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// All tests, or the main member, have ended.
    Finished,
    /// A stop was requested.
    Asked,
    /// A test failed in a fail-fast run.
    FailFast,
    /// An operational member that tests wait for failed before it was ready.
    Broken,
}

/// The signals of the stop sequence, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStep {
    /// The member's own signal; SIGINT by default.
    Ask,
    /// SIGTERM, unless the member has a signal of its own: a shell's background
    /// jobs ignore SIGINT.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// The stop of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stop {
    since: Instant,
    /// The last signal sent.
    sent: Option<StopStep>,
    /// Time of the kill.
    ends: Instant,
    /// True if it only ends processes that a main process has left behind.
    is_cleanup: bool,
}

impl Stop {
    fn new(sequence: StopSequence, is_cleanup: bool, now: Instant) -> Self {
        Self {
            since: now,
            sent: None,
            ends: now + sequence.grace,
            is_cleanup,
        }
    }

    /// Returns the time of a signal, whether or not dependents have ended.
    fn forced_at(&self, sequence: StopSequence) -> Instant {
        let forced_at = self.ends.checked_sub(sequence.grace / 2);
        forced_at.unwrap_or(self.ends)
    }

    /// Returns the last signal that is due. The first one waits for dependents
    /// that are stopping (`is_needed`); the others do not.
    fn due(&self, sequence: StopSequence, is_needed: bool, now: Instant) -> Option<StopStep> {
        let is_forced = now >= self.forced_at(sequence);
        if now >= self.ends {
            Some(StopStep::Kill)
        } else if is_forced && sequence.signal.is_none() {
            Some(StopStep::Terminate)
        } else {
            (is_forced || !is_needed).then_some(StopStep::Ask)
        }
    }

    /// Returns the time of the next signal that does not wait for dependents.
    fn next_at(&self, sequence: StopSequence) -> Option<Instant> {
        match self.sent {
            Some(StopStep::Kill) => None,
            Some(StopStep::Ask) if sequence.signal.is_some() => Some(self.ends),
            None | Some(StopStep::Ask) => Some(self.forced_at(sequence)),
            Some(StopStep::Terminate) => Some(self.ends),
        }
    }

    /// Gives a member that waits for dependents with a longer grace at least
    /// half of its own after theirs. Returns true if that changes its end.
    fn prolong(&mut self, sequence: StopSequence, dependents_end: Instant) -> bool {
        let ends = dependents_end + sequence.grace / 2;
        let is_longer = dependents_end > self.since + sequence.grace && ends > self.ends;
        if is_longer {
            self.ends = ends;
        }
        is_longer
    }

    /// Ends the waiting for dependents: from now on, the member's own grace
    /// counts.
    fn waits_no_longer(&mut self, sequence: StopSequence, now: Instant) {
        self.ends = self.ends.min(now.max(self.since) + sequence.grace);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Starting {
        since: Instant,
    },
    Ready,
    /// Its processes have ended, and a command that follows its end runs.
    Finishing {
        since: Instant,
        /// Remaining run time of the member itself.
        left: Option<Duration>,
    },
    /// Exited by itself; restarted at this time.
    BackingOff {
        until: Instant,
    },
    Ended {
        success: bool,
    },
}

/// The turn of a test to which members belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InstanceTurn {
    /// It was not chosen yet, or has started.
    Later,
    /// Its members may start, and it waits for them. It counts as a test that
    /// runs.
    Next,
}

#[derive(Debug)]
struct Status {
    state: State,
    deadline: Option<Instant>,
    /// True while the commands before its own start run.
    is_preparing: bool,
    /// Number of retries.
    reruns: u32,
    /// Remaining run time of a retried test.
    left: Option<Duration>,
    /// Start time of a test, and the number of times it was reported as slow.
    slow: Option<(Instant, u32)>,
    stop: Option<Stop>,
    /// The turn of a test to which members belong.
    turn: InstanceTurn,
    /// True if a stop of this member was requested.
    asked: bool,
    /// Time of the kill.
    killed: Option<Instant>,
    /// True if it survived being killed. Its state is `Ended`.
    unkillable: bool,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: State::Waiting,
            deadline: None,
            is_preparing: false,
            reruns: 0,
            left: None,
            slow: None,
            stop: None,
            turn: InstanceTurn::Later,
            asked: false,
            killed: None,
            unkillable: false,
        }
    }
}

/// Schedules a set of roles.
#[derive(Debug)]
pub struct Scheduler {
    members: Vec<Member>,
    /// For each member, the members that start after it: those that declare so
    /// and, for an operational member, all tests.
    dependents: Vec<Vec<usize>>,
    status: Vec<Status>,
    policy: Policy,
    /// True if tests may start.
    may_test: bool,
    /// True if operational members may be stopped because the tests have ended.
    may_finish: bool,
    /// The time at which a stop of all members began.
    stopping: Option<Instant>,
    /// The time of the next report of members that are waited for.
    report_at: Option<Instant>,
}

impl Scheduler {
    /// Returns a scheduler in which no member runs.
    pub fn new(members: Vec<Member>, policy: Policy) -> Self {
        let status = members.iter().map(|_| Status::default()).collect();
        Self {
            dependents: dependents(&members),
            members,
            status,
            policy,
            may_test: !policy.is_held,
            may_finish: !policy.is_held,
            stopping: None,
            report_at: None,
        }
    }

    /// Adds members, which start at the next call of [`next`](Self::next). Each
    /// has the index of a member that has ended, or a new index after the last.
    pub fn admit(&mut self, additions: Vec<(usize, Member)>) {
        for (place, member) in additions {
            if place < self.members.len() {
                self.members[place] = member;
                self.status[place] = Status::default();
            } else {
                self.members.push(member);
                self.status.push(Status::default());
            }
        }
        self.dependents = dependents(&self.members);
    }

    /// Returns the phase of a member.
    pub fn phase(&self, member: usize) -> Phase {
        let status = &self.status[member];
        match status.state {
            State::Waiting => Phase::Waiting,
            State::Ended { .. } if status.unkillable => Phase::Stopping,
            State::Ended { .. } => Phase::Ended,
            State::BackingOff { .. } => Phase::BackingOff,
            State::Finishing { .. } => Phase::Stopping,
            State::Starting { .. } | State::Ready if status.stop.is_some() => Phase::Stopping,
            State::Starting { .. } => Phase::Starting,
            State::Ready => Phase::Ready,
        }
    }

    /// Returns true if a member has become ready and has not ended.
    pub fn has_become_ready(&self, member: usize) -> bool {
        self.status[member].state == State::Ready
    }

    /// Returns true if a member survived being killed.
    pub fn is_unkillable(&self, member: usize) -> bool {
        self.status[member].unkillable
    }

    /// Returns true if any member survived being killed.
    pub fn has_unkillable(&self) -> bool {
        self.status.iter().any(|status| status.unkillable)
    }

    /// Returns true if every member has ended, will never start, or is
    /// unkillable.
    pub fn is_done(&self) -> bool {
        let ended = |status: &Status| matches!(status.state, State::Ended { .. });
        self.status.iter().all(ended)
    }

    /// Returns the latest time at which to call [`next`](Self::next) with
    /// [`Input::Tick`].
    pub fn wake_at(&self) -> Option<Instant> {
        let alive = self.each().filter(|(_, status)| status.is_alive());
        let backing_off = self.status.iter().filter_map(|status| match status.state {
            State::BackingOff { until } => Some(until),
            _ => None,
        });
        alive
            .flat_map(|(member, status)| {
                let signal = status.stop.and_then(|stop| stop.next_at(member.stop));
                let ready = match status.state {
                    State::Starting { since } if status.stop.is_none() => {
                        member.ready_limit.map(|limit| since + limit)
                    }
                    _ => None,
                };
                let killed = status.killed.map(|killed| killed + KILLED_IN);
                let deadline = status.deadline.filter(|_| status.stop.is_none());
                let slow = status.slow.filter(|_| status.stop.is_none());
                let slow = slow.and_then(|slow| self.slow_at(slow));
                [signal, killed, ready, deadline, slow]
                    .into_iter()
                    .flatten()
            })
            .chain(backing_off)
            .chain(self.report_at)
            .min()
    }

    /// Processes an input and returns the actions to execute, in order.
    pub fn next(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Begin | Input::Tick => {}
            Input::Admit(member) => self.members[member].is_held = false,
            Input::Test => self.may_test = true,
            Input::Finish => self.may_finish = true,
            Input::Ready(member) => {
                if matches!(self.status[member].state, State::Starting { .. })
                    && !self.members[member].is_one_shot
                {
                    self.status[member].state = State::Ready;
                }
            }
            Input::Ended {
                member,
                success,
                restart_after,
            } => self.ended(member, success, restart_after, now, &mut actions),
            Input::MainExited(member) => {
                let (status, sequence) = (&mut self.status[member], self.members[member].stop);
                if status.is_alive() && status.stop.is_none() {
                    status.stop = Some(Stop::new(sequence, true, now));
                }
            }
            Input::Step(member) => self.step(member, now),
            Input::Preparing(member) => self.status[member].is_preparing = true,
            Input::Prepared(member) => self.status[member].is_preparing = false,
            Input::Finishing(member, limit) => self.finishing(member, limit, now),
            Input::Unhealthy(member) => {
                let sequence = self.members[member].stop;
                if self.status[member].is_alive() {
                    self.status[member].begin_stop(sequence, now);
                }
            }
            Input::StopSome(members) => self.stop_some(&members, now, &mut actions),
            Input::Stop => self.stop_all(StopCause::Asked, now, &mut actions),
            Input::Kill => {
                self.stop_all(StopCause::Asked, now, &mut actions);
                for (member, status) in self.status.iter_mut().enumerate() {
                    if status.is_alive() && status.last_signal() < Some(StopStep::Kill) {
                        status.begin_stop(self.members[member].stop, now);
                        status.sent(StopStep::Kill, now);
                        actions.push(Action::Signal(member, StopStep::Kill));
                    }
                }
            }
        }
        self.abandon_unkillable(now, &mut actions);
        self.expire(now, &mut actions);
        self.slow(now, &mut actions);
        self.leave_skipped(now, &mut actions);
        self.finish(now, &mut actions);
        self.start(now, &mut actions);
        self.start_owned(now, &mut actions);
        self.escalate(now, &mut actions);
        self.report_waiting(now, &mut actions);
        actions
    }

    /// Begins the next step of a member. A stop that was only to end what the
    /// previous step had left behind is over.
    fn step(&mut self, member: usize, now: Instant) {
        let status = &mut self.status[member];
        status.stop = status.stop.filter(|stop| !stop.is_cleanup);
        if status.stop.is_some() {
            return;
        }
        if let State::Starting { since } = &mut status.state {
            *since = now;
            status.killed = None;
        }
    }

    /// Begins a command that follows the end of a member. A stop that was to end
    /// the member, or the previous command, is over.
    fn finishing(&mut self, member: usize, limit: Duration, now: Instant) {
        let status = &mut self.status[member];
        let left = match status.state {
            State::Finishing { left, .. } => left,
            State::Starting { .. } | State::Ready => {
                let deadline = status.deadline;
                deadline.map(|deadline| deadline.saturating_duration_since(now))
            }
            State::Waiting | State::BackingOff { .. } | State::Ended { .. } => return,
        };
        status.state = State::Finishing { since: now, left };
        status.deadline = now.checked_add(limit);
        status.is_preparing = false;
        status.stop = None;
        status.killed = None;
        status.slow = None;
    }

    fn ended(
        &mut self,
        member: usize,
        success: bool,
        restart_after: Option<Duration>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let status = &mut self.status[member];
        let was = status.state;
        if matches!(was, State::Ended { .. }) {
            status.unkillable = false;
            return;
        }
        let asked = status.asked;
        let deadline = status.deadline.take();
        let left = match was {
            State::Finishing { left, .. } => left,
            _ => deadline.map(|deadline| deadline.saturating_duration_since(now)),
        };
        status.is_preparing = false;
        status.stop = None;
        status.killed = None;
        status.slow = None;
        let may_restart = !asked && self.stopping.is_none();
        if let Some(delay) = restart_after.filter(|_| may_restart) {
            status.state = State::BackingOff { until: now + delay };
            return;
        }
        if self.begins_anew(member) {
            self.status[member] = Status::default();
            actions.push(Action::Rerun(member));
            return;
        }
        let status = &self.status[member];
        let is_retried = self.members[member].kind == RoleKind::Test
            && !success
            && !asked
            && self.stopping.is_none()
            && status.reruns < self.policy.retries
            && left != Some(Duration::ZERO)
            && !self.has_failed_dependency(member);
        let status = &mut self.status[member];
        if is_retried {
            status.reruns += 1;
            status.left = left;
            status.state = State::Waiting;
            actions.push(Action::Rerun(member));
            self.leave_owned(member, now, actions);
            return;
        }
        status.state = State::Ended {
            success: success && !asked,
        };
        self.leave_owned(member, now, actions);
        if self.stopping.is_none() && (asked || !success) {
            self.affect_others(member, was, now, actions);
        }
    }

    /// Stops or skips members that are affected by the stop or failure of a
    /// member.
    fn affect_others(
        &mut self,
        member: usize,
        was: State,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let kind = self.members[member].kind;
        if self.status[member].asked {
            self.skip_dependents(member, actions);
        } else if self.members[member].owner.is_some() {
            let is_ready = matches!(was, State::Ready | State::Finishing { .. });
            self.skip_dependents(member, actions);
            if !is_ready && self.policy.fail_fast {
                self.stop_all(StopCause::FailFast, now, actions);
            }
        } else if kind == RoleKind::Test && self.policy.fail_fast {
            self.stop_all(StopCause::FailFast, now, actions);
        } else if kind == RoleKind::Operational
            && !matches!(was, State::Ready | State::Finishing { .. })
            && (self.has_tests() || self.policy.is_held)
        {
            self.skip_dependents(member, actions);
            self.stop_all(StopCause::Broken, now, actions);
        } else {
            self.skip_dependents(member, actions);
        }
    }

    /// Returns true if a member belongs to a test that will be tried again.
    fn begins_anew(&self, member: usize) -> bool {
        let owner = self.members[member].owner.map(|owner| &self.status[owner]);
        owner.is_some_and(|owner| {
            owner.state == State::Waiting && owner.reruns > 0 && !owner.is_next()
        }) && !self.status[member].asked
            && self.stopping.is_none()
    }

    /// Stops the members that belong to a test which has ended, or which will be
    /// tried again. Those that have ended already start anew with it.
    fn leave_owned(&mut self, test: usize, now: Instant, actions: &mut Vec<Action>) {
        self.status[test].turn = InstanceTurn::Later;
        let is_over = matches!(self.status[test].state, State::Ended { .. });
        for member in 0..self.members.len() {
            if self.members[member].owner != Some(test) {
                continue;
            }
            let sequence = self.members[member].stop;
            let status = &mut self.status[member];
            match status.state {
                State::Starting { .. } | State::Ready => status.begin_stop(sequence, now),
                State::Waiting | State::BackingOff { .. } if is_over => {
                    status.state = State::Ended { success: true };
                    actions.push(Action::Skip(member, None));
                }
                State::Ended { success: true } if !is_over && !status.unkillable => {
                    *status = Status::default();
                    actions.push(Action::Rerun(member));
                }
                _ => {}
            }
        }
    }

    /// Stops the members that belong to tests which were skipped.
    fn leave_skipped(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let owners: BTreeSet<usize> = self.members.iter().filter_map(|it| it.owner).collect();
        for owner in owners {
            if self.status[owner].is_next()
                && matches!(self.status[owner].state, State::Ended { .. })
            {
                self.leave_owned(owner, now, actions);
            }
        }
    }

    /// Gives up on members that were killed and have not ended.
    fn abandon_unkillable(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for member in 0..self.status.len() {
            let status = &mut self.status[member];
            let killed = status.killed.filter(|_| status.is_alive());
            if killed.is_none_or(|killed| now < killed + KILLED_IN) {
                continue;
            }
            let was = status.state;
            status.state = State::Ended { success: false };
            status.unkillable = true;
            status.stop = None;
            status.killed = None;
            status.slow = None;
            status.deadline = None;
            actions.push(Action::Unkillable(member));
            if self.stopping.is_none() {
                self.affect_others(member, was, now, actions);
            }
        }
    }

    /// Skips all members that depend on a failed member, directly or
    /// indirectly.
    fn skip_dependents(&mut self, failed: usize, actions: &mut Vec<Action>) {
        let mut lost = vec![failed];
        while let Some(member) = lost.pop() {
            for &dependent in &self.dependents[member] {
                let state = &mut self.status[dependent].state;
                if *state == State::Waiting {
                    *state = State::Ended { success: false };
                    let is_named = self.members[dependent].after.contains(&member);
                    actions.push(Action::Skip(dependent, is_named.then_some(member)));
                    lost.push(dependent);
                }
            }
        }
    }

    /// Returns true if a member that this one depends on has failed.
    fn has_failed_dependency(&self, member: usize) -> bool {
        let needed = self.dependents.iter().zip(&self.status);
        let mut failed =
            needed.filter(|(_, status)| status.state == State::Ended { success: false });
        failed.any(|(dependents, _)| dependents.contains(&member))
    }

    fn has_tests(&self) -> bool {
        self.members
            .iter()
            .any(|member| member.kind == RoleKind::Test)
    }

    /// Stops members that reached their timeout or were not ready in time.
    fn expire(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for (member, status) in self.status.iter_mut().enumerate() {
            if !status.is_alive() || status.stop.is_some() {
                continue;
            }
            let never_ready = match status.state {
                State::Starting { since } => {
                    let asked = &self.members[member];
                    let is_late = asked.ready_limit.is_some_and(|limit| now >= since + limit);
                    (asked.kind == RoleKind::Operational || status.is_preparing) && is_late
                }
                _ => false,
            };
            let late = status.deadline.is_some_and(|deadline| now >= deadline);
            if late || never_ready {
                status.begin_stop(self.members[member].stop, now);
                actions.push(if late {
                    Action::TimedOut(member)
                } else {
                    Action::NeverReady(member)
                });
            }
        }
    }

    /// Reports slow tests, each at most once per call.
    fn slow(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some(period) = self.policy.slow else {
            return;
        };
        for member in 0..self.status.len() {
            let status = &self.status[member];
            let running = status.is_alive() && status.stop.is_none();
            let Some(slow) = status.slow.filter(|_| running) else {
                continue;
            };
            if self.slow_at(slow).is_none_or(|at| now < at) {
                continue;
            }
            let (since, _) = slow;
            let times = (now - since).as_nanos() / period.as_nanos().max(1);
            let times = u32::try_from(times).unwrap_or(u32::MAX);
            actions.push(Action::Slow(member, period.saturating_mul(times)));
            self.status[member].slow = Some((since, times));
        }
    }

    /// Returns the time of the next report of a slow test.
    fn slow_at(&self, (since, times): (Instant, u32)) -> Option<Instant> {
        let period = self.policy.slow?;
        since.checked_add(period.checked_mul(times.checked_add(1)?)?)
    }

    /// Stops operational members after the last test, and all members after the
    /// main one.
    fn finish(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let main_ended = self
            .policy
            .main
            .is_some_and(|main| matches!(self.status[main].state, State::Ended { .. }));
        let is_asked = self.policy.is_held && self.may_finish;
        let tests_ended =
            self.may_finish && (self.has_tests() || is_asked) && self.have_tests_ended();
        if (tests_ended || main_ended) && self.stopping.is_none() && !self.is_done() {
            self.stop_all(StopCause::Finished, now, actions);
        }
    }

    /// Returns true if tests may start, and all have ended.
    pub fn have_tests_ended(&self) -> bool {
        self.may_test
            && self.each().all(|(member, status)| {
                member.kind != RoleKind::Test || matches!(status.state, State::Ended { .. })
            })
    }

    fn start(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.stopping.is_some() {
            return;
        }
        let waits =
            |status: &Status| matches!(status.state, State::Waiting | State::BackingOff { .. });
        if !self.status.iter().any(waits) {
            return;
        }
        // Tests with fewer retries start first. The others start when these have
        // ended.
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        if self.policy.retries > 0 {
            order.sort_by_key(|&member| self.status[member].reruns);
        }
        let mut room = self.room();
        for member in order {
            match self.status[member].state {
                State::Waiting => {}
                State::BackingOff { until } if now >= until => {}
                _ => continue,
            }
            if self.members[member].owner.is_some() {
                continue;
            }
            if self.status[member].is_next() {
                if self.may_follow(member) {
                    self.begin(member, now, actions);
                }
            } else if self.takes_place(member, &mut room) {
                if self.has_own(member) {
                    self.status[member].turn = InstanceTurn::Next;
                } else {
                    self.begin(member, now, actions);
                }
            }
        }
    }

    /// Returns the room for members that start now.
    fn room(&self) -> Room {
        let running = self.each().filter(|(member, status)| {
            member.kind == RoleKind::Test && (status.is_alive() || status.is_next())
        });
        let reruns: Vec<u32> = running.map(|(_, status)| status.reruns).collect();
        Room {
            jobs: self
                .policy
                .jobs
                .map_or(usize::MAX, |jobs| jobs.saturating_sub(reruns.len())),
            is_operational: (0..self.members.len()).all(|number| {
                let member = &self.members[number];
                member.kind == RoleKind::Test || member.owner.is_some() || self.is_satisfied(number)
            }),
            least: reruns.into_iter().min().unwrap_or(u32::MAX),
            held: self.held(),
            setups: self.setups(),
        }
    }

    /// Returns true if a member that waits may start now, and takes its place.
    fn takes_place(&self, member: usize, room: &mut Room) -> bool {
        let is_test = self.members[member].kind == RoleKind::Test;
        let reruns = self.status[member].reruns;
        let may_test = self.may_test && room.has_test(reruns);
        if self.members[member].is_held || (is_test && !may_test) {
            return false;
        }
        let own = |needed: usize| self.members[needed].owner == Some(member);
        let mut named = self.members[member].after.iter();
        if !named.all(|&needed| own(needed) || self.is_satisfied(needed)) {
            return false;
        }
        if self.has_own(member) && !self.may_own_begin(member) {
            // They are being stopped, after an earlier try.
            room.least = room.least.min(reruns);
            return false;
        }
        let words = &self.members[member].exclusive;
        let is_free = room.held.is_disjoint(words);
        let setup = self.members[member].setup.as_ref().filter(|_| is_free);
        if setup.is_some_and(|setup| !room.setups.insert(setup.clone())) {
            return false;
        }
        if is_test {
            // Its turn comes before that of tests with more retries.
            room.least = room.least.min(reruns);
        }
        if is_free {
            room.held.extend(words.iter().cloned());
            room.jobs -= usize::from(is_test);
        }
        is_free
    }

    /// Returns true if members belong to this one.
    fn has_own(&self, member: usize) -> bool {
        self.members.iter().any(|it| it.owner == Some(member))
    }

    /// Starts the members that belong to tests which are next.
    fn start_owned(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.stopping.is_some() || self.members.iter().all(|it| it.owner.is_none()) {
            return;
        }
        let mut setups = self.setups();
        for member in 0..self.members.len() {
            let Some(owner) = self.members[member].owner else {
                continue;
            };
            let may_start = match self.status[member].state {
                State::Waiting => true,
                State::BackingOff { until } => now >= until,
                _ => false,
            };
            if !may_start || !self.status[owner].is_next() || !self.may_follow(member) {
                continue;
            }
            let setup = self.members[member].setup.as_ref();
            if setup.is_some_and(|setup| !setups.insert(setup.clone())) {
                continue;
            }
            self.begin(member, now, actions);
        }
    }

    /// Returns true if everything that a member starts after is there.
    fn may_follow(&self, member: usize) -> bool {
        let mut named = self.members[member].after.iter();
        named.all(|&needed| self.is_satisfied(needed))
    }

    /// Returns true if no member that belongs to a test runs or has ended.
    fn may_own_begin(&self, test: usize) -> bool {
        let mut own = self.each().filter(|(member, _)| member.owner == Some(test));
        own.all(|(_, status)| status.state == State::Waiting)
    }

    /// Starts a member.
    fn begin(&mut self, member: usize, now: Instant, actions: &mut Vec<Action>) {
        let status = &mut self.status[member];
        status.turn = InstanceTurn::Later;
        let timed = &self.members[member];
        if timed.kind == RoleKind::Test && !timed.tells_slow {
            status.slow = Some((now, 0));
        }
        status.state = State::Starting { since: now };
        let timeout = status.left.or(self.members[member].timeout);
        status.deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        actions.push(Action::Start(member));
    }

    /// Returns the words of the members that run.
    fn held(&self) -> BTreeSet<String> {
        let running = self
            .each()
            .filter(|(_, status)| status.is_alive() || status.is_next());
        let words = running.flat_map(|(member, _)| &member.exclusive);
        words.cloned().collect()
    }

    /// Returns the setups of the members that are not ready yet.
    fn setups(&self) -> BTreeSet<String> {
        let starting = self
            .each()
            .filter(|(_, status)| matches!(status.state, State::Starting { .. }));
        let setups = starting.filter_map(|(member, _)| member.setup.clone());
        setups.collect()
    }

    /// Returns true if dependents of a member may start: it is ready or has
    /// succeeded.
    fn is_satisfied(&self, member: usize) -> bool {
        matches!(
            self.status[member].state,
            State::Ready | State::Ended { success: true }
        )
    }

    fn stop_some(&mut self, members: &[usize], now: Instant, actions: &mut Vec<Action>) {
        for &member in members {
            let (status, sequence) = (&mut self.status[member], self.members[member].stop);
            match status.state {
                State::Waiting | State::BackingOff { .. } => {
                    status.state = State::Ended { success: false };
                    actions.push(Action::Skip(member, None));
                    self.skip_dependents(member, actions);
                }
                State::Starting { .. } | State::Ready => {
                    status.asked = true;
                    status.begin_stop(sequence, now);
                }
                // What follows its end is not stopped.
                State::Finishing { .. } => status.asked = true,
                State::Ended { .. } if status.unkillable => {
                    status.unkillable = false;
                    status.asked = true;
                    status.state = State::Ready;
                    status.begin_stop(sequence, now);
                    status.sent(StopStep::Kill, now);
                    actions.push(Action::Signal(member, StopStep::Kill));
                }
                State::Ended { .. } => {}
            }
        }
    }

    fn stop_all(&mut self, why: StopCause, now: Instant, actions: &mut Vec<Action>) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(now);
        for (member, status) in self.status.iter_mut().enumerate() {
            match status.state {
                State::Waiting | State::BackingOff { .. } => {
                    status.state = State::Ended { success: false };
                    actions.push(Action::Skip(member, None));
                }
                State::Starting { .. } | State::Ready => {
                    status.begin_stop(self.members[member].stop, now);
                }
                // What follows its end is not stopped.
                State::Finishing { .. } | State::Ended { .. } => {}
            }
        }
        actions.push(Action::Stopping(why));
    }

    /// Sends the signals that are due. The first one waits until all dependents
    /// have ended; the others do not.
    fn escalate(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.prolong();
        for member in 0..self.members.len() {
            let status = &self.status[member];
            let Some(mut stop) = status.stop.filter(|_| status.is_alive()) else {
                continue;
            };
            let sequence = self.members[member].stop;
            let is_needed = self.dependents_end(member).is_some();
            if !is_needed && stop.sent.is_none() {
                stop.waits_no_longer(sequence, now);
            }
            let due = stop.due(sequence, is_needed, now);
            if let Some(signal) = due.filter(|_| due > stop.sent) {
                let status = &mut self.status[member];
                status.stop = Some(stop);
                status.sent(signal, now);
                actions.push(Action::Signal(member, signal));
            }
        }
    }

    /// Prolongs the stop of members that wait for dependents with a longer
    /// grace, directly or indirectly.
    fn prolong(&mut self) {
        // Each round reaches one level further.
        for _ in 0..self.members.len() {
            let mut is_prolonged = false;
            for member in 0..self.members.len() {
                let stop = self.status[member].stop;
                if stop.is_none_or(|stop| stop.sent.is_some()) {
                    continue;
                }
                let (Some(theirs), Some(stop)) =
                    (self.dependents_end(member), &mut self.status[member].stop)
                else {
                    continue;
                };
                is_prolonged |= stop.prolong(self.members[member].stop, theirs);
            }
            if !is_prolonged {
                return;
            }
        }
    }

    /// Returns the latest end of the dependents that are being stopped, and of
    /// what follows their end, or `None` if there are none.
    fn dependents_end(&self, member: usize) -> Option<Instant> {
        let dependents = self.dependents[member].iter();
        let ends = dependents.filter_map(|&dependent| {
            let status = &self.status[dependent];
            let stop = status.stop.filter(|_| status.is_alive());
            match (status.state, stop) {
                (State::Finishing { .. }, Some(stop)) => Some(stop.ends),
                (State::Finishing { .. }, None) => status.deadline,
                (_, stop) => {
                    let finish = self.members[dependent].finish.unwrap_or_default();
                    stop.map(|stop| stop.ends + finish)
                }
            }
        });
        ends.max()
    }

    /// Reports members that are waited for, first after
    /// [`Policy::report_after`] and then at increasing intervals.
    fn report_waiting(&mut self, now: Instant, actions: &mut Vec<Action>) {
        // Lists are built only for a report: this function runs for every
        // input.
        let starts = |member: &Member, status: &Status| {
            matches!(status.state, State::Starting { .. })
                && status.stop.is_none()
                && member.kind == RoleKind::Operational
        };
        let stops = |_: &Member, status: &Status| {
            let is_finishing = matches!(status.state, State::Finishing { .. });
            is_finishing || (status.is_alive() && status.stop.is_some())
        };
        if !self.each().any(|(m, s)| starts(m, s) || stops(m, s)) {
            self.report_at = None;
            return;
        }
        let due = *self.report_at.get_or_insert(now + self.policy.report_after);
        if now < due {
            return;
        }
        let since = self
            .status
            .iter()
            .filter_map(|status| match (status.stop, status.state) {
                (Some(Stop { since, .. }), _)
                | (None, State::Starting { since } | State::Finishing { since, .. }) => Some(since),
                _ => None,
            })
            .min()
            .unwrap_or(now);
        self.report_at = Some(now + (now - since).max(self.policy.report_after));
        let (stopping, starting) = (self.members_that(stops), self.members_that(starts));
        if !stopping.is_empty() {
            actions.push(Action::StillRunning(stopping));
        }
        if !starting.is_empty() {
            actions.push(Action::StillStarting(starting));
        }
    }

    fn members_that(&self, chosen: impl Fn(&Member, &Status) -> bool) -> Vec<usize> {
        let each = self.each().enumerate();
        each.filter(|(_, (member, status))| chosen(member, status))
            .map(|(member, _)| member)
            .collect()
    }

    fn each(&self) -> impl Iterator<Item = (&Member, &Status)> {
        self.members.iter().zip(&self.status)
    }
}

fn dependents(members: &[Member]) -> Vec<Vec<usize>> {
    let mut dependents = vec![Vec::new(); members.len()];
    for (dependent, member) in members.iter().enumerate() {
        for (needed, other) in members.iter().enumerate() {
            let implied = member.kind == RoleKind::Test
                && other.kind == RoleKind::Operational
                && other.owner.is_none_or(|owner| owner == dependent);
            if implied || member.after.contains(&needed) {
                dependents[needed].push(dependent);
            }
        }
    }
    dependents
}

impl Status {
    fn is_next(&self) -> bool {
        self.turn == InstanceTurn::Next
    }

    fn is_alive(&self) -> bool {
        matches!(
            self.state,
            State::Starting { .. } | State::Ready | State::Finishing { .. }
        )
    }

    /// Begins a stop, or makes a cleanup one; a stop that has begun continues.
    fn begin_stop(&mut self, sequence: StopSequence, now: Instant) {
        let new = Stop::new(sequence, false, now);
        self.stop.get_or_insert(new).is_cleanup = false;
    }

    /// Records that a signal of the stop sequence is sent now.
    fn sent(&mut self, signal: StopStep, now: Instant) {
        if let Some(stop) = &mut self.stop {
            stop.sent = Some(signal);
        }
        self.killed = (signal == StopStep::Kill).then_some(now);
    }

    fn last_signal(&self) -> Option<StopStep> {
        self.stop.and_then(|stop| stop.sent)
    }
}
