//! Decides when shards are placed, started, stopped and given up, and which of
//! their events count.
//!
//! A pure state machine: [`Scheduler::next`] takes an input and the time, and
//! returns actions. It knows no streams, no processes and no clock.
//!
//! Files are sent when all agents have joined, since their addresses are known
//! then. Operational roles start first, on all shards: one that starts after roles of
//! other shards is admitted once those are ready. Test roles start when all
//! operational roles are ready, and operational roles are stopped when the test
//! roles of all shards have ended. A shard that was not heard of for a lease is
//! lost: its epoch ends, nothing that it says counts any more, and each of its
//! roles without an outcome fails.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::model::name::RoleName;
use crate::remote::conversation::BEATS;
use crate::remote::plan::Shard;

/// Options of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Time without a message after which a shard is lost.
    pub lease: Duration,
    /// Time until all shards must have joined.
    pub place_timeout: Duration,
    /// True if the first lost shard stops everything.
    pub fail_fast: bool,
}

/// An input of the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Places the shards.
    Begin,
    /// The agent of a shard has joined.
    Joined(usize),
    /// A message or a byte of a shard has arrived.
    Heard(usize),
    /// The home of a shard is made.
    Placed(usize),
    /// A role of a shard has changed.
    Event {
        /// The shard.
        shard: usize,
        /// The epoch that the agent was given.
        epoch: u64,
        /// Number of the event.
        seq: u64,
        /// The role, if the event is one of a role.
        role: Option<RoleName>,
        /// The change, if it matters here.
        change: Option<Change>,
    },
    /// All test roles of a shard have ended.
    Tested(usize),
    /// All roles of a shard have ended.
    Ended(usize),
    /// The logs of an ended shard were fetched.
    Collected(usize),
    /// The stream of a shard has ended, or its agent has refused.
    Closed(usize, String),
    /// Stops all roles; kills them if it is true.
    Stop(bool),
    /// Time has passed.
    Tick,
}

/// A change of a role, or of all roles of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is ready.
    Ready,
    /// It runs again, after a failed try or for a restart.
    Again,
    /// It has ended; true if it succeeded.
    Ended(bool),
    /// The shard stops its roles on its own, because of a failure.
    Stopping,
}

/// An action to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Find a node for a shard, and start its agent there.
    Place(usize),
    /// Send the files of a shard.
    Transfer(usize),
    /// Start the operational roles of a shard.
    Start(usize),
    /// Let an operational role of a shard start: those that it waits for on other
    /// shards are ready.
    Admit(usize, RoleName),
    /// Start the test roles of a shard.
    Test(usize),
    /// Stop the operational roles of a shard, after all tests.
    Finish(usize),
    /// Stop all roles of a shard; kill them if it is true.
    Stop(usize, bool),
    /// The event counts.
    Accept,
    /// The event does not count: it is late, doubled, or not of the shard.
    Refuse,
    /// Fetch the logs of a shard that has ended.
    Collect(usize),
    /// Send a sign of life.
    Heartbeat(usize),
    /// A shard is lost, for this reason; these of its roles have no outcome.
    Lost(usize, String, Vec<RoleName>),
    /// No agent of a shard has joined, for this reason.
    Unplaced(usize, String),
    /// End the conversation with a shard, and release its node.
    Release(usize),
    /// These shards were not placed in time.
    NotPlaced(Vec<usize>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Not asked for yet.
    Waiting,
    /// Its agent has not joined yet.
    Placing,
    /// Its agent has joined, and waits for those of other shards.
    Joined,
    /// Its files are being sent.
    Transferring,
    /// It waits for the other shards.
    Placed,
    /// Its operational roles run or are about to be.
    Started,
    /// Its test roles run as well.
    Testing,
    /// Its test roles have ended.
    Tested,
    /// All its roles have ended.
    Ended,
    /// Its node is released.
    Done,
    /// It was not heard of for a lease, or its stream has ended.
    Lost,
}

