//! Runs the roles of a test on several agents, instead of in this process.
//!
//! Executes the actions of [`remote::scheduler`](crate::remote::scheduler): places
//! agents ([`node`]), sends them files ([`files`]) and requests, and turns their
//! events into results ([`results`]).

mod files;
mod hashes;
mod launcher;
mod logs;
mod node;
mod parts;
mod release;
mod results;
mod settings;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, with_causes};
use crate::events::{Events, RunEvent};
use crate::home::read_json;
use crate::home::role::Entry;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::{clock, environment};
use crate::model::name::RoleName;
use crate::model::remote::{DriverName, RemoteError};
use crate::model::role_properties::NetworkKind;
use crate::remote::driver::Driver;
use crate::remote::plan::{Roles, Shard, plan};
use crate::supervisor::engine::RunResult;
use crate::supervisor::scheduler::RoleKind;
use crate::testing::parts::divided;
use crate::testing::runner::Runner;
use crate::testing::shards::files::Files;
use crate::testing::shards::hashes::Hashes;
use crate::testing::shards::launcher::Launcher;
use crate::testing::shards::node::AgentProgram;
use crate::testing::shards::release::Allocations;
use crate::testing::shards::settings::Settings;
use crate::workspace::roles::check_start_order;
use crate::workspace::{Workspace, description_of};

/// Number of shards by default.
const SHARDS: usize = 2;
/// Time without a message after which a shard is lost, by default.
const LEASE: Duration = Duration::from_secs(10);
/// Time until all agents must have joined, by default.
const PLACE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The options of the command line.
#[derive(Debug, Clone)]
pub struct DriverArgs {
    /// The driver.
    pub driver: DriverName,
    /// Number of shards, overriding the manifest.
    pub shards: Option<usize>,
    /// Options for the command of the driver.
    pub args: Vec<String>,
}

/// Options of a run on agents.
#[derive(Debug, Clone)]
pub struct Options {
    /// The driver that places the agents.
    pub driver: Driver,
    /// Number of shards.
    pub shards: usize,
    /// Time without a message after which a shard is lost.
    pub lease: Duration,
    /// Time until all agents must have joined.
    pub place_timeout: Duration,
}

impl Options {
    /// Returns the options of the command line, or else those of the manifest.
    pub fn new(on: &DriverArgs, workspace: Option<&Workspace>) -> Result<Self, RemoteError> {
        let described = description_of(workspace);
        let described = described.and_then(|description| description.on.get(&on.driver));
        let mut described = described.cloned().unwrap_or_default();
        described.more_args.clone_from(&on.args);
        if let (Some(workspace), Some(file)) = (workspace, &described.pod) {
            described.pod_template = Some(read_pod(&workspace.root, file)?);
        }
        Ok(Self {
            shards: on.shards.or(described.shards).unwrap_or(SHARDS),
            lease: described.lease.unwrap_or(LEASE),
            place_timeout: described.place_timeout.unwrap_or(PLACE_TIMEOUT),
            driver: Driver::new(on.driver, described)?,
        })
    }
}

/// Reads the file that describes a pod.
fn read_pod(root: &Path, file: &str) -> Result<Value, RemoteError> {
    let invalid = |reason: String| RemoteError::Pod {
        file: file.to_owned(),
        reason,
    };
    let pod = read_json(&root.join(file)).map_err(|error| invalid(with_causes(&error)))?;
    pod.ok_or_else(|| invalid("no such file".to_owned()))
}

/// Runs roles on agents, until all have ended.
///
/// # Errors
///
/// Places nothing and returns an error if a role cannot run elsewhere. Returns an
/// error if not all agents could be placed.
pub async fn perform(
    runner: &Runner<'_>,
    entries: &BTreeMap<RoleName, Entry>,
    kind_of: impl Fn(&RoleName) -> RoleKind,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<RunResult, Error> {
    // Each agent knows only the order of its own roles.
    check_start_order(entries)?;
    let roles = roles(entries, options.shards, &kind_of);
    let shards = plan(&roles, options.shards);
    let settings = Settings::read(runner.home, runner.workspace, entries, events)?;
    check_places(entries, &roles, &shards)?;
    check(runner, entries, &shards, options, &settings)?;
    let mut hashes = Hashes::read(runner.home);
    let files = Files::new(runner.home, entries, settings, &shards, &mut hashes)?;
    let program = own_program(&mut hashes)?;
    // Without them, the next run reads the files again.
    let _ = hashes.keep();
    let placed = shards.iter().filter(|shard| !shard.is_empty());
    events.emit(RunEvent::Placing {
        on: options.driver.name().to_string(),
        shards: placed.count(),
    });
    for left in Allocations::left(runner.home) {
        left.release().await;
    }
    let (mut launcher, mut heard) = Launcher::new(
        runner, entries, &roles, shards, options, files, program, events,
    );
    let (mut interrupted, mut at_once) = (None, false);
    let taken = launcher.note_places()?;
    launcher.begin();
    while !launcher.is_done() {
        let wake = launcher.wake_at();
        let tick = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            interrupt = interrupts.next() => {
                at_once = interrupted.is_some() || interrupt == Interrupt::Orphaned;
                interrupted = interrupted.or(Some(interrupt));
                launcher.interrupt(at_once);
            }
            Some((shard, heard)) = heard.recv() => launcher.handle(shard, heard),
            () = tick => launcher.tick(),
        }
    }
    launcher.release().await;
    if let Some(taken) = taken {
        taken.release().await;
    }
    if let (Some(error), None) = (launcher.take_error(), interrupted) {
        return Err(error);
    }
    Ok(RunResult {
        ended: launcher.into_results().ended(&kind_of, clock::now()),
        interrupted,
        at_once,
        refused: None,
    })
}

