//! Applying a plan while the roles that it affects are stopped.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::deploy::failed;
use crate::deploy::plan::{ExecutableStep, Plan};
use crate::deploy::ports;
use crate::deploy::resolve_settings;
use crate::deploy::restart_affected::{Restored, Running, RunningRoles, restart_affected};
use crate::deploy::roles::RoleStep;
use crate::deploy::source::{Folder, FolderStep, Owner};
use crate::error::Error;
use crate::events::{DeployEvent, Events, Phase};
use crate::home::Home;
use crate::home::deploy_state::DeployState;
use crate::home::pending::Transaction;
use crate::home::restart_reason::Change;
use crate::host::clock;
use crate::host::fs;
use crate::host::fs::{Error as FilesError, TransferMethod};
use crate::host::process::interrupts::Interrupts;
use crate::model::name::{ExecutableName, RoleName};
use crate::sync::apply::{Error as ApplyError, Placed, Staging};
use crate::sync::executable;
use crate::sync::executable::{Deployed, Ready};
use crate::sync::plan::{Conflict, Take};

use ansar_contract::layout::Area;

/// Outcome of a deploy.
#[derive(Debug, Default)]
pub struct DeployOutcome {
    /// True if anything changed.
    pub changed: bool,
    /// Affected roles, if nothing but what they run has changed.
    pub only: Option<BTreeSet<RoleName>>,
    /// Affected roles that ran and were restarted.
    pub restored: Restored,
}

/// Attempts to transfer a folder that another program writes to.
const ATTEMPTS: usize = 3;

