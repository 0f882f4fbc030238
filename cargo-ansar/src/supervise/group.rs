//! Decides when each role of a group is started, stopped and given up.
//!
//! A pure machine over plain data: [`Group::next`] takes what happened and the
//! time, and returns what is to be done. It knows no process, no clock and no
//! role's name; members are numbered as they were given.

use std::time::{Duration, Instant};

/// One member, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is for.
    pub part: Part,
    /// The members that are ready, or done, before it starts.
    pub after: Vec<usize>,
    /// How long it may run.
    pub timeout: Option<Duration>,
}

/// What a member is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
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
    /// The member whose end, however it came, ends everything.
    pub main: Option<usize>,
    /// How long a member may take to stop.
    pub grace: Duration,
    /// How long a member may take to become ready.
    pub ready_limit: Duration,
    /// How long to wait silently.
    pub patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            jobs: None,
            fail_fast: false,
            main: None,
            grace: Duration::from_secs(5),
            ready_limit: Duration::from_mins(1),
            patience: Duration::from_secs(1),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    },
    /// A member has ended by itself, and what it left behind is to follow.
    Left(usize),
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
    /// Send a signal to everything that a member is.
    Signal(usize, Rung),
    /// A member has had its time; its end counts as that.
    TimedOut(usize),
    /// A member did not become ready in time; its end counts as that.
    NeverReady(usize),
    /// A member will not be started any more.
    Skip(usize),
    /// The members that run are being stopped.
    Stopping(Why),
    /// Say that these members take long to stop.
    StillRunning(Vec<usize>),
    /// Say that these members take long to become ready.
    StillStarting(Vec<usize>),
}

/// Why everything is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
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
pub enum Rung {
    /// SIGINT.
    Interrupt,
    /// SIGTERM: a shell's background jobs ignore SIGINT.
    Terminate,
    /// SIGKILL.
    Kill,
}

impl Rung {
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
    Starting { since: Instant },
    Ready,
    Ended { well: bool },
}

#[derive(Debug)]
struct Status {
    state: State,
    deadline: Option<Instant>,
    /// The ladder: since when it is climbed, and the last rung that was sent.
    stop: Option<(Instant, Option<Rung>)>,
}

/// The machine.
#[derive(Debug)]
pub struct Group {
    members: Vec<Member>,
    /// Who comes after whom: those that say so, and tests after everything
    /// operational.
    dependents: Vec<Vec<usize>>,
    status: Vec<Status>,
    policy: Policy,
    /// Since when everything is being stopped.
    stopping: Option<Instant>,
    /// When to speak of those that are waited for.
    speak: Option<Instant>,
}

impl Group {
    /// A group in which nothing runs yet.
    pub fn new(members: Vec<Member>, policy: Policy) -> Self {
        let status = members
            .iter()
            .map(|_| Status {
                state: State::Waiting,
                deadline: None,
                stop: None,
            })
            .collect();
        Self {
            dependents: dependents(&members),
            members,
            status,
            policy,
            stopping: None,
            speak: None,
        }
    }

    /// Whether every member has ended, or never will begin.
    pub fn is_done(&self) -> bool {
        let ended = |status: &Status| matches!(status.state, State::Ended { .. });
        self.status.iter().all(ended)
    }

