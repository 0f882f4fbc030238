//! Doing what was planned: stop, transfer, restore.

use std::collections::BTreeSet;

use super::super::Error;
use super::super::background::bring_up;
use super::super::engines::{self, Engines, Next, Told};
use super::super::settle;
use super::describe::RoleStep;
use super::failed;
use super::folder::{FolderStep, Owner};
use super::plan::{ExecutableStep, Plan};
use crate::delta::apply::{Error as ApplyError, Staging};
use crate::delta::executable::{self, Deployed, Ready};
use crate::delta::plan::Take;
use crate::event::{Events, Kind};
use crate::home::change::Change;
use crate::home::ledger::Ledger;
use crate::home::{Home, HomeError};
use crate::host::clock;
use crate::host::files::{self, Error as FilesError, How};
use crate::host::interrupts::{Interrupt, Interrupts};
use crate::model::ending::Success;
use crate::model::name::{ExecutableName, RoleName};
use crate::protocol::Host;
use crate::supervise::group::READY_LIMIT;

use ansar_runtime::contract::layout::Area;

/// What becomes of running roles that a deploy affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// They are named, and nothing is done.
    Refuse,
    /// Those in the background are stopped and started again; where one runs
    /// in a command in the foreground, it is named, and nothing is done.
    Restore,
    /// Those in the background are stopped and started again, and those in a
    /// command in the foreground are stopped.
    Stop,
}

impl Running {
    /// For commands that are about to run what they affect.
    pub fn implied(force: bool) -> Self {
        if force { Self::Stop } else { Self::Restore }
    }

    /// For commands that are about the home alone.
    pub fn asked(force: bool) -> Self {
        if force { Self::Stop } else { Self::Refuse }
    }
}

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// Whether anything changed.
    pub changed: bool,
    /// The roles that were started again and are ready, or have done what they
    /// are for.
    pub restored: Vec<RoleName>,
    /// Those that were started again and did not become ready.
    pub broken: Vec<RoleName>,
}

/// How often to begin anew where somebody writes meanwhile.
const ATTEMPTS: usize = 3;

/// Performs `plan`. What was stopped is started again whatever happens in
/// between, also where this command is told to end; what a killed deploy left
/// stopped is started again, too.
pub async fn act(
    home: &Home,
    plan: &Plan,
    ledger: &mut Ledger,
    how: How,
    running: Running,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Done, Error> {
    let mut down = home.stopped()?;
    let engines = if plan.affected.is_empty() && down.is_empty() {
        Engines::default()
    } else {
        engines::look(home, events).await?
    };
    let affected = Affected::of(home, plan, &engines)?;
    affected.check(running)?;
    tell(plan, ledger, events);

    let known = down.len();
    down.extend(affected.background.iter().cloned());
    if down.len() > known {
        // Whoever comes after this command was killed starts them again.
        home.set_stopped(&down)?;
    }
    let mut patience = Patience::new(interrupts);
    let stopped = patience
        .wait(affected.stop(home, &engines, events))
        .await?
        .and_then(|()| match patience.interrupted {
            None => transfer(home, plan, ledger, how, &affected, down.is_empty()),
            Some(interrupt) => Err(Error::Interrupted(interrupt)),
        });
    let mut done = Done {
        changed: !plan.is_empty(),
        ..Done::default()
    };
    if !down.is_empty() {
        let restored = patience.wait(restore(home, &down, &mut done, events)).await;
        // Why it was not done says more than what became of the roles.
        if stopped.is_ok() {
            restored??;
        }
    }
    stopped?;
    if let Some(interrupt) = patience.interrupted {
        return Err(Error::Interrupted(interrupt));
    }
    if !down.is_empty() && complete(plan, ledger)? {
        home.set_ledger(ledger)?;
    }
    Ok(done)
}

/// Says what is about to be done.
fn tell(plan: &Plan, ledger: &Ledger, events: &Events) {
    for step in &plan.folders {
        for conflict in &step.plan.conflicts {
            events.emit(Kind::Conflict {
                path: conflict.path.under(&step.folder.target),
                why: conflict.why.to_string(),
            });
        }
    }
    for step in &plan.roles {
        if let RoleStep::Retire(role) = step {
            events.emit(Kind::Retired { role: role.clone() });
        }
    }
    let changed = plan.changed();
    if changed.is_empty() {
        return;
    }
    let mut executables: BTreeSet<&ExecutableName> = ledger.executables.keys().collect();
    executables.extend(plan.executables.iter().map(|step| &step.name));
    events.emit(Kind::Deployed {
        changed,
        executables: executables.len(),
        relinked: plan.executables.len(),
        affected: plan.affected.len(),
    });
}

/// The affected roles that run.
struct Affected {
    /// All of them, with their processes.
    all: Vec<(RoleName, String)>,
    /// Those in the background.
    background: BTreeSet<RoleName>,
}

impl Affected {
    fn of(home: &Home, plan: &Plan, engines: &Engines) -> Result<Self, Error> {
        let all = engines::running(home, engines, plan.affected.keys())?;
        let known = engines.answering.iter();
        let known = known.filter(|running| running.engine.host == Host::Background);
        let known: BTreeSet<&RoleName> = known
            .flat_map(|running| running.roles.iter().map(|status| &status.role))
            .collect();
        let names = all.iter().map(|(role, _)| role);
        let background = names.filter(|role| known.contains(role)).cloned().collect();
        Ok(Self { all, background })
    }

    fn check(&self, running: Running) -> Result<(), Error> {
        let mut in_the_way = self.all.clone();
        match running {
            Running::Refuse => {}
            Running::Restore => in_the_way.retain(|(role, _)| !self.background.contains(role)),
            Running::Stop => in_the_way.clear(),
        }
        if in_the_way.is_empty() {
            Ok(())
        } else {
            Err(HomeError::Running(in_the_way).into())
        }
    }

    async fn stop(&self, home: &Home, engines: &Engines, events: &Events) -> Result<(), Error> {
        if self.all.is_empty() {
            return Ok(());
        }
        let roles: Vec<RoleName> = self.all.iter().map(|(role, _)| role.clone()).collect();
        events.emit(Kind::Suspending {
            roles: roles.clone(),
        });
        engines::stop(home, engines, &roles, events).await?;
        Ok(())
    }
}

/// Waits for what must be waited for, though this command is told to end; told
/// twice, it does.
struct Patience<'i> {
    interrupts: &'i mut Interrupts,
    interrupted: Option<Interrupt>,
}

