//! Resolving the settings and input of roles: merged, checked by the component,
//! and stored.
//!
//! Fields are merged in this order: the component's defaults, the manifest, the
//! snapshot, values set by hand. The component is asked again only if one of
//! these or the component itself has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::Area;
use serde_json::{Map, Value};

use crate::deploy::ask_component::{Accepted, Answers, Proposal};
use crate::deploy::settings_context::SettingsResolver;
use crate::deploy::snapshot_layout::{INPUTS, SETTINGS, VALUES, refusal};
use crate::error::Error;
use crate::events::{DeployEvent, Events};
use crate::home::deploy_state::DeployState;
use crate::home::pending::Transaction;
use crate::home::program::ProgramError;
use crate::home::role::{Entry, Origin};
use crate::home::{Home, read_json};
use crate::host::fs;
use crate::host::fs::{Fingerprint, Hash, Kind as FileKind};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::placeholder::Template;
use crate::supervisor::executable_kind::{ExecutableKind, kind_of};
use crate::supervisor::role_environment::own;
use crate::workspace::Workspace;

/// Returns the snapshot whose settings override the manifest's: the configured
/// one, or else the one that was last deployed by hand.
pub fn layer(workspace: Option<&Workspace>, deploy_state: &DeployState) -> Option<PathBuf> {
    let configured = workspace.and_then(Workspace::snapshot);
    configured.or_else(|| deploy_state.snapshot.clone())
}

/// Names of the settings and input files in a snapshot. Most roles have none.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFiles {
    settings: BTreeSet<OsString>,
    values: BTreeSet<OsString>,
    inputs: BTreeSet<OsString>,
}

impl SnapshotFiles {
    /// Reads the names from a snapshot.
    pub(crate) fn of(snapshot: Option<&Path>) -> Result<Self, Error> {
        let Some(snapshot) = snapshot else {
            return Ok(Self::default());
        };
        Ok(Self {
            settings: used(snapshot, &[SETTINGS.as_ref()], FileKind::File)?,
            values: used(snapshot, &[VALUES.as_ref()], FileKind::Folder)?,
            inputs: used(snapshot, &[INPUTS.as_ref()], FileKind::File)?,
        })
    }
}

/// Returns the names in a folder of a snapshot that are of the `expected` kind.
fn used(
    snapshot: &Path,
    folder: &[&OsStr],
    expected: FileKind,
) -> Result<BTreeSet<OsString>, Error> {
    let mut used = BTreeSet::new();
    if refusal(snapshot, folder, FileKind::Folder)?.is_some() {
        return Ok(used);
    }
    let mut path = snapshot.to_owned();
    path.extend(folder);
    for name in fs::names(&path)? {
        let parts = [folder, &[name.as_os_str()]].concat();
        if refusal(snapshot, &parts, expected)?.is_none() {
            used.insert(name);
        }
    }
    Ok(used)
}

/// Settings and input of a role, as its component accepted them.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedSettings {
    /// The role.
    pub role: RoleName,
    /// Hash of everything that the files are made of.
    pub key: String,
    /// Values that the component accepted.
    pub accepted: Accepted,
    /// The files that change.
    pub changes: Vec<FileChange>,
}

/// A change of a settings or input file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileChange {
    /// Settings or input.
    pub area: Area,
    /// Current value, or `None` if there is no file or it is not valid.
    pub before: Option<Value>,
    /// New value, or `None` if the file is to be removed.
    pub after: Option<Value>,
}

/// Resolves the settings of all roles whose sources changed since they were
/// last resolved. Writes nothing.
///
/// Skips roles without an executable.
///
/// # Errors
///
/// Returns an error for the first role whose component does not accept its
/// settings or input.
pub(crate) async fn resolve_settings(
    resolver: &SettingsResolver<'_>,
    entries: &BTreeMap<RoleName, Entry>,
    mut proposals: BTreeMap<RoleName, Proposal>,
    deploy_state: &DeployState,
) -> Result<Vec<ResolvedSettings>, Error> {
    let mut answers = Answers::default();
    let mut all = Vec::new();
    for (role, entry) in entries {
        let Some(proposal) = proposals.remove(role) else {
            continue;
        };
        let key = resolver.key(role, entry, &proposal, deploy_state)?;
        let stored = fs::is_file(&resolver.home.file(Area::Settings, role));
        if stored && deploy_state.settings_keys.get(role) == Some(&key) {
            continue;
        }
        let accepted = answers.ask(resolver, role, entry, proposal).await?;
        resolver.report_hidden(role, entry, deploy_state);
        all.push(ResolvedSettings {
            changes: changes(resolver.home, role, &accepted),
            role: role.clone(),
            key,
            accepted,
        });
    }
    Ok(all)
}

