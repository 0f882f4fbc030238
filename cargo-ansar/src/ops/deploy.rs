//! Brings a home in line with what is described, what was built, and the
//! snapshot of materials.
//!
//! Roles first, then executables, then materials, then settings and input,
//! which only an executable that is in place can check. What was deployed is
//! remembered at the end; a deploy that is killed in between is done again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ansar_runtime::contract::layout::Area;

use super::Error;
use super::locate::Workspace;
use super::settle::{self, Settling};
use crate::delta::apply::{Roots, apply};
use crate::delta::executable::{self, Verdict};
use crate::delta::plan::{next_last, plan};
use crate::delta::scan::{scan, scan_against};
use crate::event::{Events, Kind};
use crate::home::Home;
use crate::home::entry::{Entry, Origin};
use crate::home::ledger::{Ledger, Material};
use crate::home::property;
use crate::host::files::{self, How};
use crate::host::{clock, environment};
use crate::model::description::{DeployMode, Description, RoleSpec};
use crate::model::name::{ExecutableName, RoleName};

/// What is deployed.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The workspace, where there is one.
    pub workspace: Option<&'a Workspace>,
    /// What was built.
    pub artefacts: &'a BTreeMap<ExecutableName, PathBuf>,
    /// The folder of materials, where there is one.
    pub snapshot: Option<&'a Path>,
}

/// Brings `home`, whose lock is held, in line.
///
/// `ledger` is what was last deployed, and what is now, afterwards; the caller
/// writes it down where the answer is that it changed.
pub async fn deploy(
    home: &Home,
    entries: &mut BTreeMap<RoleName, Entry>,
    ledger: &mut Ledger,
    sources: &Sources<'_>,
    events: &Events,
) -> Result<(), Error> {
    let before = ledger.clone();
    let mut changed = Vec::new();
    let mut affected = BTreeSet::new();
    let description = sources.workspace.and_then(|w| w.description.as_ref());
    if let Some(description) = description {
        describe(home, entries, description, events)?;
    }
    let active = || {
        entries
            .iter()
            .filter(|(_, entry)| entry.origin != Origin::Retired)
    };

    let mode = description.map_or(DeployMode::Link, |description| description.deploy);
    let relinked = executables(home, ledger, sources.artefacts, mode)?;
    for name in &relinked {
        changed.push(name.to_string());
        let users = active().filter(|(_, entry)| entry.executable == *name);
        affected.extend(users.map(|(role, _)| role.clone()));
    }

    if let Some(snapshot) = sources.snapshot.filter(|folder| is_there(folder, events)) {
        unknown_materials(snapshot, entries, events)?;
        let used: BTreeSet<&ExecutableName> =
            active().map(|(_, entry)| &entry.executable).collect();
        for name in used {
            let folder = Folder {
                name: format!("resource/{name}"),
                source: snapshot.join("resource-by-executable").join(name.as_str()),
                target: home.resource(name),
            };
            if folder.deploy(home, ledger, events)? {
                changed.push(folder.name);
                let users = active().filter(|(_, entry)| entry.executable == *name);
                affected.extend(users.map(|(role, _)| role.clone()));
            }
        }
        for (role, _) in active() {
            let folder = Folder {
                name: format!("model/{role}"),
                source: snapshot.join("model-by-role").join(role.as_str()),
                target: home.folder(Area::Model, role),
            };
            if folder.deploy(home, ledger, events)? {
                changed.push(folder.name);
                affected.insert(role.clone());
            }
        }
    }

    let settling = Settling {
        home,
        workspace: sources.workspace,
        snapshot: sources.snapshot,
        events,
    };
    for role in settle::settle(&settling, entries, ledger).await? {
        changed.push(format!("settings/{role}"));
        affected.insert(role);
    }

    if !changed.is_empty() {
        events.emit(Kind::Deployed {
            changed,
            executables: ledger.executables.len(),
            relinked: relinked.len(),
            affected: affected.len(),
        });
    }
    // The hashes of what was linked are needed by the next deploy only.
    for name in relinked {
        if let Some(record) = ledger.executables.remove(&name) {
            let complete = record
                .complete(&home.executable(&name))
                .map_err(failed(name.as_str()))?;
            ledger.executables.insert(name, complete);
        }
    }
    if *ledger != before {
        home.set_ledger(ledger)?;
    }
    Ok(())
}

fn failed<E: std::error::Error + Send + Sync + 'static>(what: &str) -> impl Fn(E) -> Error {
    move |error| Error::Deploy {
        what: what.to_owned(),
        source: Box::new(error),
    }
}

