//! Planning a deploy.
//!
//! Everything is compared and components validate their settings, but nothing
//! is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ansar_contract::layout::Area;
use serde_json::Value;

use crate::deploy::ask_component::Proposal;
use crate::deploy::failed;
use crate::deploy::launch_state;
use crate::deploy::launch_state::launch_state;
use crate::deploy::origin::newer_sources;
use crate::deploy::ports;
use crate::deploy::resolve_settings;
use crate::deploy::resolve_settings::{FileChange, ResolvedSettings};
use crate::deploy::roles::{RoleStep, plan_roles};
use crate::deploy::settings_context::{NewExecutable, SettingsResolver};
use crate::deploy::snapshot_layout;
use crate::deploy::snapshot_layout::{MODELS, RESOURCES, check_place, unused_paths};
use crate::deploy::source::{Folder, FolderStep, Owner};
use crate::error::Error;
use crate::events::{DeployEvent, Events};
use crate::home::Home;
use crate::home::deploy_state::{DeployState, LaunchState};
use crate::home::ports::{Moved, Ports};
use crate::home::restart_reason::ChangeCause;
use crate::home::role::{Entry, Origin};
use crate::host::cargo_config::Variable;
use crate::host::fs::{Fingerprint, TransferMethod};
use crate::host::{environment, fs};
use crate::manifest::Description;
use crate::model::name::{ExecutableName, RoleName};
use crate::supervisor::role_environment::{configured, of_cargo};
use crate::sync::executable;
use crate::sync::executable::{Deployed, Difference, Verdict};
use crate::sync::plan::Take;
use crate::workspace::Workspace;

/// Sources of a deploy.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The workspace, if there is one.
    pub workspace: Option<&'a Workspace>,
    /// The manifest that describes the roles, if they are deployed.
    pub description: Option<&'a Description>,
    /// Paths of the executables.
    pub artifacts: &'a BTreeMap<ExecutableName, PathBuf>,
    /// Names of the crates that were compiled.
    pub compiled: &'a BTreeSet<String>,
    /// Method that puts executables into the home.
    pub how: TransferMethod,
    /// Snapshot whose materials are deployed.
    pub materials: Option<&'a Path>,
    /// Snapshot whose settings and input are deployed.
    pub layer: Option<&'a Path>,
    /// Snapshot that was named on the command line.
    pub named: Option<&'a Path>,
    /// Side whose file is used if the snapshot and the home both changed it.
    pub take: Option<Take>,
}

/// Everything that a deploy changes, with the reasons.
#[derive(Debug)]
pub struct Plan {
    /// Roles that are created, changed or retired.
    pub roles: Vec<RoleStep>,
    /// Executables that are put in place.
    pub executables: Vec<ExecutableStep>,
    /// Folders of materials, including those with nothing but conflicts.
    pub folders: Vec<FolderStep>,
    /// Roles whose settings or input were resolved.
    pub settings: Vec<ResolvedSettings>,
    /// Roles that the deploy affects, with the causes.
    pub affected: BTreeMap<RoleName, Vec<ChangeCause>>,
    /// Roles as they will be after the deploy.
    pub entries: BTreeMap<RoleName, Entry>,
    /// Side whose file is used if the snapshot and the home both changed it.
    pub take: Option<Take>,
    /// Ports of the roles.
    pub(crate) ports: Ports,
    /// Ports that were replaced.
    pub(crate) moved: Vec<Moved>,
    /// Launch states of the roles.
    pub(crate) launches: BTreeMap<RoleName, LaunchState>,
    /// Records of executables whose bytes are those last deployed.
    pub(crate) same: Vec<(ExecutableName, Deployed)>,
    /// The artifacts of the last build.
    pub(crate) artifacts: BTreeMap<ExecutableName, PathBuf>,
    /// `[env]` of Cargo's configuration.
    pub(crate) env: BTreeMap<String, Variable>,
    /// Snapshot to remember in the deploy state.
    pub(crate) snapshot: Option<PathBuf>,
}

