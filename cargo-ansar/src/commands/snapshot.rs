//! `cargo ansar snapshot`: copy the materials of a home to a folder, to edit
//! and to deploy them.
//!
//! Compares like a deploy, in the other direction: the home is the source, and
//! the folder is the target. Edits in the folder since the last snapshot are
//! not overwritten.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::Area;
use serde_json::Value;

use crate::deploy::preview::{Compared, Direction, Line, Step, conflict_why, restarts, value_diff};
use crate::deploy::restart_affected::{Restored, Running, RunningRoles, restart_affected};
use crate::deploy::snapshot_layout::{
    INPUTS, MODELS, RESOURCES, SETTINGS, check_place, is_near, is_one_place, refusal,
};
use crate::error::{DeployError, Error};
use crate::events::{DeployEvent, Events};
use crate::home::deploy_state::{DeployState, Taken};
use crate::home::role::{Entry, Origin};
use crate::home::{Home, read_json, write_json};
use crate::host::fs;
use crate::host::fs::{Hash, Kind as FileKind};
use crate::host::process::interrupts::{Interrupts, checkpoint};
use crate::model::name::{ExecutableName, RoleName};
use crate::supervisor::client;
use crate::supervisor::lock_roles::lock_home;
use crate::sync::apply::{Roots, apply, free_name};
use crate::sync::manifest::Manifest;
use crate::sync::plan::{Take, next_last, plan};
use crate::sync::scan::{scan, scan_against};
use crate::workspace::roles::no_roles;
use crate::workspace::{Places, Workspace};

/// Options of `snapshot`.
#[derive(Debug)]
pub struct Options {
    /// Target folder, created if missing.
    pub folder: PathBuf,
    /// Side that wins if both sides changed a material.
    pub take: Option<Side>,
    /// True if the plan is only returned, not applied.
    pub dry_run: bool,
    /// True if the plan is returned as lines.
    pub lines: bool,
    /// True if running roles are stopped during the copy.
    pub force: bool,
}

/// Side of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The folder.
    Snapshot,
    /// The home.
    Home,
}

/// The outcome of `snapshot`.
#[derive(Debug)]
pub struct Outcome {
    /// Folder of the materials.
    pub folder: PathBuf,
    /// Names of changed materials and files, for people.
    pub changed: Vec<String>,
    /// Number of files that both sides changed, which stay unchanged.
    pub conflicts: usize,
    /// Steps of the plan, if requested.
    pub lines: Vec<Line>,
    /// True for a dry run.
    pub is_planned: bool,
    /// Outcome of the restart of stopped roles.
    pub restored: Restored,
}

/// Copies the materials of the home. If roles run, fails without any change and
/// names them, or with `force` stops them during the copy and restarts them.
pub async fn snapshot(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let (home, workspace) = places.open()?;
    let _lock = lock_home(&home, interrupts, events).await?;
    let mut entries = home.entries()?;
    entries.retain(|_, entry| entry.origin != Origin::Retired);
    if entries.is_empty() {
        return Err(no_roles(home.root(), workspace.as_ref()));
    }
    let folder = places.folder.join(&options.folder);
    check_place(&folder, &home)?;
    let roles = entries.keys();
    let mut lines = Vec::new();
    if options.dry_run || options.lines {
        let mut comparing = Copying::new(&home, workspace.as_ref(), &folder, options, events)?;
        comparing.is_planned = true;
        comparing.all(&entries)?;
        let engines = client::find_engines(&home, events).await?;
        let running = client::running(&home, &engines, roles.clone())?;
        lines = comparing.lines;
        lines.extend(restarts(&running));
        if options.dry_run {
            return Ok(Outcome {
                folder,
                changed: comparing.changed,
                conflicts: comparing.conflicts,
                lines,
                is_planned: true,
                restored: Restored::default(),
            });
        }
    }
    let work = |_: &RunningRoles| {
        fs::make_public_folders(&folder)?;
        let mut copying = Copying::new(&home, workspace.as_ref(), &folder, options, events)?;
        let _staging = home.stage_outside(&copying.folder)?;
        copying.all(&entries)?;
        copying.finish()
    };
    let running = Running::asked(options.force);
    let ((changed, conflicts), restored) =
        restart_affected(&home, roles, running, interrupts, events, || {}, work).await?;
    Ok(Outcome {
        folder,
        changed,
        conflicts,
        lines,
        is_planned: false,
        restored,
    })
}

/// A snapshot in progress.
struct Copying<'a> {
    home: &'a Home,
    folder: PathBuf,
    take: Option<Side>,
    events: &'a Events,
    deploy_state: DeployState,
    taken: Taken,
    /// True if the home is deployed from this folder.
    is_deployed: bool,
    /// True if the folder may contain a folder of the home.
    is_near: bool,
    /// True for a dry run.
    is_planned: bool,
    lines: Vec<Line>,
    changed: Vec<String>,
    conflicts: usize,
}

