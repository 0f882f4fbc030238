//! Decides when each role of a group is started, stopped and given up.
//!
//! A pure machine over plain data: [`Scheduler::next`] takes what happened and the
//! time, and returns what is to be done. It knows no process, no clock and no
//! role's name; members are numbered as they were given. Members may be added
//! while others run, and take the places of those that have ended.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

/// One member, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is for.
    pub kind: RoleKind,
    /// The members that are ready, or done, before it starts.
    pub after: Vec<usize>,
    /// How long it may run, in all where it is run again.
    pub timeout: Option<Duration>,
    /// How long it may take to become ready.
    pub ready_limit: Duration,
}

/// What a member is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleKind {
    /// Something that tests need, or that runs for its own sake.
    Operational,
    /// Something that ends by itself and has found something.
    Test,
}

/// How a group is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How many tests run at once; all of them where unset.
    pub jobs: Option<usize>,
    /// Whether the first failed test ends everything.
    pub fail_fast: bool,
    /// How often a test that failed is run again, once no other is left that
    /// was run less often.
    pub retries: u32,
    /// How long a test may run before that is worth a word, and then each time
    /// as long again; never where unset.
    pub slow: Option<Duration>,
    /// The member whose end, however it came, ends everything.
    pub main: Option<usize>,
    /// How long a member may take to stop.
    pub grace: Duration,
    /// How long to wait silently.
    pub report_after: Duration,
}

/// Time that a member gets to end after it was killed.
pub const KILLED_IN: Duration = Duration::from_secs(3);

/// How long a member may take to become ready, where nothing else is said.
pub const READY_LIMIT: Duration = Duration::from_mins(1);

impl Default for Policy {
    fn default() -> Self {
        Self {
            jobs: None,
            fail_fast: false,
            retries: 0,
            slow: None,
            main: None,
            grace: Duration::from_secs(5),
            report_after: Duration::from_secs(1),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The group may begin.
    Begin,
    /// A member can be used.
    Ready(usize),
    /// A member, and everything of it, is gone; or it could not be started.
    Ended {
        /// The member.
        member: usize,
        /// Whether it did what it was for, or was stopped on request.
        well: bool,
        /// After what time it is started again, unless it was to stop.
        again: Option<Duration>,
    },
    /// A member has ended by itself, and what it left behind is to follow.
    MainExited(usize),
    /// These members are to stop gracefully, and the others go on.
    StopSome(Vec<usize>),
    /// Everything is to stop gracefully.
    Stop,
    /// Everything is to be gone at once.
    Kill,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a member.
    Start(usize),
    /// A test has failed, which does not count yet: it will be started again.
    Rerun(usize),
    /// Say that a test runs for so long.
    Slow(usize, Duration),
    /// Send a signal to everything that a member is.
    Signal(usize, StopSignal),
    /// A member has had its time; its end counts as that.
    TimedOut(usize),
    /// A member did not become ready in time; its end counts as that.
    NeverReady(usize),
    /// A member will not be started any more.
    Skip(usize),
    /// The members that run are being stopped.
    Stopping(StopCause),
    /// Say that a member was killed and has not ended. It counts as ended.
    Unkillable(usize),
    /// Say that these members take long to stop.
    StillRunning(Vec<usize>),
    /// Say that these members take long to become ready.
    StillStarting(Vec<usize>),
}

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has not been started yet.
    Waiting,
    /// It runs, and is not ready.
    Starting,
    /// It runs, and is ready.
    Ready,
    /// It is being stopped.
    Stopping,
    /// It has ended by itself, and is started again soon.
    BackingOff,
    /// It has ended, or never will begin.
    Ended,
}

/// The reason why everything is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// The tests, or the main member, have ended.
    Finished,
    /// It was asked for.
    Asked,
    /// A test failed, and that was to be the end.
    FailFast,
    /// A member that tests need has failed.
    Broken,
}

/// The rungs of the stop ladder, from polite to certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM: a shell's background jobs ignore SIGINT.
    Terminate,
    /// SIGKILL.
    Kill,
}

