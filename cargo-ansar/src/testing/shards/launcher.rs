//! The launcher: executes the actions of the scheduler of shards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::events::{Event, Events, Kind, LogEvent, RunEvent, StopReason};
use crate::home::deploy_state::DeployState;
use crate::home::ports::Hosts;
use crate::home::role::Entry;
use crate::host::fs::{Error as FilesError, Hash};
use crate::host::{clock, environment};
use crate::logs::skew;
use crate::logs::store::STORAGE;
use crate::model::name::RoleName;
use crate::model::partition::Partition;
use crate::model::remote::RemoteError;
use crate::protocol::VERSION;
use crate::remote::boot;
use crate::remote::conversation::Pieces;
use crate::remote::frames::{Frame, MOST_BYTES};
use crate::remote::messages::{FromAgent, Start, StartRole, ToAgent};
use crate::remote::plan::{Roles, Shard};
use crate::remote::scheduler::{Action, Input, Policy, Scheduler};
use crate::supervisor::test_options::TestOptions;
use crate::testing::runner::Runner;
use crate::testing::shards::Options;
use crate::testing::shards::files::{Content, Contents, Files};
use crate::testing::shards::logs::{Clock, Logs};
use crate::testing::shards::node::{AgentProgram, Node, StreamEvent, open};
use crate::testing::shards::release::Allocations;
use crate::testing::shards::results::{Results, change_of};
use crate::testing::shards::sources::Sources;

/// Time that all nodes get to be released, and cleaned up if their agents were lost.
const RELEASE: Duration = Duration::from_secs(10);

/// Difference of clocks up to which they count as equal: the message that tells the
/// time of a node takes some time.
const EQUAL: SignedDuration = SignedDuration::from_millis(500);

/// An agent that has joined.
struct Agent {
    /// The name of its node.
    host: String,
    /// The address of its node.
    address: Option<Ipv4Addr>,
    /// Its home.
    home: PathBuf,
    /// Time by which the clock of its node is ahead of the clock here.
    ahead: SignedDuration,
}

/// The launcher of a run.
pub(super) struct Launcher<'a> {
    runner: &'a Runner<'a>,
    entries: &'a BTreeMap<RoleName, Entry>,
    roles: &'a Roles,
    options: &'a Options,
    files: Files<'a>,
    sources: Sources,
    program: Rc<AgentProgram>,
    scheduler: Scheduler,
    shards: Vec<Shard>,
    nodes: Vec<Node>,
    agents: Vec<Option<Agent>>,
    contents: Vec<Contents>,
    /// Id of the run.
    run: String,
    heard: mpsc::UnboundedSender<(usize, StreamEvent)>,
    results: Results,
    logs: Logs,
    tasks: JoinSet<()>,
    /// The reason for a stop of all shards, until it is told.
    stopping: Option<StopReason>,
    has_stopped: bool,
    has_begun: bool,
    is_foreign: bool,
    error: Option<Error>,
    events: &'a Events,
}

impl<'a> Launcher<'a> {
    /// Returns a launcher that has placed nothing yet, and the messages that it is
    /// to handle.
    #[expect(clippy::too_many_arguments, reason = "the parts of a run")]
    pub(super) fn new(
        runner: &'a Runner<'a>,
        entries: &'a BTreeMap<RoleName, Entry>,
        roles: &'a Roles,
        shards: Vec<Shard>,
        options: &'a Options,
        files: Files<'a>,
        program: AgentProgram,
        events: &'a Events,
    ) -> (Self, mpsc::UnboundedReceiver<(usize, StreamEvent)>) {
        let policy = Policy {
            lease: options.lease,
            place_timeout: options.place_timeout,
            fail_fast: runner.tests.fail_fast,
        };
        let (heard, messages) = mpsc::unbounded_channel();
        let results = Results::new(&shards, |role| runner.described(role));
        let launcher = Self {
            runner,
            entries,
            roles,
            options,
            sources: files.sources(),
            files,
            program: Rc::new(program),
            scheduler: Scheduler::new(shards.clone(), policy, clock::instant()),
            nodes: shards.iter().map(|_| Node::default()).collect(),
            agents: shards.iter().map(|_| None).collect(),
            contents: shards.iter().map(|_| Contents::default()).collect(),
            shards,
            run: environment::unique(),
            heard,
            logs: Logs::new(results.divided()),
            results,
            tasks: JoinSet::new(),
            stopping: None,
            has_stopped: false,
            has_begun: false,
            is_foreign: false,
            error: None,
            events,
        };
        (launcher, messages)
    }