impl<'a> Copying<'a> {
    fn new(
        home: &'a Home,
        workspace: Option<&Workspace>,
        folder: &Path,
        options: &Options,
        events: &'a Events,
    ) -> Result<Self, Error> {
        let deploy_state = home.deploy_state()?;
        let folder = match fs::resolve(folder) {
            // A dry run does not create it.
            Err(error) if error.is_not_found() => folder.to_owned(),
            folder => folder?,
        };
        let from = deploy_state.snapshot.clone();
        let from = from.or_else(|| workspace.and_then(Workspace::snapshot));
        let from = from.and_then(|from| fs::resolve(&from).ok());
        Ok(Self {
            home,
            take: options.take,
            events,
            taken: deploy_state.taken.get(&folder).cloned().unwrap_or_default(),
            is_deployed: from.is_some_and(|from| from == folder),
            is_near: is_near(&folder, home)?,
            deploy_state,
            folder,
            is_planned: false,
            lines: Vec::new(),
            changed: Vec::new(),
            conflicts: 0,
        })
    }

    fn all(&mut self, entries: &BTreeMap<RoleName, Entry>) -> Result<(), Error> {
        let used: BTreeSet<&ExecutableName> =
            entries.values().map(|entry| &entry.executable).collect();
        for role in entries.keys() {
            checkpoint().map_err(Error::stopped("copy the settings to the snapshot"))?;
            self.file(SETTINGS, Area::Settings, role)?;
            self.file(INPUTS, Area::Input, role)?;
        }
        for name in used {
            let from = self.home.resource(name);
            self.tree(&format!("resource/{name}"), RESOURCES, name.as_str(), &from)?;
        }
        for role in entries.keys() {
            let from = self.home.folder(Area::Model, role);
            self.tree(&format!("model/{role}"), MODELS, role.as_str(), &from)?;
        }
        Ok(())
    }

    fn tree(&mut self, name: &str, kind: &str, own: &str, from: &Path) -> Result<(), Error> {
        let to = &*format!("{kind}/{own}");
        let failed = |error| {
            Error::Deploy(DeployError::Snapshot {
                what: to.to_owned(),
                source: error,
            })
        };
        let target = self.folder.join(to);
        let is_refused = self.is_refused(&[kind.as_ref(), own.as_ref()], FileKind::Folder)?;
        if is_refused || (self.is_near && is_one_place(from, &target)?) {
            return Ok(());
        }
        // Every role and executable gets a folder, even an empty one.
        self.make_folder(&target)?;
        let deployed = self.deploy_state.materials.get(name).map(|m| &m.deployed);
        let base = match deployed.filter(|_| self.is_deployed) {
            Some(deployed) => deployed.clone(),
            None => self.taken.materials.get(name).cloned().unwrap_or_default(),
        };
        let source = scan(from, None).map_err(|error| failed(error.into()))?;
        let there = scan_against(&target, None, &[&source.manifest, &base])
            .map_err(|error| failed(error.into()))?;
        for (path, why) in source.manifest.refused().filter(|_| !self.is_planned) {
            let path = path.under(from);
            let why = why.to_string();
            self.events.emit(DeployEvent::Passed { path, why });
        }
        let take = self.take.map(|take| match take {
            Side::Home => Take::Snapshot,
            Side::Snapshot => Take::Home,
        });
        let plan = plan(&source.manifest, &there.manifest, &base, take);
        if !plan.is_empty() {
            self.changed.push(to.to_owned());
        }
        let direction = Direction::Out;
        if self.is_planned {
            self.conflicts += plan.conflicts.len();
            let folder = Compared {
                name: to,
                source: from,
                target: &target,
                direction,
            };
            self.lines.extend(folder.lines(&plan));
            return Ok(());
        }
        for conflict in &plan.conflicts {
            let why = conflict_why(conflict.why, direction);
            self.conflict(conflict.path.under(&target), why);
        }
        let kept = self.home.kept().join("snapshot").join(to);
        let roots = Roots {
            source: from,
            target: &target,
            kept: &kept,
        };
        apply(&plan, roots).map_err(|error| failed(error.into()))?;
        self.agree(name, next_last(&source.manifest, &base, &plan));
        Ok(())
    }

    /// Records the state that both sides agree on, so that later changes of
    /// either side are detected.
    fn agree(&mut self, name: &str, agreed: Manifest) {
        if self.is_deployed {
            let material = self
                .deploy_state
                .materials
                .entry(name.to_owned())
                .or_default();
            material.deployed = agreed;
        } else {
            self.taken.materials.insert(name.to_owned(), agreed);
        }
    }