impl<'i> Patience<'i> {
    fn new(interrupts: &'i mut Interrupts) -> Self {
        Self {
            interrupts,
            interrupted: None,
        }
    }

    async fn wait<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Error> {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                what = &mut what => return Ok(what),
                interrupt = self.interrupts.next() => {
                    if self.interrupted.is_some() || interrupt == Interrupt::Orphaned {
                        return Err(Error::Interrupted(interrupt));
                    }
                    self.interrupted = Some(interrupt);
                }
            }
        }
    }
}

/// Brings everything into the home, and remembers it.
fn transfer(
    home: &Home,
    plan: &Plan,
    ledger: &mut Ledger,
    how: How,
    affected: &Affected,
    nobody_waits: bool,
) -> Result<(), Error> {
    let before = ledger.clone();
    let mut after = plan.ledger.clone();
    // What a killed deploy left is cleared by whoever deploys next.
    files::clear_leftovers(&home.area(Area::Bin))?;
    let mut staged = Vec::new();
    for step in &plan.executables {
        staged.push((step, Staged::of(step, how)?));
    }
    let mut folders = Folders::of(plan, affected, &before)?;
    folders.transfer(|| {
        for step in &plan.roles {
            let role = step.role();
            if let Some(entry) = plan.entries.get(role) {
                home.set_entry(role, entry)?;
            }
        }
        for (step, staged) in staged {
            let record = staged
                .commit(step)
                .map_err(|error| failed(step.name.as_str(), error))?;
            after.executables.insert(step.name.clone(), record);
        }
        Ok(())
    })?;
    for step in folders.steps() {
        if let Some(material) = &step.record {
            let name = step.folder.name.clone();
            after.materials.insert(name, material.clone());
        }
    }
    for settled in &plan.told {
        settle::store(home, &settled.role, &settled.accepted)?;
    }
    if !plan.affected.is_empty() {
        let mut changes = home.changes().unwrap_or_default();
        let at = clock::now();
        for (role, causes) in &plan.affected {
            let change = Change {
                at,
                restarted: affected.background.contains(role),
                causes: causes.clone(),
            };
            changes.insert(role.clone(), change);
        }
        home.set_changes(&changes)?;
    }
    if nobody_waits {
        complete(plan, &mut after)?;
    }
    if after != before {
        home.set_ledger(&after)?;
        *ledger = after;
    }
    Ok(())
}

/// An executable that is ready to be put in place.
enum Staged {
    Beside(Ready),
    There,
}

impl Staged {
    fn of(step: &ExecutableStep, how: How) -> Result<Self, Error> {
        if step.is_in_place {
            return Ok(Self::There);
        }
        let ready = Ready::stage(&step.artefact, &step.target, how);
        let ready = ready.map_err(|error| failed(step.name.as_str(), error))?;
        // What the component was asked is what is put in place.
        if ready.identity() != step.identity {
            let path = step.artefact.clone();
            return Err(failed(step.name.as_str(), FilesError::Changed { path }));
        }
        Ok(Self::Beside(ready))
    }