/// An executable that is put in place.
#[derive(Debug)]
pub struct ExecutableStep {
    /// Its name.
    pub name: ExecutableName,
    /// Path of the built file.
    pub artifact: PathBuf,
    /// Path in the home.
    pub target: PathBuf,
    /// True if the home runs executables from the folder that Cargo builds in.
    pub is_in_place: bool,
    /// Reason for deploying it.
    pub why: Difference,
    /// Fingerprint of the artifact.
    pub(crate) fingerprint: Fingerprint,
}

impl Plan {
    /// Returns the executables that are or will be in the home, where their bytes
    /// are now.
    fn built(&self, home: &Home) -> BTreeMap<ExecutableName, NewExecutable> {
        let new = self.executables.iter().map(|step| {
            let path = step.artifact.clone();
            let fingerprint = step.fingerprint;
            (step.name.clone(), NewExecutable { path, fingerprint })
        });
        let same = self.same.iter().map(|(name, record)| {
            let path = home.executable(name);
            let fingerprint = record.artifact.fingerprint;
            (name.clone(), NewExecutable { path, fingerprint })
        });
        new.chain(same).collect()
    }

    /// Returns the names of everything that changes.
    pub fn changed(&self) -> Vec<String> {
        let executables = self.executables.iter().map(|step| step.name.to_string());
        let folders = self.folders.iter().filter(|step| step.changes());
        let folders = folders.map(|step| step.folder.name.clone());
        let settings = self.settings.iter().filter(|resolved| resolved.changes());
        let settings = settings.map(|resolved| format!("settings/{}", resolved.role));
        executables.chain(folders).chain(settings).collect()
    }

    /// Returns true if nothing changes. There may still be something to record
    /// in the deploy state.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.changed().is_empty() && self.affected.is_empty()
    }
}

impl ResolvedSettings {
    /// Returns true if a file changes.
    pub(crate) fn changes(&self) -> bool {
        !self.changes.is_empty()
    }
}

/// Plans a deploy to `home`, whose lock the caller holds.
pub async fn plan(
    home: &Home,
    entries: &BTreeMap<RoleName, Entry>,
    deploy_state: &DeployState,
    sources: &Sources<'_>,
    events: &Events,
) -> Result<Plan, Error> {
    let mut plan = Plan::new(home, entries, deploy_state, sources);
    plan.roles(entries);
    if plan.env != deploy_state.env {
        let running = plan.active().map(|(role, _)| role.clone()).collect();
        plan.affect(running, &ChangeCause::Environment);
    }
    plan.executables(home, deploy_state, sources)?;
    let materials = sources.materials;
    if let Some(snapshot) = materials.filter(|snapshot| is_there(snapshot, events)) {
        check_place(snapshot, home)?;
        for (path, why) in unused_paths(snapshot, &plan.entries)? {
            events.emit(DeployEvent::Passed { path, why });
        }
        plan.folders(home, deploy_state, snapshot, events)?;
    }
    let new = plan.built(home);
    let none = Ports::default();
    let resolver = SettingsResolver {
        home,
        workspace: sources.workspace,
        snapshot: sources.layer,
        new: Some(&new),
        ports: &none,
        events,
    };
    let proposals = resolve_settings::proposals(&resolver, &plan.entries)?;
    plan.ports(home, &proposals)?;
    plan.launches(home, entries, deploy_state)?;
    let resolver = SettingsResolver {
        ports: &plan.ports,
        ..resolver
    };
    plan.settings =
        resolve_settings::resolve_settings(&resolver, &plan.entries, proposals, deploy_state)
            .await?;
    for resolved in &plan.settings {
        let causes = resolved.changes.iter().map(cause);
        if resolved.changes() {
            let affected = plan.affected.entry(resolved.role.clone()).or_default();
            affected.extend(causes);
        }
    }
    Ok(plan)
}