    /// Copies the settings file or the input file of a role.
    fn file(&mut self, kind: &str, area: Area, role: &RoleName) -> Result<(), Error> {
        let name = format!("{kind}/{role}.json");
        let file = format!("{role}.json");
        if self.is_refused(&[kind.as_ref(), file.as_ref()], FileKind::File)? {
            return Ok(());
        }
        self.make_folder(&self.folder.join(kind))?;
        let Some(told) = read_json::<Envelope<Value>>(&self.home.file(area, role))? else {
            return Ok(());
        };
        let path = self.folder.join(&name);
        let there = fs::read_if_exists(&path)?;
        let is_known = there.as_ref().is_none_or(|bytes| {
            // A file that was edited since the last snapshot is kept.
            self.taken.files.get(&name) == Some(&Hash::of(bytes))
        });
        let says = there.as_ref().and_then(|bytes| {
            let says = serde_json::from_slice::<Envelope<Value>>(bytes);
            says.ok().map(|says| says.value)
        });
        let is_same = says.as_ref().is_some_and(|says| holds(&told.value, says));
        if let Some(bytes) = there.as_ref().filter(|_| is_same) {
            self.taken.files.insert(name, Hash::of(bytes));
            return Ok(());
        }
        if !is_known && self.take != Some(Side::Home) {
            if self.take.is_none() {
                self.both_changed(&name, path);
            }
            return Ok(());
        }
        if self.is_planned {
            self.lines.push(Line {
                step: if area == Area::Input {
                    Step::Input
                } else {
                    Step::Settings
                },
                what: name.clone(),
                why: match (&there, is_known) {
                    (None, _) => "new in the home",
                    (_, true) => "changed in the home",
                    (_, false) => "the home was taken",
                }
                .to_owned(),
                diff: Some(value_diff(says.as_ref(), Some(&told.value))),
            });
            self.changed.push(name);
            return Ok(());
        }
        if !is_known {
            let kept =
                free_name(&self.home.kept().join("snapshot").join(&name)).map_err(|source| {
                    Error::Deploy(DeployError::Snapshot {
                        what: name.clone(),
                        source: source.into(),
                    })
                })?;
            fs::make_private_folders(kept.parent().unwrap_or(&kept))?;
            fs::replace(&kept, &there.unwrap_or_default(), 0o600)?;
        }
        write_json(&path, &Envelope::of(&told.value))?;
        let hash = Hash::of(&fs::read(&path)?);
        self.taken.files.insert(name.clone(), hash);
        self.changed.push(name);
        Ok(())
    }

    /// Returns true if a path of the snapshot leads out of it or is not of the
    /// `expected` kind, and emits an event then.
    fn is_refused(&self, parts: &[&OsStr], expected: FileKind) -> Result<bool, Error> {
        let why = refusal(&self.folder, parts, expected)?;
        let is_refused = why.is_some();
        if let (Some(why), false) = (why, self.is_planned) {
            let mut path = self.folder.clone();
            path.extend(parts);
            self.events.emit(DeployEvent::Passed { path, why });
        }
        Ok(is_refused)
    }

    fn make_folder(&self, folder: &Path) -> Result<(), Error> {
        if !self.is_planned {
            fs::make_public_folders(folder)?;
        }
        Ok(())
    }

    /// Reports a settings or input file that both sides changed.
    fn both_changed(&mut self, name: &str, path: PathBuf) {
        let why = "changed in the snapshot and in the home".to_owned();
        if self.is_planned {
            self.conflicts += 1;
            self.lines.push(Line {
                step: Step::Conflict,
                what: name.to_owned(),
                why,
                diff: None,
            });
        } else {
            self.conflict(path, why);
        }
    }

    fn conflict(&mut self, path: PathBuf, why: String) {
        self.conflicts += 1;
        self.events.emit(DeployEvent::Conflict { path, why });
    }

    fn finish(mut self) -> Result<(Vec<String>, usize), Error> {
        let known = self.home.deploy_state()?;
        self.deploy_state.taken.insert(self.folder, self.taken);
        if self.deploy_state != known {
            self.home.set_deploy_state(&self.deploy_state)?;
        }
        Ok((self.changed, self.conflicts))
    }
}

/// Returns true if the values of a file, which may omit settings, are among
/// `all`.
fn holds(all: &Value, said: &Value) -> bool {
    match (all, said) {
        (Value::Object(all), Value::Object(said)) => said
            .iter()
            .all(|(name, value)| all.get(name) == Some(value)),
        _ => all == said,
    }
}