/// Returns everything that overrides the defaults of each component. Skips
/// roles that run no component, and those without an executable.
///
/// # Errors
///
/// Returns an error for a role that is no component and has properties of one.
pub(crate) fn proposals(
    resolver: &SettingsResolver<'_>,
    entries: &BTreeMap<RoleName, Entry>,
) -> Result<BTreeMap<RoleName, Proposal>, Error> {
    let files = SnapshotFiles::of(resolver.snapshot)?;
    let executables = entries.values().map(|entry| &entry.executable);
    let there: BTreeSet<&ExecutableName> = executables.collect();
    let there: BTreeSet<&ExecutableName> = there
        .into_iter()
        .filter(|name| resolver.has_executable(name))
        .collect();
    let mut proposals = BTreeMap::new();
    for (role, entry) in entries {
        let is_program = entry.properties.is_program();
        if entry.origin == Origin::Retired || !(is_program || there.contains(&entry.executable)) {
            continue;
        }
        let proposal = resolver.proposal(role, entry, &files)?;
        match resolver.kind(role, entry)? {
            ExecutableKind::Component { .. } => {
                proposals.insert(role.clone(), proposal);
            }
            kind => resolver.check_program(role, entry, kind, &proposal)?,
        }
    }
    Ok(proposals)
}

/// Returns the files that differ from the accepted values.
fn changes(home: &Home, role: &RoleName, accepted: &Accepted) -> Vec<FileChange> {
    let mut changes = Vec::new();
    for (area, value) in accepted.files() {
        let path = home.file(area, role);
        // An unreadable file is replaced.
        let stored = read_json::<Envelope<Value>>(&path).ok().flatten();
        let before = stored.map(|stored| stored.value);
        if before.as_ref() != value || (value.is_none() && fs::is_file(&path)) {
            changes.push(FileChange {
                area,
                before,
                after: value.cloned(),
            });
        }
    }
    changes
}

/// Returns the settings of `base` and those given by name, with the types that
/// the component chose for them.
pub(crate) fn by_name(
    base: &Map<String, Value>,
    texts: &[(String, String)],
    accepted: &Value,
) -> Map<String, Value> {
    let mut settings = base.clone();
    for (name, text) in texts {
        let field = name.replace('-', "_");
        for field in [name, &field] {
            if let Some(value) = accepted.get(field) {
                // Placeholders are resolved anew by every deploy.
                let is_template = Template::lenient(text).uses().next().is_some();
                let value = if is_template {
                    Value::String(text.clone())
                } else {
                    value.clone()
                };
                settings.insert(field.clone(), value);
            }
        }
    }
    settings
}

/// Adds the accepted values to a transaction, unless a file has changed since
/// it was compared. Returns the path of the changed file in that case.
pub(crate) fn store_if_unchanged(
    home: &Home,
    resolved: &ResolvedSettings,
    transaction: &mut Transaction,
) -> Result<Option<PathBuf>, Error> {
    let is_seen = |now: &FileChange| {
        let mut seen = resolved.changes.iter();
        seen.any(|seen| seen.area == now.area && seen.before == now.before)
    };
    let now = changes(home, &resolved.role, &resolved.accepted);
    if let Some(changed) = now.iter().find(|now| !is_seen(now)) {
        return Ok(Some(home.file(changed.area, &resolved.role)));
    }
    store(home, &resolved.role, &resolved.accepted, transaction)?;
    Ok(None)
}