    /// When to call [`next`](Self::next) with [`Input::Tick`] at the latest.
    pub fn wake_at(&self) -> Option<Instant> {
        let policy = &self.policy;
        let alive = self.status.iter().filter(|status| status.is_alive());
        alive
            .flat_map(|status| {
                let rung = status.stop.and_then(|(since, sent)| {
                    // The first rung waits for others, and has no time.
                    let next = sent.unwrap_or(Rung::Interrupt).next()?;
                    Some(since + next.after(policy.grace))
                });
                let ready = match status.state {
                    State::Starting { since } if status.stop.is_none() => {
                        Some(since + policy.ready_limit)
                    }
                    _ => None,
                };
                let deadline = status.deadline.filter(|_| status.stop.is_none());
                [rung, ready, deadline].into_iter().flatten()
            })
            .chain(self.speak)
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
            Input::Ended { member, well } => self.ended(member, well, now, &mut actions),
            Input::Left(member) => {
                let status = &mut self.status[member];
                if status.is_alive() {
                    status.stop.get_or_insert((now, None));
                }
            }
            Input::Stop => self.stop_all(Why::Asked, now, &mut actions),
            Input::Kill => {
                self.stop_all(Why::Asked, now, &mut actions);
                for (member, status) in self.status.iter_mut().enumerate() {
                    if status.is_alive() && status.rung() < Some(Rung::Kill) {
                        status.stop = Some((now, Some(Rung::Kill)));
                        actions.push(Action::Signal(member, Rung::Kill));
                    }
                }
            }
        }
        self.give_up(now, &mut actions);
        self.finish(now, &mut actions);
        self.start(now, &mut actions);
        self.climb(now, &mut actions);
        self.speak(now, &mut actions);
        actions
    }

    fn ended(&mut self, member: usize, well: bool, now: Instant, actions: &mut Vec<Action>) {
        let was = self.status[member].state;
        if matches!(was, State::Ended { .. }) {
            return;
        }
        // One that was being stopped did what it was told.
        let asked = self.status[member].stop.is_some();
        self.status[member].state = State::Ended { well };
        if well || self.stopping.is_some() {
            return;
        }
        let part = self.members[member].part;
        if part == Part::Test && self.policy.fail_fast {
            self.stop_all(Why::FailFast, now, actions);
        } else if part == Part::Operational && was != State::Ready && self.has_tests() {
            self.stop_all(Why::Broken, now, actions);
        } else if !asked {
            self.skip_dependents(member, actions);
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

    fn has_tests(&self) -> bool {
        self.members.iter().any(|member| member.part == Part::Test)
    }

    /// Those that took too long.
    fn give_up(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for (member, status) in self.status.iter_mut().enumerate() {
            if !status.is_alive() || status.stop.is_some() {
                continue;
            }
            let never_ready = match status.state {
                State::Starting { since } => {
                    self.members[member].part == Part::Operational
                        && now >= since + self.policy.ready_limit
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

    /// Operational members end with the last test, and all of them with the
    /// main one.
    fn finish(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let main_ended = self
            .policy
            .main
            .is_some_and(|main| matches!(self.status[main].state, State::Ended { .. }));
        let tests_ended = self.has_tests()
            && self.each().all(|(member, status)| {
                member.part != Part::Test || matches!(status.state, State::Ended { .. })
            });
        if (tests_ended || main_ended) && self.stopping.is_none() && !self.is_done() {
            self.stop_all(Why::Finished, now, actions);
        }
    }

    fn start(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.stopping.is_some() {
            return;
        }
        let running = |group: &Self| {
            let tests = group.each().filter(|(member, _)| member.part == Part::Test);
            tests.filter(|(_, status)| status.is_alive()).count()
        };
        let jobs = self.policy.jobs.unwrap_or(usize::MAX);
        let mut room = jobs.saturating_sub(running(self));
        // Settled once: with hundreds of tests, asking each is quadratic.
        let operational_ready = (0..self.members.len())
            .all(|member| self.members[member].part == Part::Test || self.is_settled(member));
        for member in 0..self.members.len() {
            if self.status[member].state != State::Waiting {
                continue;
            }
            let is_test = self.members[member].part == Part::Test;
            if is_test && (room == 0 || !operational_ready) {
                continue;
            }
            let mut named = self.members[member].after.iter();
            if !named.all(|&needed| self.is_settled(needed)) {
                continue;
            }
            room -= usize::from(is_test);
            let status = &mut self.status[member];
            status.state = State::Starting { since: now };
            status.deadline = self.members[member].timeout.map(|timeout| now + timeout);
            actions.push(Action::Start(member));
        }
    }

    /// Whether a member need not be waited for: it is ready, or it is done and
    /// did well.
    fn is_settled(&self, member: usize) -> bool {
        matches!(
            self.status[member].state,
            State::Ready | State::Ended { well: true }
        )
    }

    fn stop_all(&mut self, why: Why, now: Instant, actions: &mut Vec<Action>) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(now);
        for (member, status) in self.status.iter_mut().enumerate() {
            match status.state {
                State::Waiting => {
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
    fn climb(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for member in 0..self.members.len() {
            let status = &self.status[member];
            let Some((since, sent)) = status.stop.filter(|_| status.is_alive()) else {
                continue;
            };
            let due = [Rung::Kill, Rung::Terminate]
                .into_iter()
                .find(|rung| now >= since + rung.after(self.policy.grace))
                .or_else(|| (!self.is_needed(member)).then_some(Rung::Interrupt));
            if due > sent
                && let Some(rung) = due
            {
                self.status[member].stop = Some((since, due));
                actions.push(Action::Signal(member, rung));
            }
        }
    }

    /// Whether a living member comes after this one.
    fn is_needed(&self, member: usize) -> bool {
        self.dependents[member]
            .iter()
            .any(|&dependent| self.status[dependent].is_alive())
    }

    /// Names those that are waited for, after some patience and then at ever
    /// longer intervals.
    fn speak(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let stopping: Vec<usize> = self.alive(|status| status.stop.is_some());
        let starting: Vec<usize> = self.alive(|status| {
            matches!(status.state, State::Starting { .. }) && status.stop.is_none()
        });
        let starting: Vec<usize> = starting
            .into_iter()
            .filter(|&member| self.members[member].part == Part::Operational)
            .collect();
        if stopping.is_empty() && starting.is_empty() {
            self.speak = None;
            return;
        }
        let due = *self.speak.get_or_insert(now + self.policy.patience);
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
        self.speak = Some(now + (now - since).max(self.policy.patience));
        if !stopping.is_empty() {
            actions.push(Action::StillRunning(stopping));
        }
        if !starting.is_empty() {
            actions.push(Action::StillStarting(starting));
        }
    }

    fn alive(&self, chosen: impl Fn(&Status) -> bool) -> Vec<usize> {
        let status = self.status.iter().enumerate();
        status
            .filter(|(_, status)| status.is_alive() && chosen(status))
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
            let implied = member.part == Part::Test && other.part == Part::Operational;
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

    fn rung(&self) -> Option<Rung> {
        self.stop.and_then(|(_, rung)| rung)
    }
}

#[cfg(test)]
mod tests;