impl StopSignal {
    /// How far into the grace time it is.
    fn after(self, grace: Duration) -> Duration {
        match self {
            Self::Interrupt => Duration::ZERO,
            Self::Terminate => grace / 2,
            Self::Kill => grace,
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::Interrupt => Some(Self::Terminate),
            Self::Terminate => Some(Self::Kill),
            Self::Kill => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Starting {
        since: Instant,
    },
    Ready,
    /// It has ended by itself, and is started again then.
    BackingOff {
        until: Instant,
    },
    Ended {
        well: bool,
    },
}

#[derive(Debug)]
struct Status {
    state: State,
    deadline: Option<Instant>,
    /// How often it has failed and is to be run again.
    reruns: u32,
    /// How much of its time is left to one that is run again.
    left: Option<Duration>,
    /// Since when a test runs, and how often it was named as slow.
    slow: Option<(Instant, u32)>,
    /// The ladder: since when it is climbed, and the last rung that was sent.
    stop: Option<(Instant, Option<StopSignal>)>,
    /// Whether it was to stop, alone.
    asked: bool,
    /// When it was killed.
    killed: Option<Instant>,
    /// Whether it goes on though it was killed. Its state is that of one that
    /// has ended.
    unkillable: bool,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: State::Waiting,
            deadline: None,
            reruns: 0,
            left: None,
            slow: None,
            stop: None,
            asked: false,
            killed: None,
            unkillable: false,
        }
    }
}

/// The machine.
#[derive(Debug)]
pub struct Scheduler {
    members: Vec<Member>,
    /// Who comes after whom: those that say so, and tests after everything
    /// operational.
    dependents: Vec<Vec<usize>>,
    status: Vec<Status>,
    policy: Policy,
    /// Since when everything is being stopped.
    stopping: Option<Instant>,
    /// When to report those that are waited for.
    report_at: Option<Instant>,
}

impl Scheduler {
    /// A group in which nothing runs yet.
    pub fn new(members: Vec<Member>, policy: Policy) -> Self {
        let status = members.iter().map(|_| Status::default()).collect();
        Self {
            dependents: dependents(&members),
            members,
            status,
            policy,
            stopping: None,
            report_at: None,
        }
    }

    /// Takes in members that begin with the next [`next`](Self::next). Each
    /// takes the place of one that has ended, or a new one after the last.
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

    /// What a member does, as it can be told.
    pub fn phase(&self, member: usize) -> Phase {
        let status = &self.status[member];
        match status.state {
            State::Waiting => Phase::Waiting,
            State::Ended { .. } if status.unkillable => Phase::Stopping,
            State::Ended { .. } => Phase::Ended,
            State::BackingOff { .. } => Phase::BackingOff,
            State::Starting { .. } | State::Ready if status.stop.is_some() => Phase::Stopping,
            State::Starting { .. } => Phase::Starting,
            State::Ready => Phase::Ready,
        }
    }

    /// Returns true if a member goes on though it was killed.
    pub fn is_unkillable(&self, member: usize) -> bool {
        self.status[member].unkillable
    }

    /// Returns true if any member goes on though it was killed.
    pub fn has_unkillable(&self) -> bool {
        self.status.iter().any(|status| status.unkillable)
    }

    /// Whether every member has ended, or never will begin, or cannot be ended.
    pub fn is_done(&self) -> bool {
        let ended = |status: &Status| matches!(status.state, State::Ended { .. });
        self.status.iter().all(ended)
    }