/// Adds the accepted values to a transaction.
pub(crate) fn store(
    home: &Home,
    role: &RoleName,
    accepted: &Accepted,
    transaction: &mut Transaction,
) -> Result<(), Error> {
    for FileChange { area, .. } in changes(home, role, accepted) {
        match area {
            Area::Input => transaction.set_input(role, accepted.input())?,
            _ => transaction.set_settings(role, &accepted.settings)?,
        }
    }
    Ok(())
}

/// Returns the file of a snapshot that sets a setting of a role, or its input
/// where `setting` is unset.
pub(crate) fn snapshot_file(
    snapshot: Option<&Path>,
    role: &RoleName,
    setting: Option<&str>,
) -> Result<Option<PathBuf>, Error> {
    let Some(snapshot) = snapshot else {
        return Ok(None);
    };
    let files = SnapshotFiles::of(Some(snapshot))?;
    let file = format!("{role}.json");
    let Some(setting) = setting else {
        let path = snapshot.join(INPUTS).join(&file);
        return Ok(files.inputs.contains(OsStr::new(&file)).then_some(path));
    };
    if files.values.contains(OsStr::new(role.as_str())) {
        let name = format!("{setting}.json");
        let folder = [VALUES.as_ref(), role.as_str().as_ref()];
        if used(snapshot, &folder, FileKind::File)?.contains(OsStr::new(&name)) {
            return Ok(Some(snapshot.join(VALUES).join(role.as_str()).join(name)));
        }
    }
    let path = snapshot.join(SETTINGS).join(&file);
    let has_setting = files.settings.contains(OsStr::new(&file))
        && read_given::<Map<_, _>>(&path)?.is_some_and(|it| it.contains_key(setting));
    Ok(has_setting.then_some(path))
}

impl SettingsResolver<'_> {
    /// Merges everything that overrides the component's defaults.
    pub(crate) fn proposal(
        &self,
        role: &RoleName,
        entry: &Entry,
        files: &SnapshotFiles,
    ) -> Result<Proposal, Error> {
        let spec = self.spec(role);
        let mut proposal = Proposal::default();
        if let Some(spec) = spec {
            proposal.settings.extend(spec.settings.clone());
            proposal.input.clone_from(&spec.input);
        }
        if let Some(snapshot) = self.snapshot {
            let file = format!("{role}.json");
            if files.settings.contains(OsStr::new(&file)) {
                let settings = read_given::<Map<_, _>>(&snapshot.join(SETTINGS).join(&file))?;
                proposal.settings.extend(settings.unwrap_or_default());
            }
            if files.values.contains(OsStr::new(role.as_str())) {
                let folder = [VALUES.as_ref(), role.as_str().as_ref()];
                let values = snapshot.join(VALUES).join(role.as_str());
                for name in used(snapshot, &folder, FileKind::File)? {
                    let setting = name.to_str().and_then(|it| it.strip_suffix(".json"));
                    let Some(setting) = setting else {
                        continue;
                    };
                    if let Some(value) = read_given::<Value>(&values.join(&name))? {
                        proposal.settings.insert(setting.to_owned(), value);
                    }
                }
            }
            if files.inputs.contains(OsStr::new(&file)) {
                let input = read_given::<Value>(&snapshot.join(INPUTS).join(&file))?;
                proposal.input = input.or(proposal.input);
            }
        }
        proposal.settings.extend(entry.by_hand.settings.clone());
        if let Some(input) = &entry.by_hand.input {
            proposal.input = Some(input.clone());
        }
        Ok(proposal)
    }

    /// Returns the kind of the executable of a role.
    pub(crate) fn kind(&self, role: &RoleName, entry: &Entry) -> Result<ExecutableKind, Error> {
        let path = match self.new_executable(&entry.executable) {
            Some(new) => new.path.clone(),
            None => self.home.executable(&entry.executable),
        };
        kind_of(format!("role `{role}`{}: ", self.place(role)), entry, &path)
    }

    /// Checks that a role which runs no component has no property of one.
    fn check_program(
        &self,
        role: &RoleName,
        entry: &Entry,
        kind: ExecutableKind,
        proposal: &Proposal,
    ) -> Result<(), Error> {
        let set = [
            ("settings", !proposal.settings.is_empty()),
            ("input", proposal.input.is_some()),
            ("retry", entry.properties.retry.is_some()),
        ];
        match set.into_iter().find(|(_, set)| *set) {
            None => Ok(()),
            Some((property, _)) => Err(ProgramError::ComponentOnly {
                role: role.clone(),
                place: self.place(role),
                property,
                executable: entry.executable.to_string(),
                wraps: kind != ExecutableKind::Program,
            }
            .into()),
        }
    }

    /// Returns a hash of everything that the stored files are made of.
    fn key(
        &self,
        role: &RoleName,
        entry: &Entry,
        proposal: &Proposal,
        deploy_state: &DeployState,
    ) -> Result<String, Error> {
        let values = self.values(role, entry);
        let proposal = proposal.resolved(&values)?;
        let env = own(entry, &values)?;
        let known = deploy_state.executables.get(&entry.executable);
        let fingerprint = match (self.new_executable(&entry.executable), known) {
            (Some(new), _) => new.fingerprint,
            (None, Some(record)) => record.artifact.fingerprint,
            (None, None) => fs::stat(&self.home.executable(&entry.executable))?.fingerprint,
        };
        let Fingerprint {
            device,
            inode,
            size,
            mtime_ns,
        } = fingerprint;
        let mtime_ns = u64::from_ne_bytes(mtime_ns.to_ne_bytes());
        let executable = [device, inode, size, mtime_ns];
        let mut all = serde_json::json!([executable, proposal.settings, proposal.input]);
        if let (Some(all), false) = (all.as_array_mut(), env.is_empty()) {
            all.push(serde_json::json!(env));
        }
        Ok(Hash::of(all.to_string().as_bytes()).to_string())
    }

    /// Reports settings of the manifest that have no effect, because they were
    /// also set by hand.
    fn report_hidden(&self, role: &RoleName, entry: &Entry, deploy_state: &DeployState) {
        let Some(spec) = self.spec(role) else {
            return;
        };
        // A role that was never resolved has no edited settings.
        if !deploy_state.settings_keys.contains_key(role) {
            return;
        }
        for (setting, value) in &spec.settings {
            if entry
                .by_hand
                .settings
                .get(setting)
                .is_some_and(|hand| hand != value)
            {
                self.events.emit(DeployEvent::Hidden {
                    role: role.clone(),
                    setting: setting.clone(),
                });
            }
        }
    }
}