/// Makes the entries what the description says: the description is the desired
/// state of the roles that it names.
fn describe(
    home: &Home,
    entries: &mut BTreeMap<RoleName, Entry>,
    description: &Description,
    events: &Events,
) -> Result<(), Error> {
    for step in plan_roles(entries, description) {
        match step {
            RoleStep::Set(role, entry) => {
                home.set_entry(&role, &entry)?;
                entries.insert(role, *entry);
            }
            RoleStep::Retire(role) => {
                if let Some(entry) = entries.get_mut(&role) {
                    entry.origin = Origin::Retired;
                    home.set_entry(&role, entry)?;
                }
                events.emit(Kind::Retired { role });
            }
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
enum RoleStep {
    Set(RoleName, Box<Entry>),
    Retire(RoleName),
}

fn plan_roles(entries: &BTreeMap<RoleName, Entry>, description: &Description) -> Vec<RoleStep> {
    let mut steps = Vec::new();
    for spec in &description.roles {
        let was = entries.get(&spec.name);
        let entry = described(spec, was);
        if was != Some(&entry) {
            steps.push(RoleStep::Set(spec.name.clone(), Box::new(entry)));
        }
    }
    let named: BTreeSet<&RoleName> = description.roles.iter().map(|spec| &spec.name).collect();
    for (role, entry) in entries {
        if entry.origin == Origin::Manifest && !named.contains(role) {
            steps.push(RoleStep::Retire(role.clone()));
        }
    }
    steps
}

/// A role as the description has it; what was set by hand stays.
fn described(spec: &RoleSpec, was: Option<&Entry>) -> Entry {
    let id = was.and_then(|entry| entry.id.clone());
    let mut entry = Entry {
        retry: spec.retry.clone(),
        timeout: spec.timeout.map(|timeout| timeout.as_secs_f64()),
        after: spec.after.clone(),
        env: spec.env.clone(),
        by_hand: was.map(|entry| entry.by_hand.clone()).unwrap_or_default(),
        ..Entry::new(
            id.unwrap_or_else(environment::unique),
            was.map_or_else(clock::now, |entry| entry.created),
            spec.executable.clone(),
            Origin::Manifest,
        )
    };
    if let Some(was) = was {
        property::keep_by_hand(was, &mut entry);
    }
    entry
}

/// Puts what was built in place, where its bytes are not there already; the
/// names of those that changed.
fn executables(
    home: &Home,
    ledger: &mut Ledger,
    artefacts: &BTreeMap<ExecutableName, PathBuf>,
    mode: DeployMode,
) -> Result<Vec<ExecutableName>, Error> {
    let how = match mode {
        DeployMode::Link => How::Link,
        DeployMode::Copy => How::Copy,
    };
    files::clear_leftovers(&home.area(Area::Bin))?;
    let mut changed = Vec::new();
    for (name, artefact) in artefacts {
        let target = home.executable(name);
        // A `bin` elsewhere may be where Cargo builds: used in place.
        if *artefact == target {
            continue;
        }
        let recorded = ledger.executables.get(name);
        match executable::judge(artefact, &target, recorded).map_err(failed(name.as_str()))? {
            Verdict::Unchanged => {}
            Verdict::SameBytes(record) => {
                ledger.executables.insert(name.clone(), record);
            }
            Verdict::Differ(_) => {
                let record =
                    executable::deploy(artefact, &target, how).map_err(failed(name.as_str()))?;
                ledger.executables.insert(name.clone(), record);
                changed.push(name.clone());
            }
        }
    }
    Ok(changed)
}

/// A folder of material.
struct Folder {
    name: String,
    source: PathBuf,
    target: PathBuf,
}

impl Folder {
    /// Brings the folder in line; whether anything changed.
    fn deploy(&self, home: &Home, ledger: &mut Ledger, events: &Events) -> Result<bool, Error> {
        let known = ledger.materials.get(&self.name);
        let none = Material::default();
        let was = known.unwrap_or(&none);
        let source = scan(&self.source, Some(&was.deployed)).map_err(failed(&self.name))?;
        if source.missing && was.deployed.is_empty() {
            return Ok(false);
        }
        let target = scan_against(
            &self.target,
            Some(&was.home),
            &[&source.manifest, &was.deployed],
        )
        .map_err(failed(&self.name))?;
        for (path, why) in source.manifest.refused() {
            events.emit(Kind::Passed {
                path: path.under(&self.source),
                why: why.to_string(),
            });
        }
        let plan = plan(&source.manifest, &target.manifest, &was.deployed, None);
        for conflict in &plan.conflicts {
            events.emit(Kind::Conflict {
                path: conflict.path.under(&self.target),
                why: conflict.why.to_string(),
            });
        }
        let roots = Roots {
            source: &self.source,
            target: &self.target,
            kept: &home.kept().join(&self.name),
        };
        apply(&plan, roots).map_err(failed(&self.name))?;
        let changes = !plan.is_empty();
        let deployed = next_last(&source.manifest, &was.deployed, &plan);
        // Recording what was read spares the next deploy from reading it.
        if changes || source.read > 0 || target.read > 0 || deployed != was.deployed {
            let material = Material {
                home: target.manifest,
                deployed,
            };
            ledger.materials.insert(self.name.clone(), material);
        }
        Ok(changes)
    }
}

/// Whether there is a snapshot. One that is described and missing is most
/// likely misspelled: it does not mean that everything is to be removed.
fn is_there(snapshot: &Path, events: &Events) -> bool {
    let there = files::stat(snapshot).is_ok();
    if !there {
        events.emit(Kind::Passed {
            path: snapshot.to_owned(),
            why: "no such folder".to_owned(),
        });
    }
    there
}

/// Names the folders of the snapshot that nobody uses: a misspelled role would
/// otherwise go unnoticed.
fn unknown_materials(
    snapshot: &Path,
    entries: &BTreeMap<RoleName, Entry>,
    events: &Events,
) -> Result<(), Error> {
    type Known<'a> = &'a dyn Fn(&str) -> bool;

    let is_role = |name: &str| entries.keys().any(|role| role.as_str() == name);
    let is_executable = |name: &str| entries.values().any(|e| e.executable.as_str() == name);
    let is_role_file = |name: &str| name.strip_suffix(".json").is_some_and(is_role);
    let kinds: [(&str, &str, Known<'_>); 5] = [
        ("model-by-role", "role", &is_role),
        ("resource-by-executable", "executable", &is_executable),
        ("settings-by-role", "role", &is_role_file),
        ("input-by-role", "role", &is_role_file),
        ("setting-value-by-role", "role", &is_role),
    ];
    for (folder, what, known) in kinds {
        let folder = snapshot.join(folder);
        for name in files::names(&folder)? {
            if !known(&name.to_string_lossy()) {
                events.emit(Kind::Passed {
                    path: folder.join(&name),
                    why: format!("no {what} of this name"),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::entry::ByHand;
    use crate::model::description;

    fn description(roles: &str) -> Description {
        let text = format!("[workspace.metadata.ansar]\n{roles}");
        description::read(Path::new("Cargo.toml"), &text)
            .unwrap()
            .unwrap()
    }

    fn apply_steps(entries: &mut BTreeMap<RoleName, Entry>, steps: Vec<RoleStep>) {
        for step in steps {
            match step {
                RoleStep::Set(role, entry) => drop(entries.insert(role, *entry)),
                RoleStep::Retire(role) => entries.get_mut(&role).unwrap().origin = Origin::Retired,
            }
        }
    }

    const TWO: &str = "role.server-0.executable = \"server\"\nrole.test-a.executable = \"client\"";

    #[test]
    fn described_roles_are_made_once() {
        let mut entries = BTreeMap::new();
        let steps = plan_roles(&entries, &description(TWO));
        assert_eq!(steps.len(), 2);
        apply_steps(&mut entries, steps);
        assert_eq!(plan_roles(&entries, &description(TWO)), []);
    }

    #[test]
    fn what_is_no_longer_described_is_retired_and_comes_back() {
        let mut entries = BTreeMap::new();
        let steps = plan_roles(&entries, &description(TWO));
        apply_steps(&mut entries, steps);
        let one = description("role.test-a.executable = \"client\"");
        let steps = plan_roles(&entries, &one);
        assert_eq!(steps, [RoleStep::Retire("server-0".parse().unwrap())]);
        apply_steps(&mut entries, steps);
        assert_eq!(plan_roles(&entries, &one), []);
        assert_eq!(plan_roles(&entries, &description(TWO)).len(), 1);
    }

    #[test]
    fn what_was_set_by_hand_stays() {
        let mut entries = BTreeMap::new();
        let steps = plan_roles(&entries, &description(TWO));
        apply_steps(&mut entries, steps);
        let entry = entries.values_mut().next().unwrap();
        entry.by_hand = ByHand {
            properties: ["retry".to_owned()].into(),
            ..ByHand::default()
        };
        entry.retry = Some(ansar_runtime::contract::retry::Retry::default());
        assert_eq!(plan_roles(&entries, &description(TWO)), []);
    }
}