    fn commit(self, step: &ExecutableStep) -> Result<Deployed, executable::Error> {
        match self {
            Self::Beside(ready) => ready.commit(&step.target),
            Self::There => executable::in_place(&step.target),
        }
    }
}

/// The folders of a plan; those of roles that were stopped are looked at again,
/// for these may have written until they were gone.
struct Folders<'p> {
    planned: Vec<&'p FolderStep>,
    anew: Vec<FolderStep>,
    before: &'p Ledger,
    take: Option<Take>,
}

impl<'p> Folders<'p> {
    fn of(plan: &'p Plan, affected: &Affected, before: &'p Ledger) -> Result<Self, Error> {
        let mut folders = Self {
            planned: Vec::new(),
            anew: Vec::new(),
            before,
            take: plan.take,
        };
        for step in &plan.folders {
            let stopped = match &step.folder.owner {
                Owner::Role(role) => affected.all.iter().any(|(other, _)| other == role),
                Owner::Executable(_) => false,
            };
            if stopped {
                folders.anew.extend(step.folder.plan(before, plan.take)?);
            } else {
                folders.planned.push(step);
            }
        }
        Ok(folders)
    }

    fn steps(&self) -> impl Iterator<Item = &FolderStep> {
        self.planned.iter().copied().chain(&self.anew)
    }

    /// Gets everything ready that can fail, then does `first`, then the rest.
    fn transfer(&mut self, first: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let mut first = Some(first);
        for attempt in 1.. {
            let mut staging = Vec::new();
            let mut moved = None;
            for step in self.steps() {
                match Staging::begin(&step.plan, step.folder.roots()) {
                    Ok(ready) => staging.push((step.folder.name.clone(), ready)),
                    Err(error) if error.is_change() && attempt < ATTEMPTS => {
                        moved = Some(step.folder.name.clone());
                        break;
                    }
                    Err(error) => return Err(failed(&step.folder.name, error)),
                }
            }
            if let Some(name) = moved {
                drop(staging);
                self.look_again(&name)?;
                continue;
            }
            if let Some(first) = first.take() {
                first()?;
            }
            for (name, ready) in staging {
                ready
                    .finish()
                    .map_err(|error: ApplyError| failed(&name, error))?;
            }
            break;
        }
        Ok(())
    }

    fn look_again(&mut self, name: &str) -> Result<(), Error> {
        let is_it = |step: &FolderStep| step.folder.name == name;
        let folder = self.steps().find(|step| is_it(step));
        let folder = folder.map(|step| step.folder.clone());
        self.planned.retain(|step| !is_it(step));
        self.anew.retain(|step| !is_it(step));
        if let Some(folder) = folder {
            self.anew.extend(folder.plan(self.before, self.take)?);
        }
        Ok(())
    }
}

/// Starts again what was stopped, as far as it is there and does not run.
async fn restore(
    home: &Home,
    down: &BTreeSet<RoleName>,
    done: &mut Done,
    events: &Events,
) -> Result<(), Error> {
    let engines = engines::look(home, events).await?;
    let running = engines::running(home, &engines, down)?;
    let mut roles = Vec::new();
    for role in down {
        let runs = running.iter().any(|(other, _)| other == role);
        if !runs && home.entry(role)?.is_some() {
            roles.push(role.clone());
        }
    }
    let mut broken = BTreeSet::new();
    bring_up(home, &roles, READY_LIMIT, events, |told| {
        if let Told::Happened(kind) = told {
            match &kind {
                Kind::Ready { role } => {
                    broken.remove(role);
                }
                Kind::Ended { role, ending } if ending.success() == Success::No => {
                    broken.insert(role.clone());
                }
                _ => {}
            }
            events.emit(kind);
        }
        Next::Listen
    })
    .await?;
    home.set_stopped(&BTreeSet::new())?;
    roles.retain(|role| !broken.contains(role));
    done.restored = roles;
    done.broken = broken.into_iter().collect();
    if !done.restored.is_empty() {
        events.emit(Kind::Restored {
            roles: done.restored.clone(),
        });
    }
    if !done.broken.is_empty() {
        events.emit(Kind::Unrestored {
            roles: done.broken.clone(),
        });
    }
    Ok(())
}

/// Adds the hashes of what was linked, which the next deploy needs; whether
/// there were any.
fn complete(plan: &Plan, ledger: &mut Ledger) -> Result<bool, Error> {
    for step in &plan.executables {
        if let Some(record) = ledger.executables.get_mut(&step.name) {
            let complete = record.clone().complete(&step.target);
            *record = complete.map_err(|error| failed(step.name.as_str(), error))?;
        }
    }
    Ok(!plan.executables.is_empty())
}