#[derive(Debug)]
struct Status {
    state: State,
    epoch: u64,
    /// Number of the last event.
    seq: u64,
    heard: Instant,
    told: Instant,
    /// Roles that have reported an outcome, and whether it was a success.
    reported: BTreeSet<RoleName>,
    /// Operational roles for which no other waits any longer.
    satisfied: BTreeSet<RoleName>,
    /// Roles that were admitted, of those that wait for other shards.
    admitted: BTreeSet<RoleName>,
    /// True once its operational roles were asked to stop after all tests.
    is_finishing: bool,
}

/// Schedules the shards of a run.
#[derive(Debug)]
pub struct Scheduler {
    shards: Vec<Shard>,
    status: Vec<Status>,
    policy: Policy,
    begun: Instant,
    /// True once a stop of all shards was requested, or all tests have ended.
    is_stopping: bool,
    /// True once all tests have ended.
    is_finishing: bool,
    /// Number of events that did not count.
    refused: u64,
}

impl Scheduler {
    /// Returns a scheduler in which no shard is placed. Shards without roles
    /// never are.
    pub fn new(shards: Vec<Shard>, policy: Policy, now: Instant) -> Self {
        let status = shards.iter().map(|shard| Status {
            state: if shard.is_empty() {
                State::Done
            } else {
                State::Waiting
            },
            epoch: 1,
            seq: 0,
            heard: now,
            told: now,
            reported: BTreeSet::new(),
            satisfied: BTreeSet::new(),
            admitted: BTreeSet::new(),
            is_finishing: false,
        });
        Self {
            status: status.collect(),
            shards,
            policy,
            begun: now,
            is_stopping: false,
            is_finishing: false,
            refused: 0,
        }
    }

    /// Returns the epoch that the agent of a shard is given.
    pub fn epoch(&self, shard: usize) -> u64 {
        self.status[shard].epoch
    }

    /// Returns the number of events that did not count.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns true if every shard is done or lost.
    pub fn is_done(&self) -> bool {
        self.each().all(|(_, status)| status.is_over())
    }

    /// Returns the time of the next [`Input::Tick`]; `None` if there is none.
    pub fn wake_at(&self) -> Option<Instant> {
        let times = self.each().filter_map(|(_, status)| match status.state {
            State::Placing => Some(self.begun + self.policy.place_timeout),
            _ if status.is_joined() => {
                let told = status.told + self.beat();
                Some(told.min(status.heard + self.policy.lease))
            }
            _ => None,
        });
        times.min()
    }