/// Applies `plan` while the roles that it affects are stopped.
pub async fn apply_plan(
    home: &Home,
    plan: &Plan,
    deploy_state: &mut DeployState,
    how: TransferMethod,
    running: Running,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<DeployOutcome, Error> {
    events.phase(Phase::Apply);
    let affected = plan.affected.keys();
    let executables: BTreeSet<ExecutableName> = deploy_state.executables.keys().cloned().collect();
    let announce = || announce_plan(plan, executables, events);
    let work = |stopped: &RunningRoles| transfer(home, plan, deploy_state, how, stopped, events);
    let ((), restored) =
        restart_affected(home, affected, running, interrupts, events, announce, work).await?;
    Ok(DeployOutcome {
        changed: !plan.is_empty(),
        only: plan
            .roles
            .is_empty()
            .then(|| plan.affected.keys().cloned().collect()),
        restored,
    })
}

/// Emits events for everything that is about to change.
fn announce_plan(plan: &Plan, mut executables: BTreeSet<ExecutableName>, events: &Events) {
    ports::report(&plan.moved, events);
    for step in &plan.folders {
        report_conflicts(step, &[], events);
    }
    for step in &plan.roles {
        if let RoleStep::Retire(role) = step {
            events.emit(DeployEvent::Retired { role: role.clone() });
        }
    }
    let changed = plan.changed();
    if changed.is_empty() {
        return;
    }
    executables.extend(plan.executables.iter().map(|step| step.name.clone()));
    events.emit(DeployEvent::Deployed {
        changed,
        executables: executables.len(),
        relinked: plan.executables.len(),
        affected: plan.affected.len(),
    });
}

/// Emits an event for each conflict in a folder that `told` does not contain.
fn report_conflicts(step: &FolderStep, told: &[Conflict], events: &Events) {
    let conflicts = step.plan.conflicts.iter();
    for conflict in conflicts.filter(|conflict| !told.contains(conflict)) {
        events.emit(DeployEvent::Conflict {
            path: conflict.path.under(&step.folder.target),
            why: conflict.why.to_string(),
        });
    }
}

/// Writes the ports, the roles and their settings to the home. Returns the keys
/// of the settings that were written.
fn store_roles(
    home: &Home,
    plan: &Plan,
    events: &Events,
) -> Result<Vec<(RoleName, String)>, Error> {
    if plan.ports != home.ports()? {
        home.set_ports(&plan.ports)?;
    }
    let mut transaction = Transaction::default();
    for role in plan.roles.iter().map(RoleStep::role) {
        if let Some(entry) = plan.entries.get(role) {
            transaction.set_entry(role, entry)?;
        }
    }
    let mut settled = Vec::new();
    for one in &plan.settings {
        match resolve_settings::store_if_unchanged(home, one, &mut transaction)? {
            None => settled.push((one.role.clone(), one.key.clone())),
            Some(path) => events.emit(DeployEvent::Conflict {
                path,
                why: "changed in the home while the deploy was under way".to_owned(),
            }),
        }
    }
    home.commit(transaction)?;
    Ok(settled)
}

/// Transfers everything into the home and writes the deploy state. A file that
/// changed in the home after planning is left alone and reported.
fn transfer(
    home: &Home,
    plan: &Plan,
    deploy_state: &mut DeployState,
    how: TransferMethod,
    stopped: &RunningRoles,
    events: &Events,
) -> Result<(), Error> {
    // Files that an earlier version left here when it was killed.
    let areas = [Area::Bin, Area::Entry, Area::Settings, Area::Input];
    for folder in areas.map(|area| home.area(area)) {
        fs::clear_leftovers(&folder)?;
    }
    let _staging = home.stage_in(staging(plan))?;
    let mut staged = Vec::new();
    for step in &plan.executables {
        staged.push((step, Staged::of(step, how)?));
    }
    let mut records = Vec::new();
    let mut folders = Folders::of(plan, stopped, deploy_state)?;
    let mut placed = folders.transfer(plan, events, || {
        for (step, staged) in staged {
            let record = staged
                .commit(step)
                .map_err(|error| failed(step.name.as_str(), error))?;
            records.push((step.name.clone(), record));
        }
        Ok(())
    })?;
    let mut agreed = Vec::new();
    let mut materials = Vec::new();
    for step in folders.steps() {
        let Folder { snapshot, name, .. } = &step.folder;
        let taken = deploy_state.taken.get(snapshot);
        if taken.is_some_and(|taken| taken.materials.contains_key(name)) {
            agreed.push((snapshot.clone(), name.clone()));
        }
        if let Some(mut material) = step.record.clone() {
            // The next deploy need not read files that were just placed.
            let placed = placed.remove(name).unwrap_or_default();
            material.deployed.learn(&placed);
            material.home.extend(placed);
            materials.push((name.clone(), material));
        }
    }
    let settled = store_roles(home, plan, events)?;
    let has_moved = !(records.is_empty() && materials.is_empty() && agreed.is_empty());
    if !has_moved && !is_news(plan, deploy_state) {
        return Ok(());
    }
    let same = plan.same.iter().cloned();
    deploy_state.executables.extend(same.chain(records));
    deploy_state.materials.extend(materials);
    // From now on the deployed files record the state both sides agree on.
    for (snapshot, name) in agreed {
        if let Some(taken) = deploy_state.taken.get_mut(&snapshot) {
            taken.materials.remove(&name);
        }
    }
    deploy_state.settings_keys.extend(settled);
    record(plan, stopped, deploy_state);
    Ok(home.set_deploy_state(deploy_state)?)
}

/// Returns true if a plan changes the deploy state, besides files that it moves.
fn is_news(plan: &Plan, deploy_state: &DeployState) -> bool {
    let mut artifacts = plan.artifacts.iter();
    plan.snapshot != deploy_state.snapshot
        || artifacts.any(|(name, artifact)| deploy_state.artifacts.get(name) != Some(artifact))
        || plan.env != deploy_state.env
        || plan.launches != deploy_state.launches
        || !plan.affected.is_empty()
        || !(plan.same.is_empty() && plan.settings.is_empty())
}

/// Records a plan in the deploy state.
fn record(plan: &Plan, stopped: &RunningRoles, deploy_state: &mut DeployState) {
    deploy_state.artifacts.extend(plan.artifacts.clone());
    deploy_state.snapshot.clone_from(&plan.snapshot);
    deploy_state.env.clone_from(&plan.env);
    deploy_state.launches.clone_from(&plan.launches);
    let at = clock::now();
    for (role, causes) in &plan.affected {
        let change = Change {
            at,
            restarted: stopped.will_restart(role),
            causes: causes.clone(),
        };
        deploy_state.changes.insert(role.clone(), change);
    }
}

/// Returns the folders in which files are staged, by their path in the home.
fn staging(plan: &Plan) -> impl Iterator<Item = PathBuf> {
    let bin = (!plan.executables.is_empty()).then(|| PathBuf::from(Area::Bin.name()));
    let folders = plan.folders.iter().map(|step| &step.folder.name);
    let folders = folders.flat_map(|name| [PathBuf::from(name), Path::new("kept").join(name)]);
    bin.into_iter().chain(folders)
}

/// An executable that is ready to be put in place.
enum Staged {
    Beside(Ready),
    There,
}

impl Staged {
    fn of(step: &ExecutableStep, how: TransferMethod) -> Result<Self, Error> {
        if step.is_in_place {
            return Ok(Self::There);
        }
        let ready = Ready::stage(&step.artifact, &step.target, how);
        let ready = ready.map_err(|error| failed(step.name.as_str(), error))?;
        // The component that validated its settings is the one put in place.
        if ready.fingerprint() != step.fingerprint {
            let path = step.artifact.clone();
            return Err(failed(step.name.as_str(), FilesError::Changed { path }));
        }
        Ok(Self::Beside(ready))
    }

    fn commit(self, step: &ExecutableStep) -> Result<Deployed, executable::Error> {
        match self {
            Self::Beside(ready) => ready.commit(&step.target),
            Self::There => executable::in_place(&step.target)?.complete(&step.target),
        }
    }
}

/// Number of bytes from which on the progress of copying is reported.
const LARGE: u64 = 16 << 20;
/// Number of reports about copying.
const REPORTS: u64 = 100;

/// Reports the progress of copying files.
struct Copying<'e> {
    done: Cell<u64>,
    /// Number of copied bytes in the last report.
    reported: Cell<u64>,
    total: u64,
    events: &'e Events,
}