    /// Writes down the places that the driver is about to take.
    pub(super) fn note_places(&self) -> Result<Option<Allocations>, Error> {
        let all = self.shards.iter().enumerate();
        let placed = all.filter(|(_, shard)| !shard.is_empty());
        let names: Vec<String> = placed.map(|(nth, _)| self.name(nth)).collect();
        Allocations::note(self.runner.home, &self.run, &self.options.driver, &names)
    }

    /// Returns the name of the place of a shard: no other run has one of it.
    fn name(&self, shard: usize) -> String {
        let home = self.runner.home.id();
        let beginning = |id: &str| id.chars().take(8).collect::<String>();
        format!("ansar-{}-{}-{shard}", beginning(home), self.run)
    }

    /// Places the agents.
    pub(super) fn begin(&mut self) {
        self.feed(Input::Begin);
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self) {
        self.feed(Input::Tick);
    }

    /// Stops all roles; kills them if `at_once`.
    pub(super) fn interrupt(&mut self, at_once: bool) {
        self.stopping = Some(StopReason::Interrupted);
        self.feed(Input::Stop(at_once));
    }

    /// Returns true if every shard is done or lost.
    pub(super) fn is_done(&self) -> bool {
        self.scheduler.is_done()
    }

    /// Returns the time of the next tick.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.scheduler.wake_at()
    }

    /// Waits until the commands that placed the agents have ended.
    pub(super) async fn release(&mut self) {
        let releasing = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(RELEASE, releasing).await;
        self.tasks.abort_all();
        let stored = self.logs.finish(self.runner.home);
        self.tell_unstored(stored);
    }

    /// Returns the error for which nothing was run, if there is one.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Returns the results.
    pub(super) fn into_results(self) -> Results {
        self.results
    }

    /// Passes an input to the scheduler and executes its actions. Returns true
    /// if the event of the input counts.
    fn feed(&mut self, input: Input) -> bool {
        let mut counts = false;
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for action in self.scheduler.next(input, clock::instant()) {
                counts |= action == Action::Accept;
                inputs.extend(self.act(action));
            }
        }
        counts
    }

    /// Executes an action. Returns an input that follows from it.
    fn act(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Place(shard) => return self.place(shard),
            Action::Transfer(shard) => return self.transfer(shard),
            Action::Start(shard) => self.start(shard),
            Action::Admit(shard, role) => self.send(shard, &ToAgent::Admit { role }),
            Action::Test(shard) => self.send(shard, &ToAgent::Test),
            Action::Finish(shard) => {
                self.tell_stop(StopReason::Finished);
                self.send(shard, &ToAgent::Finish);
            }
            Action::Stop(shard, at_once) => {
                self.tell_stop(StopReason::Broken);
                self.send(shard, &ToAgent::Stop { at_once });
            }
            Action::Heartbeat(shard) => self.send(shard, &ToAgent::Heartbeat),
            Action::Accept | Action::Refuse => {}
            Action::Collect(shard) => return self.collect(shard),
            Action::Lost(shard, reason, roles) => self.lose(shard, &reason, &roles),
            Action::Release(shard) => {
                self.send(shard, &ToAgent::Bye);
                self.nodes[shard].outbox = None;
            }
            Action::Unplaced(shard, reason) => {
                let is_foreign = self.is_foreign;
                let unplaced = RemoteError::Unplaced {
                    shard,
                    driver: self.options.driver.name(),
                    reason,
                    is_foreign,
                };
                self.error.get_or_insert(unplaced.into());
            }
            Action::NotPlaced(shards) => {
                let said = shards.iter().map(|&shard| self.nodes[shard].said());
                let not_placed = RemoteError::NotPlaced {
                    said: said
                        .into_iter()
                        .find(|it| !it.is_empty())
                        .unwrap_or_default(),
                    shards,
                    limit: self.options.place_timeout,
                };
                self.error.get_or_insert(not_placed.into());
            }
        }
        None
    }

    fn send(&self, shard: usize, message: &ToAgent) {
        if let Some(outbox) = &self.nodes[shard].outbox {
            outbox.send(message);
        }
    }

    /// Emits the event that all roles are stopped, once.
    fn tell_stop(&mut self, why: StopReason) {
        if !self.has_stopped {
            self.has_stopped = true;
            self.events.emit(RunEvent::Stopping {
                roles: self.results.running(),
                why: self.stopping.unwrap_or(why),
            });
        }
    }

    /// Handles a message of an agent.
    pub(super) fn handle(&mut self, shard: usize, heard: StreamEvent) {
        let input = match heard {
            StreamEvent::Bytes => Some(Input::Heard(shard)),
            StreamEvent::Closed { reason, is_foreign } => {
                self.is_foreign = is_foreign;
                Some(Input::Closed(shard, reason))
            }
            StreamEvent::Frame(frame) => self.read(shard, *frame),
        };
        if let Some(input) = input {
            self.feed(input);
        }
    }

    /// Reads a frame of an agent, and returns the input that it is.
    fn read(&mut self, shard: usize, frame: Frame<FromAgent>) -> Option<Input> {
        Some(match frame.message {
            FromAgent::Joined { version, .. } if version != VERSION => {
                let reason = format!("its agent has version {version} of the protocol");
                Input::Closed(shard, reason)
            }
            FromAgent::Joined {
                host,
                address,
                home,
                clock: there,
                ..
            } => {
                self.events.emit(RunEvent::Placed {
                    shard: shard + 1,
                    node: host.clone(),
                });
                self.agents[shard] = Some(Agent {
                    host,
                    address,
                    home,
                    ahead: ahead(there),
                });
                Input::Joined(shard)
            }
            FromAgent::Want { hashes } => {
                self.send_files(shard, &hashes);
                return None;
            }
            FromAgent::Placed => Input::Placed(shard),
            FromAgent::Event(numbered) => {
                let is_own = numbered.run == self.run && numbered.shard == shard;
                let epoch = if is_own { numbered.epoch } else { 0 };
                let mut event = numbered.event;
                correct(&mut event, self.ahead(shard));
                self.sources.complete(&mut event);
                self.event(shard, (epoch, numbered.seq), event);
                return None;
            }
            FromAgent::Tested => Input::Tested(shard),
            FromAgent::Done => Input::Ended(shard),
            FromAgent::Log {
                role,
                file: Some(file),
            } => {
                let stored = self.logs.piece(shard, &role, &file, &frame.bytes);
                self.tell_unstored(stored);
                return None;
            }
            FromAgent::Log { role, file: None } => {
                let (is_last, stored) = self.logs.end(shard, &role);
                self.tell_unstored(stored);
                return is_last.then_some(Input::Collected(shard));
            }
            FromAgent::Results { role } => {
                self.logs.results(shard, &role, &frame.bytes);
                return None;
            }
            FromAgent::Heartbeat => Input::Heard(shard),
            FromAgent::Refused { reason } => Input::Closed(shard, reason),
        })
    }

    /// Returns the time by which the clock of a shard's node is ahead of the clock here.
    fn ahead(&self, shard: usize) -> SignedDuration {
        let agent = self.agents[shard].as_ref();
        agent.map_or(SignedDuration::ZERO, |agent| agent.ahead)
    }

    /// Reports that a log cannot be stored. The verdict does not depend on it.
    fn tell_unstored(&self, stored: Result<(), FilesError>) {
        if let Err(error) = stored {
            let why = crate::error::with_causes(&error);
            self.events.emit(RunEvent::Unkept { why });
        }
    }

    /// Handles an event of an agent.
    fn event(&mut self, shard: usize, (epoch, seq): (u64, u64), event: Event) {
        let (role, change) = change_of(&event);
        if let Kind::Run(RunEvent::Stopping { why, .. }) = event.kind {
            self.stopping = self.stopping.or(Some(why).filter(|_| change.is_some()));
        }
        let counts = self.feed(Input::Event {
            shard,
            epoch,
            seq,
            role,
            change,
        });
        // The shards stop one after the other, which is told once.
        if counts && !matches!(event.kind, Kind::Run(RunEvent::Stopping { .. })) {
            let told = self.results.record(shard, event);
            if let Some(event) = told {
                self.events.pass(event);
            }
        }
    }

    /// Starts the command that places the agent of a shard.
    fn place(&mut self, shard: usize) -> Option<Input> {
        let script = boot::script(self.program.hash, self.program.size);
        let name = self.name(shard);
        let words = self.options.driver.place(shard, &name, &script);
        let cancel = self.options.driver.cancel(&name);
        let node = &mut self.nodes[shard];
        match node.place(shard, &words, &self.program, self.heard.clone()) {
            Ok(task) => {
                self.tasks.spawn_local(task);
            }
            Err(reason) => {
                let driver = self.options.driver.name();
                let error = RemoteError::CannotPlace {
                    shard,
                    driver,
                    reason,
                };
                self.error.get_or_insert(error.into());
                return Some(Input::Closed(shard, String::new()));
            }
        }
        self.send(
            shard,
            &ToAgent::Join {
                version: VERSION,
                run: self.run.clone(),
                shard,
                of: self.shards.len(),
                epoch: self.scheduler.epoch(shard),
                lease: self.options.lease.as_secs_f64(),
                cancel,
                needs_address: !self.options.driver.is_local(),
            },
        );
        None
    }

    /// Returns the addresses of roles, as the roles of a shard see them. They are
    /// those of one machine if all agents are on it.
    fn hosts(&self, shard: usize) -> Hosts {
        let joined = || self.agents.iter().flatten();
        let places = joined().map(|agent| (&agent.host, agent.address));
        let is_one = places.collect::<BTreeSet<_>>().len() <= 1;
        if self.options.driver.is_local() || is_one {
            return Hosts::default();
        }
        let address = |shard: usize| self.agents[shard].as_ref().and_then(|it| it.address);
        let all = self.shards.iter().enumerate();
        let roles = all.flat_map(|(nth, shard)| {
            let address = address(nth);
            shard
                .roles()
                .filter_map(move |role| Some((role.clone(), address?)))
        });
        Hosts {
            bind: address(shard),
            roles: roles.collect(),
        }
    }

    /// Sends an agent the list of its files.
    fn transfer(&mut self, shard: usize) -> Option<Input> {
        let agent = self.agents[shard].as_ref()?;
        let at = self.runner.home.at(&agent.home);
        let ports = self.files.ports().clone().with_hosts(self.hosts(shard));
        let listed = self.files.manifest(shard, &self.shards[shard], &at, &ports);
        match listed {
            Ok((manifest, contents)) => {
                self.contents[shard] = contents;
                self.send(shard, &manifest);
                None
            }
            Err(error) => {
                self.error.get_or_insert(error);
                self.stopping = Some(StopReason::Broken);
                Some(Input::Stop(false))
            }
        }
    }

    /// Sends files in pieces, while messages go first.
    fn send_files(&mut self, shard: usize, hashes: &[Hash]) {
        let Some(outbox) = &self.nodes[shard].outbox else {
            return;
        };
        let pieces = outbox.pieces();
        let contents = &self.contents[shard];
        let wanted = hashes.iter();
        let wanted = wanted.filter_map(|hash| contents.get(&hash.to_string()).cloned());
        let wanted: Vec<_> = wanted.collect();
        let heard = self.heard.clone();
        self.tasks.spawn_local(async move {
            for (file, content) in wanted {
                let blob = ToAgent::Blob {
                    hash: file.hash,
                    size: file.size,
                };
                if let Err(error) = send_file(&pieces, &blob, &content).await {
                    let reason = crate::error::with_causes(&error);
                    let is_foreign = false;
                    let _ = heard.send((shard, StreamEvent::Closed { reason, is_foreign }));
                    return;
                }
            }
        });
    }

    /// Starts the operational roles of a shard.
    fn start(&mut self, shard: usize) {
        if !self.has_begun {
            self.has_begun = true;
            if let Some(begun) = self.runner.begun {
                self.events.emit(begun.clone());
            }
        }
        let roles = self.shards[shard].roles().map(|role| {
            let entry = self.entries[role].clone();
            let start = StartRole {
                is_test: self.roles.tests.contains(role),
                described: self.runner.described(role),
                is_held: self.shards[shard].awaits.contains_key(role),
                instance: entry.instance.clone(),
                entry,
            };
            (role.clone(), start)
        });
        let runner = self.runner;
        let first = runner.first.into_iter().flatten();
        let start = Start {
            roles: roles.collect(),
            hosts: self.hosts(shard),
            variables: variables(&runner.home.deploy_state().unwrap_or_default()),
            shown: Some(runner.shown.name().to_owned()),
            tests: self.tests(shard),
            settings: runner.settings.to_vec(),
            first: first.cloned().collect(),
        };
        self.send(shard, &ToAgent::Start(Box::new(start)));
    }

    /// Returns the options for the tests of a shard, which has a part of those of the
    /// divided roles.
    fn tests(&self, shard: usize) -> TestOptions {
        let mut tests = self.runner.tests.clone();
        let count = self.shards.len();
        for role in &self.roles.divided {
            let parts = tests.parts.entry(role.clone()).or_default();
            parts.push(Partition::nth(shard, count));
        }
        tests
    }

    fn lose(&mut self, shard: usize, reason: &str, roles: &[RoleName]) {
        let host = self.agents[shard].as_ref().map(|agent| agent.host.clone());
        if let Some(host) = &host {
            self.clean_up(shard, host);
        }
        let node = host.as_ref().map_or_else(
            || format!("shard {}", shard + 1),
            |host| format!("node {host}"),
        );
        self.events.emit(RunEvent::ShardLost {
            shard: shard + 1,
            node: host,
            why: reason.to_owned(),
            roles: roles.len(),
        });
        for role in roles {
            let now = clock::now();
            let told = self.results.lose(shard, role, (&node, reason), now);
            if let Some(event) = told {
                self.events.pass(event);
            }
        }
    }

    /// Cleans up on the node of a lost agent, once it is released.
    fn clean_up(&mut self, shard: usize, host: &str) {
        let script = boot::script(self.program.hash, self.program.size);
        let name = self.name(shard);
        let driver = &self.options.driver;
        if let Some(words) = driver.place_again(shard, &name, host, &script) {
            let cancel = driver.cancel(&name);
            let cleaning = self.nodes[shard].clean_up(cancel, words, &self.program);
            self.tasks.spawn_local(cleaning);
        }
    }

    /// Asks for the logs that explain failures.
    fn collect(&mut self, shard: usize) -> Option<Input> {
        let is_any = self.results.has_any_failure();
        let own = &self.shards[shard];
        let failed = own.roles().filter(|role| self.results.has_failed(role));
        let around = own.operational.iter().chain(&own.instances);
        let explaining = failed.chain(around.filter(|_| is_any));
        let explaining: BTreeSet<&RoleName> = explaining.collect();
        // The next run asks the results of all tests what has failed.
        let targets = own.tests.iter();
        let targets = targets.filter(|role| self.entries[*role].properties.test.is_some());
        let wanted: BTreeMap<RoleName, u64> = targets
            .chain(explaining.iter().copied())
            .map(|role| {
                let storage = self.entries[role].properties.storage;
                (role.clone(), storage.unwrap_or(STORAGE))
            })
            .collect();
        if wanted.is_empty() {
            return Some(Input::Collected(shard));
        }
        for role in wanted.keys() {
            let log = ToAgent::Log {
                role: role.clone(),
                has_lines: explaining.contains(role),
            };
            self.send(shard, &log);
        }
        let clock = Clock {
            ahead: self.ahead(shard),
            now: clock::now(),
        };
        let expected = self.logs.expect(self.runner.home, shard, wanted, clock);
        self.tell_unstored(expected);
        None
    }
}