    /// Processes an input and returns the actions to execute, in order.
    pub fn next(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Begin => {
                self.begun = now;
                self.advance(State::Waiting, State::Placing, &mut actions, Action::Place);
            }
            Input::Joined(shard) => {
                let status = &mut self.status[shard];
                if status.state == State::Placing {
                    status.state = State::Joined;
                    (status.heard, status.told) = (now, now);
                }
            }
            Input::Heard(shard) => self.status[shard].heard = now,
            Input::Placed(shard) => self.step(shard, State::Transferring, State::Placed),
            Input::Event {
                shard,
                epoch,
                seq,
                role,
                change,
            } => self.event(shard, (epoch, seq), role, change, &mut actions),
            Input::Tested(shard) => self.step(shard, State::Testing, State::Tested),
            Input::Ended(shard) => {
                let status = &mut self.status[shard];
                if status.is_joined() && status.state < State::Ended {
                    status.state = State::Ended;
                    actions.push(Action::Collect(shard));
                }
            }
            Input::Collected(shard) => {
                if self.status[shard].state == State::Ended {
                    self.status[shard].state = State::Done;
                    actions.push(Action::Release(shard));
                }
            }
            Input::Closed(shard, reason) if self.status[shard].state == State::Placing => {
                self.status[shard].state = State::Done;
                actions.push(Action::Unplaced(shard, reason));
                actions.push(Action::Release(shard));
                self.stop(false, &mut actions);
            }
            Input::Closed(shard, reason) => self.lose(shard, reason, &mut actions),
            Input::Stop(at_once) => self.stop(at_once, &mut actions),
            Input::Tick => {}
        }
        self.expire(now, &mut actions);
        self.proceed(&mut actions);
        self.beat_hearts(now, &mut actions);
        actions
    }

    /// Moves a shard from a state to the one after it.
    fn step(&mut self, shard: usize, from: State, to: State) {
        let status = &mut self.status[shard];
        if status.state == from {
            status.state = to;
        }
    }

    /// Moves all shards that are in a state to the one after it.
    fn advance(
        &mut self,
        from: State,
        to: State,
        actions: &mut Vec<Action>,
        action: impl Fn(usize) -> Action,
    ) {
        for (shard, status) in self.status.iter_mut().enumerate() {
            if status.state == from {
                status.state = to;
                actions.push(action(shard));
            }
        }
    }

    fn event(
        &mut self,
        shard: usize,
        (epoch, seq): (u64, u64),
        role: Option<RoleName>,
        change: Option<Change>,
        actions: &mut Vec<Action>,
    ) {
        let (own, status) = (&self.shards[shard], &mut self.status[shard]);
        let is_of_shard = role.as_ref().is_none_or(|role| own.has(role));
        let counts = status.is_joined()
            && status.state < State::Ended
            && epoch == status.epoch
            && seq > status.seq
            && is_of_shard;
        if !counts {
            self.refused += 1;
            return actions.push(Action::Refuse);
        }
        status.seq = seq;
        actions.push(Action::Accept);
        match (change, role) {
            (Some(Change::Ready), Some(role)) => {
                status.satisfied.insert(role);
            }
            (Some(Change::Again), Some(role)) => {
                status.reported.remove(&role);
            }
            (Some(Change::Ended(success)), Some(role)) => {
                if success && own.operational.contains(&role) {
                    status.satisfied.insert(role.clone());
                }
                status.reported.insert(role);
            }
            (Some(Change::Stopping), _) => self.stop(false, actions),
            (_, None) | (None, _) => {}
        }
    }

    /// Starts what waits for all shards.
    fn proceed(&mut self, actions: &mut Vec<Action>) {
        if self.is_finishing {
            return self.finish(actions);
        }
        if self.is_stopping {
            return;
        }
        if self.least() == Some(State::Joined) {
            self.advance(
                State::Joined,
                State::Transferring,
                actions,
                Action::Transfer,
            );
        }
        if self.least() == Some(State::Placed) {
            self.advance(State::Placed, State::Started, actions, Action::Start);
        }
        self.admit(actions);
        if self.least() == Some(State::Started) && self.is_satisfied() {
            self.advance(State::Started, State::Testing, actions, Action::Test);
        }
        if self.least() == Some(State::Tested) {
            (self.is_stopping, self.is_finishing) = (true, true);
            self.finish(actions);
        }
    }

    /// Lets roles start whose needs on other shards are ready.
    fn admit(&mut self, actions: &mut Vec<Action>) {
        if self.least() != Some(State::Started) {
            return;
        }
        let satisfied = self.status.iter().flat_map(|status| &status.satisfied);
        let satisfied: BTreeSet<RoleName> = satisfied.cloned().collect();
        for (shard, (own, status)) in self.shards.iter().zip(&mut self.status).enumerate() {
            let ready = own
                .awaits
                .iter()
                .filter(|(_, needed)| needed.is_subset(&satisfied));
            for (role, _) in ready {
                if status.state == State::Started && status.admitted.insert(role.clone()) {
                    actions.push(Action::Admit(shard, role.clone()));
                }
            }
        }
    }

    /// Stops the operational roles of all shards, those of shards for which others
    /// wait last.
    fn finish(&mut self, actions: &mut Vec<Action>) {
        let open: Vec<usize> = (0..self.status.len())
            .filter(|&shard| self.status[shard].state == State::Tested)
            .collect();
        let is_awaited = |shard: &usize| {
            let mut others = open.iter().filter(|other| *other != shard);
            others.any(|&other| {
                let mut awaited = self.shards[other].awaits.values().flatten();
                awaited.any(|role| self.shards[*shard].operational.contains(role))
            })
        };
        let mut next: Vec<usize> = open.iter().copied().filter(|it| !is_awaited(it)).collect();
        if next.is_empty() {
            // They wait for each other.
            next = open;
        }
        for shard in next {
            let status = &mut self.status[shard];
            if !std::mem::replace(&mut status.is_finishing, true) {
                actions.push(Action::Finish(shard));
            }
        }
    }

    /// Returns the earliest state of all shards that are not over.
    fn least(&self) -> Option<State> {
        let going_on = self.status.iter().filter(|status| !status.is_over());
        going_on.map(|status| status.state).min()
    }

    /// Returns true if every operational role is ready or done.
    fn is_satisfied(&self) -> bool {
        let mut each = self.each();
        each.all(|(shard, status)| shard.operational.is_subset(&status.satisfied))
    }

    /// Stops all shards. Those that were not started yet are released.
    fn stop(&mut self, at_once: bool, actions: &mut Vec<Action>) {
        if self.is_stopping && !at_once {
            return;
        }
        self.is_stopping = true;
        for (shard, status) in self.status.iter_mut().enumerate() {
            match status.state {
                State::Waiting
                | State::Placing
                | State::Joined
                | State::Transferring
                | State::Placed => {
                    status.state = State::Done;
                    actions.push(Action::Release(shard));
                }
                State::Started | State::Testing | State::Tested => {
                    actions.push(Action::Stop(shard, at_once));
                }
                State::Ended | State::Done | State::Lost => {}
            }
        }
    }

    /// Gives up shards that were not heard of, or not placed in time.
    fn expire(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for shard in 0..self.status.len() {
            let status = &self.status[shard];
            if status.is_joined() && now >= status.heard + self.policy.lease {
                let silence = now.duration_since(status.heard).as_secs_f64();
                self.lose(shard, format!("nothing heard for {silence:.1} s"), actions);
            }
        }
        let is_late = now >= self.begun + self.policy.place_timeout;
        let placing = self.status.iter().enumerate();
        let placing = placing.filter(|(_, status)| is_late && status.state == State::Placing);
        let late: Vec<usize> = placing.map(|(shard, _)| shard).collect();
        if !late.is_empty() {
            actions.push(Action::NotPlaced(late));
            self.stop(false, actions);
        }
    }

    /// Gives a shard up: raises its epoch, so that no event of it counts any
    /// more. Tests that need operational roles of it are not started.
    fn lose(&mut self, shard: usize, reason: String, actions: &mut Vec<Action>) {
        let (own, status) = (&self.shards[shard], &mut self.status[shard]);
        if status.is_over() {
            return;
        }
        // One that has ended with success has done what it is there for.
        let is_over = |role| status.satisfied.contains(role) && status.reported.contains(role);
        let is_needed = status.state < State::Testing && !own.operational.iter().all(is_over);
        status.state = State::Lost;
        status.epoch += 1;
        // An instance is a part of its test.
        let roles = own.operational.iter().chain(&own.tests);
        let roles = roles.filter(|role| !status.reported.contains(*role));
        let roles = roles.cloned().collect();
        actions.push(Action::Lost(shard, reason, roles));
        actions.push(Action::Release(shard));
        if is_needed || self.policy.fail_fast {
            self.stop(false, actions);
        }
    }

    fn beat_hearts(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let beat = self.beat();
        for (shard, status) in self.status.iter_mut().enumerate() {
            if status.is_joined() && now >= status.told + beat {
                status.told = now;
                actions.push(Action::Heartbeat(shard));
            }
        }
    }

    fn beat(&self) -> Duration {
        self.policy.lease / BEATS
    }

    fn each(&self) -> impl Iterator<Item = (&Shard, &Status)> {
        self.shards.iter().zip(&self.status)
    }
}

impl Status {
    /// Returns true if there is nothing more to wait for.
    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Lost)
    }

    /// Returns true if its agent has joined, and the conversation goes on.
    fn is_joined(&self) -> bool {
        !matches!(
            self.state,
            State::Waiting | State::Placing | State::Done | State::Lost
        )
    }
}