impl Plan {
    /// Returns a plan that has looked at nothing but the roles.
    fn new(
        home: &Home,
        entries: &BTreeMap<RoleName, Entry>,
        deploy_state: &DeployState,
        sources: &Sources<'_>,
    ) -> Self {
        Self {
            roles: sources
                .description
                .map(|description| plan_roles(entries, description))
                .unwrap_or_default(),
            executables: Vec::new(),
            folders: Vec::new(),
            settings: Vec::new(),
            affected: BTreeMap::new(),
            entries: entries.clone(),
            take: sources.take,
            ports: Ports::default(),
            moved: Vec::new(),
            launches: BTreeMap::new(),
            same: Vec::new(),
            artifacts: sources.artifacts.clone(),
            env: of_cargo(home),
            snapshot: match sources.materials {
                Some(_) => sources.named.map(Path::to_owned),
                None => deploy_state.snapshot.clone(),
            },
        }
    }

    fn roles(&mut self, before: &BTreeMap<RoleName, Entry>) {
        for step in &self.roles {
            step.apply(&mut self.entries);
            let role = step.role();
            let Some(now) = self.entries.get(role) else {
                continue;
            };
            let mut causes = Vec::new();
            match before.get(role) {
                None => causes.push(ChangeCause::Added),
                Some(was) => {
                    if was.executable != now.executable {
                        causes.push(ChangeCause::Runs {
                            before: was.executable.clone(),
                        });
                    }
                }
            }
            // For a new role, its resolved settings count as the change.
            if !causes.is_empty() && now.origin != Origin::Retired && before.contains_key(role) {
                self.affected.insert(role.clone(), causes);
            }
        }
    }

    /// Allocates the ports of all roles.
    fn ports(
        &mut self,
        home: &Home,
        proposals: &BTreeMap<RoleName, Proposal>,
    ) -> Result<(), Error> {
        let settings = proposals.iter();
        let settings = settings.map(|(role, it)| (role.clone(), it.settings.clone()));
        (self.ports, self.moved) = ports::allocate(home, &self.entries, &settings.collect())?;
        Ok(())
    }

    /// Finds roles that would be started in another way than at the last
    /// deploy.
    fn launches(
        &mut self,
        home: &Home,
        before: &BTreeMap<RoleName, Entry>,
        deploy_state: &DeployState,
    ) -> Result<(), Error> {
        let environment = configured(environment::for_roles(), &self.env);
        let mut affected = Vec::new();
        for (role, entry) in self.active() {
            let known = deploy_state.launches.get(role);
            let now = launch_state(home, role, entry, &self.ports, &environment, known);
            affected.push((role.clone(), now?));
        }
        for (role, now) in affected {
            // A role without a state that exists was deployed without one.
            let known = deploy_state.launches.get(&role).cloned();
            let is_old = before.contains_key(&role);
            let causes = match known.or_else(|| is_old.then(LaunchState::default)) {
                Some(known) => launch_state::changes(&known, &now),
                None => Vec::new(),
            };
            if !causes.is_empty() {
                self.affected
                    .entry(role.clone())
                    .or_default()
                    .extend(causes);
            }
            if now != LaunchState::default() {
                self.launches.insert(role, now);
            }
        }
        Ok(())
    }

    fn active(&self) -> impl Iterator<Item = (&RoleName, &Entry)> {
        let all = self.entries.iter();
        all.filter(|(_, entry)| entry.origin != Origin::Retired)
    }

    fn users(&self, executable: &ExecutableName) -> Vec<RoleName> {
        let users = self
            .active()
            .filter(|(_, entry)| entry.deployed() == Some(executable));
        users.map(|(role, _)| role.clone()).collect()
    }

    fn affect(&mut self, roles: Vec<RoleName>, cause: &ChangeCause) {
        for role in roles {
            self.affected.entry(role).or_default().push(cause.clone());
        }
    }