impl<'e> Copying<'e> {
    fn of(total: u64, events: &'e Events) -> Self {
        let copying = Self {
            done: Cell::default(),
            reported: Cell::default(),
            total,
            events,
        };
        copying.report();
        copying
    }

    fn add(&self, size: u64) {
        self.done.set(self.done.get() + size);
        if (self.done.get() - self.reported.get()) * REPORTS >= self.total {
            self.report();
        }
    }

    fn report(&self) {
        if self.total >= LARGE {
            self.reported.set(self.done.get());
            self.events.emit(DeployEvent::Transferring {
                done: self.done.get(),
                total: self.total,
            });
        }
    }
}

/// Folders of a plan. A folder of a role that was stopped is planned again,
/// because the role may have written to it until its exit.
struct Folders<'p> {
    planned: Vec<&'p FolderStep>,
    replanned: Vec<FolderStep>,
    before: &'p DeployState,
    take: Option<Take>,
}

impl<'p> Folders<'p> {
    fn of(plan: &'p Plan, stopped: &RunningRoles, before: &'p DeployState) -> Result<Self, Error> {
        let mut folders = Self {
            planned: Vec::new(),
            replanned: Vec::new(),
            before,
            take: plan.take,
        };
        for step in &plan.folders {
            let wrote_until_now = match &step.folder.owner {
                Owner::Role(role) => stopped.contains(role),
                Owner::Executable(_) => false,
            };
            if wrote_until_now {
                folders
                    .replanned
                    .extend(step.folder.plan(before, plan.take)?);
            } else {
                folders.planned.push(step);
            }
        }
        Ok(folders)
    }

    fn steps(&self) -> impl Iterator<Item = &FolderStep> {
        self.planned.iter().copied().chain(&self.replanned)
    }

    /// Prepares everything that can fail, then calls `first`, then finishes.
    /// Returns the files that were placed, by folder.
    fn transfer(
        &mut self,
        plan: &Plan,
        events: &Events,
        first: impl FnOnce() -> Result<(), Error>,
    ) -> Result<BTreeMap<String, Placed>, Error> {
        let mut first = Some(first);
        let mut all = BTreeMap::new();
        for attempt in 1.. {
            let copying = Copying::of(self.steps().map(|step| step.plan.size()).sum(), events);
            let mut staging = Vec::new();
            let mut moved = None;
            for step in self.steps() {
                match Staging::begin(&step.plan, step.folder.roots(), &|size| copying.add(size)) {
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
                self.replan(&name)?;
                continue;
            }
            for step in &self.replanned {
                let mut planned = plan.folders.iter();
                let planned = planned.find(|planned| planned.folder.name == step.folder.name);
                let told = planned.map(|planned| &*planned.plan.conflicts);
                report_conflicts(step, told.unwrap_or_default(), events);
            }
            if let Some(first) = first.take() {
                first()?;
            }
            for (name, ready) in staging {
                let placed = ready.finish();
                let placed = placed.map_err(|error: ApplyError| failed(&name, error))?;
                all.insert(name, placed);
            }
            break;
        }
        Ok(all)
    }

    fn replan(&mut self, name: &str) -> Result<(), Error> {
        let is_it = |step: &FolderStep| step.folder.name == name;
        let folder = self.steps().find(|step| is_it(step));
        let folder = folder.map(|step| step.folder.clone());
        self.planned.retain(|step| !is_it(step));
        self.replanned.retain(|step| !is_it(step));
        if let Some(folder) = folder {
            self.replanned.extend(folder.plan(self.before, self.take)?);
        }
        Ok(())
    }
}