    /// When to call [`next`](Self::next) with [`Input::Tick`] at the latest.
    pub fn wake_at(&self) -> Option<Instant> {
        let policy = &self.policy;
        let alive = self.each().filter(|(_, status)| status.is_alive());
        let backing_off = self.status.iter().filter_map(|status| match status.state {
            State::BackingOff { until } => Some(until),
            _ => None,
        });
        alive
            .flat_map(|(member, status)| {
                let rung = status.stop.and_then(|(since, sent)| {
                    // The first rung waits for others, and has no time.
                    let next = sent.unwrap_or(StopSignal::Interrupt).next()?;
                    Some(since + next.after(policy.grace))
                });
                let ready = match status.state {
                    State::Starting { since } if status.stop.is_none() => {
                        Some(since + member.ready_limit)
                    }
                    _ => None,
                };
                let killed = status.killed.map(|killed| killed + KILLED_IN);
                let deadline = status.deadline.filter(|_| status.stop.is_none());
                let slow = status.slow.filter(|_| status.stop.is_none());
                let slow = slow.and_then(|slow| self.slow_at(slow));
                [rung, killed, ready, deadline, slow].into_iter().flatten()
            })
            .chain(backing_off)
            .chain(self.report_at)
            .min()
    }

    /// Takes what happened, and returns what is to be done, in this order.
    pub fn next(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Begin | Input::Tick => {}
            Input::Ready(member) => {
                if let State::Starting { .. } = self.status[member].state {
                    self.status[member].state = State::Ready;
                }
            }
            Input::Ended {
                member,
                well,
                again,
            } => self.ended(member, well, again, now, &mut actions),
            Input::MainExited(member) => {
                let status = &mut self.status[member];
                if status.is_alive() {
                    status.stop.get_or_insert((now, None));
                }
            }
            Input::StopSome(members) => self.stop_some(&members, now, &mut actions),
            Input::Stop => self.stop_all(StopCause::Asked, now, &mut actions),
            Input::Kill => {
                self.stop_all(StopCause::Asked, now, &mut actions);
                for (member, status) in self.status.iter_mut().enumerate() {
                    if status.is_alive() && status.rung() < Some(StopSignal::Kill) {
                        status.escalate(now, StopSignal::Kill, now);
                        actions.push(Action::Signal(member, StopSignal::Kill));
                    }
                }
            }
        }
        self.abandon_unkillable(now, &mut actions);
        self.expire(now, &mut actions);
        self.slow(now, &mut actions);
        self.finish(now, &mut actions);
        self.start(now, &mut actions);
        self.escalate(now, &mut actions);
        self.report_waiting(now, &mut actions);
        actions
    }

    fn ended(
        &mut self,
        member: usize,
        well: bool,
        again: Option<Duration>,
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
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        status.stop = None;
        status.killed = None;
        status.slow = None;
        if let Some(delay) = again
            && !asked
            && self.stopping.is_none()
        {
            status.state = State::BackingOff { until: now + delay };
            return;
        }
        let is_tried_again = self.members[member].kind == RoleKind::Test
            && !well
            && !asked
            && self.stopping.is_none()
            && status.reruns < self.policy.retries
            && left != Some(Duration::ZERO)
            && !self.has_failed_dependency(member);
        let status = &mut self.status[member];
        if is_tried_again {
            status.reruns += 1;
            status.left = left;
            status.state = State::Waiting;
            actions.push(Action::Rerun(member));
            return;
        }
        status.state = State::Ended {
            well: well && !asked,
        };
        if self.stopping.is_none() && (asked || !well) {
            self.affect_others(member, was, now, actions);
        }
    }

    /// A member was stopped or has failed, which others may depend on.
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
        } else if kind == RoleKind::Test && self.policy.fail_fast {
            self.stop_all(StopCause::FailFast, now, actions);
        } else if kind == RoleKind::Operational && was != State::Ready && self.has_tests() {
            self.stop_all(StopCause::Broken, now, actions);
        } else {
            self.skip_dependents(member, actions);
        }
    }

    /// Those that were killed and have not ended are waited for no longer.
    fn abandon_unkillable(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for member in 0..self.status.len() {
            let status = &mut self.status[member];
            let killed = status.killed.filter(|_| status.is_alive());
            if killed.is_none_or(|killed| now < killed + KILLED_IN) {
                continue;
            }
            let was = status.state;
            status.state = State::Ended { well: false };
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

    /// Whoever comes after a member that failed is not started.
    fn skip_dependents(&mut self, failed: usize, actions: &mut Vec<Action>) {
        let mut lost = vec![failed];
        while let Some(member) = lost.pop() {
            for &dependent in &self.dependents[member] {
                let state = &mut self.status[dependent].state;
                if *state == State::Waiting {
                    *state = State::Ended { well: false };
                    actions.push(Action::Skip(dependent));
                    lost.push(dependent);
                }
            }
        }
    }

    /// Whether somebody that a member comes after has failed.
    fn has_failed_dependency(&self, member: usize) -> bool {
        let needed = self.dependents.iter().zip(&self.status);
        let mut failed = needed.filter(|(_, status)| status.state == State::Ended { well: false });
        failed.any(|(dependents, _)| dependents.contains(&member))
    }

    fn has_tests(&self) -> bool {
        self.members
            .iter()
            .any(|member| member.kind == RoleKind::Test)
    }

    /// Those that took too long.
    fn expire(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for (member, status) in self.status.iter_mut().enumerate() {
            if !status.is_alive() || status.stop.is_some() {
                continue;
            }
            let never_ready = match status.state {
                State::Starting { since } => {
                    let asked = &self.members[member];
                    asked.kind == RoleKind::Operational && now >= since + asked.ready_limit
                }
                _ => false,
            };
            let late = status.deadline.is_some_and(|deadline| now >= deadline);
            if late || never_ready {
                status.stop = Some((now, None));
                actions.push(if late {
                    Action::TimedOut(member)
                } else {
                    Action::NeverReady(member)
                });
            }
        }
    }

    /// Those that run for long, each once however much time has passed.
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

    /// When one that runs since then is named as slow the next time.
    fn slow_at(&self, (since, times): (Instant, u32)) -> Option<Instant> {
        let period = self.policy.slow?;
        since.checked_add(period.checked_mul(times.checked_add(1)?)?)
    }

    /// Operational members end with the last test, and all of them with the
    /// main one.
    fn finish(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let main_ended = self
            .policy
            .main
            .is_some_and(|main| matches!(self.status[main].state, State::Ended { .. }));
        let tests_ended = self.has_tests()
            && self.each().all(|(member, status)| {
                member.kind != RoleKind::Test || matches!(status.state, State::Ended { .. })
            });
        if (tests_ended || main_ended) && self.stopping.is_none() && !self.is_done() {
            self.stop_all(StopCause::Finished, now, actions);
        }
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
        let running = |group: &Self| {
            let tests = group
                .each()
                .filter(|(member, _)| member.kind == RoleKind::Test);
            tests.filter(|(_, status)| status.is_alive()).count()
        };
        let jobs = self.policy.jobs.unwrap_or(usize::MAX);
        let mut room = jobs.saturating_sub(running(self));
        // Settled once: with hundreds of tests, asking each is quadratic.
        let operational_ready = (0..self.members.len())
            .all(|member| self.members[member].kind == RoleKind::Test || self.is_satisfied(member));
        // Those that were run less often come first, and are waited for.
        let mut turn: Vec<usize> = (0..self.members.len()).collect();
        if self.policy.retries > 0 {
            turn.sort_by_key(|&member| self.status[member].reruns);
        }
        let least = |group: &Self| {
            let tests = group
                .each()
                .filter(|(member, _)| member.kind == RoleKind::Test);
            let alive = tests.filter(|(_, status)| status.is_alive());
            alive.map(|(_, status)| status.reruns).min()
        };
        let mut least = least(self).unwrap_or(u32::MAX);
        for member in turn {
            match self.status[member].state {
                State::Waiting => {}
                State::BackingOff { until } if now >= until => {}
                _ => continue,
            }
            let is_test = self.members[member].kind == RoleKind::Test;
            let reruns = self.status[member].reruns;
            if is_test && (room == 0 || !operational_ready || reruns > least) {
                continue;
            }
            let mut named = self.members[member].after.iter();
            if !named.all(|&needed| self.is_satisfied(needed)) {
                continue;
            }
            let status = &mut self.status[member];
            if is_test {
                room -= 1;
                least = least.min(reruns);
                status.slow = Some((now, 0));
            }
            status.state = State::Starting { since: now };
            let timeout = status.left.or(self.members[member].timeout);
            status.deadline = timeout.and_then(|timeout| now.checked_add(timeout));
            actions.push(Action::Start(member));
        }
    }

    /// Whether a member need not be waited for: it is ready, or it is done and
    /// did well.
    fn is_satisfied(&self, member: usize) -> bool {
        matches!(
            self.status[member].state,
            State::Ready | State::Ended { well: true }
        )
    }

    fn stop_some(&mut self, members: &[usize], now: Instant, actions: &mut Vec<Action>) {
        for &member in members {
            let status = &mut self.status[member];
            match status.state {
                State::Waiting | State::BackingOff { .. } => {
                    status.state = State::Ended { well: false };
                    actions.push(Action::Skip(member));
                    self.skip_dependents(member, actions);
                }
                State::Starting { .. } | State::Ready => {
                    status.asked = true;
                    status.stop.get_or_insert((now, None));
                }
                State::Ended { .. } if status.unkillable => {
                    status.unkillable = false;
                    status.asked = true;
                    status.state = State::Ready;
                    status.escalate(now, StopSignal::Kill, now);
                    actions.push(Action::Signal(member, StopSignal::Kill));
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
                    status.state = State::Ended { well: false };
                    actions.push(Action::Skip(member));
                }
                State::Starting { .. } | State::Ready => {
                    status.stop.get_or_insert((now, None));
                }
                State::Ended { .. } => {}
            }
        }
        actions.push(Action::Stopping(why));
    }

    /// Sends the rungs that are due. The first one waits until whoever comes
    /// after the member is gone; the others do not.
    fn escalate(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for member in 0..self.members.len() {
            let status = &self.status[member];
            let Some((since, sent)) = status.stop.filter(|_| status.is_alive()) else {
                continue;
            };
            let due = [StopSignal::Kill, StopSignal::Terminate]
                .into_iter()
                .find(|rung| now >= since + rung.after(self.policy.grace))
                .or_else(|| (!self.is_needed(member)).then_some(StopSignal::Interrupt));
            if due > sent
                && let Some(rung) = due
            {
                self.status[member].escalate(since, rung, now);
                actions.push(Action::Signal(member, rung));
            }
        }
    }

    /// Whether a living member comes after this one, and is to be gone before
    /// it.
    fn is_needed(&self, member: usize) -> bool {
        self.dependents[member].iter().any(|&dependent| {
            let status = &self.status[dependent];
            status.is_alive() && status.stop.is_some()
        })
    }

    /// Names those that are waited for, first after [`Policy::report_after`] and then at ever
    /// longer intervals.
    fn report_waiting(&mut self, now: Instant, actions: &mut Vec<Action>) {
        // Named only when somebody is told: this is asked at every event.
        let starts = |member: &Member, status: &Status| {
            matches!(status.state, State::Starting { .. })
                && status.stop.is_none()
                && member.kind == RoleKind::Operational
        };
        let stops = |_: &Member, status: &Status| status.is_alive() && status.stop.is_some();
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
                (Some((since, _)), _) | (None, State::Starting { since }) => Some(since),
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
            let implied = member.kind == RoleKind::Test && other.kind == RoleKind::Operational;
            if implied || member.after.contains(&needed) {
                dependents[needed].push(dependent);
            }
        }
    }
    dependents
}

impl Status {
    fn is_alive(&self) -> bool {
        matches!(self.state, State::Starting { .. } | State::Ready)
    }

    /// Notes that a rung is sent now on the ladder that is climbed `since` then.
    fn escalate(&mut self, since: Instant, rung: StopSignal, now: Instant) {
        self.stop = Some((since, Some(rung)));
        self.killed = (rung == StopSignal::Kill).then_some(now);
    }

    fn rung(&self) -> Option<StopSignal> {
        self.stop.and_then(|(_, rung)| rung)
    }
}