/// Has components check settings for one run, merged over the stored settings
/// of `roles`. Writes nothing.
///
/// # Errors
///
/// Returns an error for the first role whose component does not accept them.
pub(crate) async fn check_settings<'r>(
    home: &Home,
    workspace: Option<&Workspace>,
    roles: impl IntoIterator<Item = (&'r RoleName, &'r Entry)>,
    settings: &[(String, String)],
    events: &Events,
) -> Result<(), Error> {
    if settings.is_empty() {
        return Ok(());
    }
    let ports = home.ports()?;
    let resolver = SettingsResolver {
        home,
        workspace,
        snapshot: None,
        new: None,
        ports: &ports,
        events,
    };
    let mut answers = Answers::default();
    for (role, entry) in roles {
        // A missing executable is reported when its role is started.
        let is_there = !entry.properties.is_program() && resolver.has_executable(&entry.executable);
        if !is_there || !resolver.kind(role, entry)?.is_component() {
            continue;
        }
        let told = read_json::<Envelope<Map<String, Value>>>(&home.file(Area::Settings, role))?;
        let input = read_json::<Envelope<Value>>(&home.file(Area::Input, role))?;
        let proposal = Proposal {
            settings: told.map(|told| told.value).unwrap_or_default(),
            input: input.map(|input| input.value),
            texts: settings.to_vec(),
            ..Proposal::default()
        };
        answers.ask(&resolver, role, entry, proposal).await?;
    }
    Ok(())
}

/// Reads a settings or input file of a snapshot.
pub fn read_given<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    // A symlink that is used leads to a file inside the snapshot.
    let path = match fs::resolve(path) {
        Err(error) if error.is_not_found() => return Ok(None),
        path => path?,
    };
    Ok(read_json::<Envelope<T>>(&path)?.map(|envelope| envelope.value))
}