    fn executables(
        &mut self,
        home: &Home,
        deploy_state: &DeployState,
        sources: &Sources<'_>,
    ) -> Result<(), Error> {
        for (name, artifact) in sources.artifacts {
            let target = home.executable(name);
            let failed = |error| failed(name.as_str(), error);
            let recorded = deploy_state.executables.get(name);
            let verdict = executable::judge(artifact, &target, recorded).map_err(failed)?;
            let why = match verdict {
                Verdict::Unchanged => continue,
                Verdict::SameBytes(record) => {
                    self.same.push((name.clone(), record));
                    continue;
                }
                Verdict::Differ(why) => why,
            };
            // The home's `bin` may be the folder that Cargo builds in.
            let is_in_place = executable::is_one_place(artifact, &target)
                .map_err(|error| failed(error.into()))?;
            let since = recorded.map(|record| record.artifact.fingerprint.mtime_ns);
            let cause = ChangeCause::Executable {
                executable: name.clone(),
                why,
                sources: since.and_then(|since| newer_sources(artifact, since)),
                compiled: sources.compiled.clone(),
            };
            self.affect(self.users(name), &cause);
            self.executables.push(ExecutableStep {
                name: name.clone(),
                artifact: artifact.clone(),
                target,
                is_in_place,
                why,
                fingerprint: executable::fingerprint(artifact).map_err(failed)?,
            });
        }
        Ok(())
    }

    fn folders(
        &mut self,
        home: &Home,
        deploy_state: &DeployState,
        snapshot: &Path,
        events: &Events,
    ) -> Result<(), Error> {
        let is_near = snapshot_layout::is_near(snapshot, home)?;
        for folder in self.materials(home, snapshot) {
            // These are already reported, and are not missing.
            if folder.is_refused()? || (is_near && folder.is_one_place()?) {
                continue;
            }
            let Some(step) = folder.plan(deploy_state, self.take)? else {
                continue;
            };
            for (path, why) in &step.refused {
                events.emit(DeployEvent::Passed {
                    path: path.clone(),
                    why: why.clone(),
                });
            }
            if step.changes() {
                let paths = step.paths();
                match &folder.owner {
                    Owner::Role(role) => {
                        self.affect(vec![role.clone()], &ChangeCause::Model { paths });
                    }
                    Owner::Executable(name) => {
                        self.affect(self.users(name), &ChangeCause::Resource { paths });
                    }
                }
            }
            self.folders.push(step);
        }
        Ok(())
    }

    /// Returns the folders of materials of all roles and their executables.
    fn materials(&self, home: &Home, snapshot: &Path) -> Vec<Folder> {
        let used: BTreeSet<&ExecutableName> =
            self.active().map(|(_, entry)| &entry.executable).collect();
        let resources = used.into_iter().map(|name| Folder {
            name: format!("resource/{name}"),
            owner: Owner::Executable(name.clone()),
            snapshot: snapshot.to_owned(),
            source: snapshot.join(RESOURCES).join(name.as_str()),
            target: home.resource(name),
            kept: home.kept().join("resource").join(name.as_str()),
        });
        let models = self.active().map(|(role, _)| Folder {
            name: format!("model/{role}"),
            owner: Owner::Role(role.clone()),
            snapshot: snapshot.to_owned(),
            source: snapshot.join(MODELS).join(role.as_str()),
            target: home.folder(Area::Model, role),
            kept: home.kept().join("model").join(role.as_str()),
        });
        resources.chain(models).collect()
    }
}

/// Returns the reason to restart a role whose settings or input changed.
fn cause(change: &FileChange) -> ChangeCause {
    if change.area == Area::Input {
        return ChangeCause::Input;
    }
    let before = change.before.as_ref().and_then(Value::as_object);
    let Some(before) = before else {
        return ChangeCause::Added;
    };
    let after = change.after.as_ref().and_then(Value::as_object);
    let names = before
        .keys()
        .chain(after.into_iter().flat_map(|a| a.keys()));
    let names: BTreeSet<&String> = names.collect();
    let differs = |name: &String| before.get(name) != after.and_then(|after| after.get(name));
    let fields = names.into_iter().filter(|name| differs(name));
    ChangeCause::Settings {
        fields: fields.cloned().collect(),
    }
}

/// Returns true if the snapshot exists. A configured snapshot that is missing
/// is most likely misspelt: it does not mean that all materials are to be
/// removed.
fn is_there(snapshot: &Path, events: &Events) -> bool {
    let there = fs::stat(snapshot).is_ok();
    if !there {
        events.emit(DeployEvent::Passed {
            path: snapshot.to_owned(),
            why: "no such folder".to_owned(),
        });
    }
    there
}