/// Returns the variables that roles on other machines get from this one: those of
/// Rust, and `[env]` of Cargo's configuration.
fn variables(deploy_state: &DeployState) -> Vec<(String, String)> {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for (name, variable) in &deploy_state.env {
        variables.insert(name.clone(), variable.value.clone());
    }
    for (name, value) in environment::all() {
        if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
            if name.starts_with("RUST_") {
                variables.insert(name, value);
            }
        }
    }
    variables.into_iter().collect()
}

/// Returns the time by which a clock that shows `there` is ahead of the clock here.
fn ahead(there: Option<Timestamp>) -> SignedDuration {
    let ahead = there.map(|there| there.duration_since(clock::now()));
    let ahead = ahead.filter(|ahead| ahead.abs() > EQUAL);
    ahead.unwrap_or(SignedDuration::ZERO)
}

/// Corrects the times of an event by a clock that was ahead.
fn correct(event: &mut Event, ahead: SignedDuration) {
    event.at = event.at.saturating_sub(ahead).unwrap_or(event.at);
    if let Kind::Log(LogEvent::Line { text, .. }) = &mut event.kind {
        let line = skew::correct(text.as_bytes(), ahead);
        *text = String::from_utf8_lossy(&line).into_owned();
    }
}

/// Sends a file in pieces; at least one.
async fn send_file(pieces: &Pieces, blob: &ToAgent, content: &Content) -> Result<(), FilesError> {
    match content {
        Content::Bytes(bytes) => {
            let empty = bytes.is_empty().then_some(&[][..]);
            for piece in bytes.chunks(MOST_BYTES).chain(empty) {
                pieces.send(blob, piece).await;
            }
        }
        Content::Path(path) => {
            let file = open(path)?;
            let (mut offset, mut piece) = (0, vec![0; MOST_BYTES]);
            loop {
                let length = file.read_at(&mut piece, offset)?;
                let is_end = length == 0 && offset > 0;
                if is_end || !pieces.send(blob, &piece[..length]).await || length == 0 {
                    break;
                }
                offset += length as u64;
            }
        }
    }
    Ok(())
}