/// Returns the program of the agents, which is this one.
fn own_program(hashes: &mut Hashes) -> Result<AgentProgram, Error> {
    let path = environment::own_executable().map_err(|source| Error::System {
        what: "find this program",
        source,
    })?;
    let (hash, size, _) = hashes.of(&path)?;
    Ok(AgentProgram { path, hash, size })
}

/// Returns the roles of a run by kind.
fn roles(
    entries: &BTreeMap<RoleName, Entry>,
    count: usize,
    kind_of: impl Fn(&RoleName) -> RoleKind,
) -> Roles {
    let mut roles = Roles::default();
    for (role, entry) in entries {
        if let Some(instance) = &entry.instance {
            let test = instance.test.clone();
            roles.instances.insert(role.clone(), test);
        } else if kind_of(role) == RoleKind::Test {
            roles.tests.insert(role.clone());
        } else {
            roles.operational.insert(role.clone());
        }
        if let (None, Some(shard)) = (&entry.instance, entry.properties.shard) {
            roles.pinned.insert(role.clone(), shard - 1);
        }
    }
    for role in &roles.operational {
        let after = entries[role].properties.after.iter();
        let after = after.filter(|needed| roles.operational.contains(*needed));
        let after: BTreeSet<RoleName> = after.cloned().collect();
        if !after.is_empty() {
            roles.after.insert(role.clone(), after);
        }
    }
    if count > 1 {
        let tests = entries
            .iter()
            .filter(|(role, _)| roles.tests.contains(*role));
        roles.divided = divided(tests.map(|(role, entry)| (role, &*entry.properties)));
    }
    let mut sharing: BTreeMap<&str, BTreeSet<RoleName>> = BTreeMap::new();
    for role in &roles.tests {
        let properties = &entries[role].properties;
        for word in &properties.exclusive {
            sharing.entry(word).or_default().insert(role.clone());
        }
        let after = properties.after.iter();
        let mut group: BTreeSet<RoleName> = after
            .filter(|needed| roles.tests.contains(*needed))
            .cloned()
            .collect();
        if !group.is_empty() {
            group.insert(role.clone());
            roles.together.push(group);
        }
    }
    roles.together.extend(sharing.into_values());
    roles
}

/// Returns an error for a role that needs something of one machine.
fn check(
    runner: &Runner<'_>,
    entries: &BTreeMap<RoleName, Entry>,
    shards: &[Shard],
    options: &Options,
    settings: &Settings,
) -> Result<(), Error> {
    let is_divided = shards.iter().filter(|shard| !shard.is_empty()).count() > 1;
    for (role, entry) in entries.iter().filter(|_| is_divided) {
        if entry.properties.network == Some(NetworkKind::Own) {
            let reason = "`network = \"own\"` is a network of one machine".to_owned();
            let role = role.clone();
            return Err(RemoteError::Role { role, reason }.into());
        }
    }
    if options.driver.is_local() {
        return Ok(());
    }
    for (nth, shard) in shards.iter().enumerate() {
        let mut others = shards.iter().enumerate().filter(|(other, _)| *other != nth);
        let is_needy = others.any(|(_, other)| !other.operational.is_empty());
        let tests = shard.tests.iter().filter(|_| is_needy);
        for role in tests.chain(shard.awaits.keys()) {
            let found = settings.loopback(runner.home, role, &entries[role])?;
            if let Some(text) = found {
                let role = role.clone();
                return Err(RemoteError::Loopback { role, text }.into());
            }
        }
    }
    Ok(())
}

/// Returns an error for a role that names a shard in which it cannot be.
fn check_places(
    entries: &BTreeMap<RoleName, Entry>,
    roles: &Roles,
    shards: &[Shard],
) -> Result<(), RemoteError> {
    let place = |role: &RoleName| shards.iter().position(|shard| shard.has(role));
    let last = roles.pinned.iter().max_by_key(|(_, shard)| **shard);
    if let Some((role, shard)) = last.filter(|(_, shard)| **shard >= shards.len()) {
        return Err(RemoteError::NoShard {
            role: role.clone(),
            shard: shard + 1,
            count: shards.len(),
        });
    }
    let mut sharing: BTreeMap<&str, BTreeSet<RoleName>> = BTreeMap::new();
    for role in &roles.operational {
        let properties = &entries[role].properties;
        let words = properties.exclusive.iter();
        for word in words.filter(|_| properties.ready.is_done()) {
            sharing.entry(word).or_default().insert(role.clone());
        }
    }
    for group in roles.together.iter().chain(sharing.values()) {
        let mut others = group.iter().map(|role| (role, place(role)));
        let Some((first, shard)) = others.next() else {
            continue;
        };
        if let Some((role, _)) = others.find(|(_, other)| *other != shard) {
            let reason = format!("`{first}` must be in the same shard: they run after each other");
            let role = role.clone();
            return Err(RemoteError::Role { role, reason });
        }
    }
    Ok(())
}
