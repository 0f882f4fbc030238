//! Settings and input of roles: laid over each other, checked by the component
//! itself, and stored.
//!
//! Field by field: the component's defaults, the manifest, the snapshot, what
//! was set by hand. The component is asked again only where one of these, or
//! the component, has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ansar_contract::envelope::Envelope;
use ansar_contract::launch;
use ansar_contract::layout::Area;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::deploy::snapshot_layout::{INPUTS, SETTINGS, VALUES, refusal};
use crate::error::Error;
use crate::events::{Events, Kind};
use crate::home::deploy_state::DeployState;
use crate::home::pending::Transaction;
use crate::home::role::{Entry, Origin};
use crate::home::{Home, read_json};
use crate::host::environment;
use crate::host::fs;
use crate::host::fs::{Fingerprint, Hash, Kind as FileKind};
use crate::host::process::{Exit, Narrative, Program};
use crate::manifest::RoleSpec;
use crate::model::duration::ShortDuration;
use crate::model::name::{ExecutableName, RoleName};
use crate::supervisor::component_check::recognize;
use crate::supervisor::role_environment::{Variables, of_roles, with_own};
use crate::workspace::Workspace;

/// What is needed to settle roles.
#[derive(Clone, Copy)]
pub struct SettingsResolver<'a> {
    /// The home.
    pub home: &'a Home,
    /// The workspace, where there is one.
    pub workspace: Option<&'a Workspace>,
    /// The snapshot, where there is one.
    pub snapshot: Option<&'a Path>,
    /// The executables that are about to be put in place, and what is asked
    /// instead of what is there.
    pub new: Option<&'a BTreeMap<ExecutableName, NewExecutable>>,
    /// The stream of events.
    pub events: &'a Events,
}

/// The snapshot that is laid over the manifest's settings: the configured one,
/// or else the one that was deployed by hand.
pub fn layer(workspace: Option<&Workspace>, deploy_state: &DeployState) -> Option<PathBuf> {
    let configured = workspace.and_then(Workspace::snapshot);
    configured.or_else(|| deploy_state.snapshot.clone())
}

/// Which files a snapshot has of what roles are told: most roles have none.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFiles {
    settings: BTreeSet<OsString>,
    values: BTreeSet<OsString>,
    inputs: BTreeSet<OsString>,
}

impl SnapshotFiles {
    /// What is there of it in a snapshot.
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

/// The names in a folder of a snapshot that are used: what stands there is
/// `expected`.
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

/// An executable that is about to be put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExecutable {
    /// Where it is.
    pub path: PathBuf,
    /// Which file it is, in which state.
    pub fingerprint: Fingerprint,
}

/// A role that is to be settled, and what comes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedSettings {
    /// The role.
    pub role: RoleName,
    /// What its files are made of.
    pub key: String,
    /// What the component accepted.
    pub accepted: Accepted,
    /// The files that change with it.
    pub changes: Vec<FileChange>,
}

/// A file of what a role is told that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct FileChange {
    /// Its settings, or its input.
    pub area: Area,
    /// What it says; nothing where there is none, or one that is no JSON.
    pub before: Option<Value>,
    /// What it is to say; nothing where it is to be gone.
    pub after: Option<Value>,
}

/// What a component is asked to accept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proposal {
    /// The settings that are not its defaults.
    pub settings: Map<String, Value>,
    /// The input, where it is not its default.
    pub input: Option<Value>,
    /// Settings by name, over the others; the component gives them their type.
    pub texts: Vec<(String, String)>,
    /// The encoding of just these settings, as the user gave it, so that the
    /// component says where in it something is wrong.
    pub settings_text: Option<Text>,
    /// The encoding of this input.
    pub input_text: Option<Text>,
}

/// An encoding that the user gave, which is read once: it may come from a pipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The name of its file in messages.
    pub name: PathBuf,
    /// What was read.
    pub bytes: Vec<u8>,
}

/// What a component accepted: all of its settings, and its input.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// All settings.
    pub settings: Value,
    /// The input; `null` where it takes none.
    pub input: Value,
}

/// Time a component gets to print its settings.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Finds the roles that are not settled, and has components check what these
/// are to be told. Nothing is written.
///
/// A role without an executable is left as it is. The first role that does not
/// accept its settings or input is the error.
pub async fn resolve_settings(
    resolver: &SettingsResolver<'_>,
    entries: &BTreeMap<RoleName, Entry>,
    deploy_state: &DeployState,
) -> Result<Vec<ResolvedSettings>, Error> {
    let mut answers = Answers::default();
    let files = SnapshotFiles::of(resolver.snapshot)?;
    let executables = entries.values().map(|entry| &entry.executable);
    let there: BTreeSet<&ExecutableName> = executables.collect();
    let there: BTreeSet<&ExecutableName> = there
        .into_iter()
        .filter(|name| resolver.has_executable(name))
        .collect();
    let mut all = Vec::new();
    for (role, entry) in entries {
        if entry.origin == Origin::Retired || !there.contains(&entry.executable) {
            continue;
        }
        let proposal = resolver.proposal(role, entry, &files)?;
        let key = resolver.key(entry, &proposal, deploy_state)?;
        let stored = fs::is_file(&resolver.home.file(Area::Settings, role));
        if stored && deploy_state.settled.get(role) == Some(&key) {
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

/// The files that differ from what was accepted.
fn changes(home: &Home, role: &RoleName, accepted: &Accepted) -> Vec<FileChange> {
    let mut changes = Vec::new();
    for (area, value) in accepted.files() {
        let path = home.file(area, role);
        // A file that cannot be read is replaced by one that can.
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

impl Accepted {
    /// What stands in which file; none where that is to be gone.
    fn files(&self) -> [(Area, Option<&Value>); 2] {
        [
            (Area::Settings, Some(&self.settings)),
            (Area::Input, self.input()),
        ]
    }

    /// The input; none where it takes none.
    fn input(&self) -> Option<&Value> {
        (!self.input.is_null()).then_some(&self.input)
    }
}

/// What components answered: where many roles propose the same, one is asked.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    known: Vec<Answer>,
    /// The environment that roles share, once a component was asked.
    shared: Option<Variables>,
}

/// What a component that is run in this environment answered to a proposal.
#[derive(Debug)]
struct Answer {
    executable: ExecutableName,
    env: BTreeMap<String, String>,
    proposal: Proposal,
    accepted: Accepted,
}

impl Answers {
    /// Asks a component if it accepts what is proposed, once for each question.
    ///
    /// What is not a component is refused, and not run.
    pub(crate) async fn ask(
        &mut self,
        resolver: &SettingsResolver<'_>,
        role: &RoleName,
        entry: &Entry,
        proposal: Proposal,
    ) -> Result<Accepted, Error> {
        let known = self.known.iter().find(|answer| {
            answer.executable == entry.executable
                && answer.env == entry.env
                && answer.proposal == proposal
        });
        if let Some(answer) = known {
            return Ok(answer.accepted.clone());
        }
        let shared = match &mut self.shared {
            Some(shared) => shared,
            none => none.insert(of_roles(resolver.home)),
        };
        let accepted = resolver.ask(role, entry, &proposal, shared).await?;
        self.known.push(Answer {
            executable: entry.executable.clone(),
            env: entry.env.clone(),
            proposal,
            accepted: accepted.clone(),
        });
        Ok(accepted)
    }
}

/// The settings of `base` and those given by name, with the types that the
/// component found for them.
pub(crate) fn by_name(
    base: &Map<String, Value>,
    texts: &[(String, String)],
    accepted: &Value,
) -> Map<String, Value> {
    let mut settings = base.clone();
    for (name, _) in texts {
        let field = name.replace('-', "_");
        for field in [name, &field] {
            if let Some(value) = accepted.get(field) {
                settings.insert(field.clone(), value.clone());
            }
        }
    }
    settings
}

/// Adds what a component accepted to a change of the home, unless a file is no
/// longer what was seen when that was decided; the file then, and nothing is added.
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

/// Adds what a component accepted to a change of the home.
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

impl SettingsResolver<'_> {
    pub(crate) fn has_executable(&self, name: &ExecutableName) -> bool {
        self.new_one(name).is_some() || fs::is_file(&self.home.executable(name))
    }

    fn new_one(&self, name: &ExecutableName) -> Option<&NewExecutable> {
        self.new?.get(name)
    }

    fn spec(&self, role: &RoleName) -> Option<&RoleSpec> {
        self.workspace?.description.as_ref()?.role(role)
    }

    /// Everything that is laid over the component's defaults.
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
            if files.settings.contains(OsStr::new(&file))
                && let Some(settings) =
                    read_given::<Map<_, _>>(&snapshot.join(SETTINGS).join(&file))?
            {
                proposal.settings.extend(settings);
            }
            if files.values.contains(OsStr::new(role.as_str())) {
                let folder = [VALUES.as_ref(), role.as_str().as_ref()];
                let values = snapshot.join(VALUES).join(role.as_str());
                for name in used(snapshot, &folder, FileKind::File)? {
                    if let Some(setting) = name.to_str().and_then(|it| it.strip_suffix(".json"))
                        && let Some(value) = read_given::<Value>(&values.join(&name))?
                    {
                        proposal.settings.insert(setting.to_owned(), value);
                    }
                }
            }
            if files.inputs.contains(OsStr::new(&file))
                && let Some(input) = read_given::<Value>(&snapshot.join(INPUTS).join(&file))?
            {
                proposal.input = Some(input);
            }
        }
        proposal.settings.extend(entry.by_hand.settings.clone());
        if let Some(input) = &entry.by_hand.input {
            proposal.input = Some(input.clone());
        }
        Ok(proposal)
    }

    /// Stands for everything that the stored files are made of.
    fn key(
        &self,
        entry: &Entry,
        proposal: &Proposal,
        deploy_state: &DeployState,
    ) -> Result<String, Error> {
        let known = deploy_state.executables.get(&entry.executable);
        let fingerprint = match (self.new_one(&entry.executable), known) {
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
        let executable = [device, inode, size, mtime_ns.cast_unsigned()];
        let mut all = serde_json::json!([executable, proposal.settings, proposal.input]);
        if let (Some(all), false) = (all.as_array_mut(), entry.env.is_empty()) {
            all.push(serde_json::json!(entry.env));
        }
        Ok(Hash::of(all.to_string().as_bytes()).to_string())
    }

    /// Says which edits of the manifest have no effect.
    fn report_hidden(&self, role: &RoleName, entry: &Entry, deploy_state: &DeployState) {
        let Some(spec) = self.spec(role) else {
            return;
        };
        // Where the role was never settled, nothing was edited.
        if !deploy_state.settled.contains_key(role) {
            return;
        }
        for (setting, value) in &spec.settings {
            if entry
                .by_hand
                .settings
                .get(setting)
                .is_some_and(|hand| hand != value)
            {
                self.events.emit(Kind::Hidden {
                    role: role.clone(),
                    setting: setting.clone(),
                });
            }
        }
    }

    /// Asks a component if it accepts what is proposed, in the environment that its role
    /// will have.
    async fn ask(
        &self,
        role: &RoleName,
        entry: &Entry,
        proposal: &Proposal,
        shared: &[(OsString, OsString)],
    ) -> Result<Accepted, Error> {
        let executable = &entry.executable;
        let place = match (self.workspace, self.spec(role)) {
            (Some(workspace), Some(spec)) => {
                format!(" ({}:{})", workspace.manifest.display(), spec.line)
            }
            _ => String::new(),
        };
        let path = match self.new_one(executable) {
            Some(new) => new.path.clone(),
            None => self.home.runnable(executable)?,
        };
        recognize(format!("role `{role}`{place}: "), executable, &path)?;
        let unaccepted = |reason: String| Error::Unaccepted {
            role: role.clone(),
            place: place.clone(),
            reason,
            tip: None,
        };
        let question = Question::new(self.home, proposal)?;
        let program = Program {
            path,
            arguments: question.arguments(self.home, role, proposal),
            environment: Some(with_own(shared.to_vec(), entry)),
            folder: Some(self.home.working_folder()),
            stdin: None,
        };
        let ran = tokio::time::timeout(ANSWER_LIMIT, program.run(Narrative::Piped)).await;
        let (exit, answer, narrative) = match ran {
            Err(_) => {
                return Err(unaccepted(format!(
                    "`{executable}` did not print its settings within {}",
                    ShortDuration(ANSWER_LIMIT)
                )));
            }
            Ok(Err(error)) => {
                return Err(unaccepted(format!("failed to run `{executable}`: {error}")));
            }
            Ok(Ok(ended)) => ended,
        };
        if exit != Exit::Code(0) {
            let narrative = String::from_utf8_lossy(&narrative);
            let mut lines = narrative.lines().map(str::trim).filter(|l| !l.is_empty());
            let reason = lines
                .next()
                .unwrap_or("it gave no reason")
                .trim_start_matches("error: ");
            let mut error = unaccepted(question.unname(reason));
            if let Error::Unaccepted { tip, .. } = &mut error {
                *tip = lines.find_map(|line| Some(line.strip_prefix("tip: ")?.to_owned()));
            }
            return Err(error);
        }
        let mut values =
            serde_json::Deserializer::from_slice(&answer).into_iter::<Envelope<Value>>();
        match (values.next(), values.next()) {
            (Some(Ok(settings)), Some(Ok(input))) => Ok(Accepted {
                settings: settings.value,
                input: input.value,
            }),
            _ => Err(unaccepted(format!(
                "`{executable}` printed something else than its settings"
            ))),
        }
    }
}

/// Has the components check settings for one run, which are laid over what
/// `roles` are told; nothing is written. The first role that does not accept
/// them is the error.
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
    let resolver = SettingsResolver {
        home,
        workspace,
        snapshot: None,
        new: None,
        events,
    };
    let mut answers = Answers::default();
    for (role, entry) in roles {
        // One that is missing is named where it is to be started.
        if !resolver.has_executable(&entry.executable) {
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

/// A file that a component is shown; removed on drop.
struct Shown {
    path: PathBuf,
    /// The name that the user knows it by, if it holds what the user gave.
    name: Option<PathBuf>,
}

impl Shown {
    /// A file that holds `bytes`, one of its name at a time.
    fn new(home: &Home, name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let path = home
            .engines()
            .join(format!("{}.{name}.json", environment::pid()));
        fs::write_own(&path, bytes)?;
        Ok(Self { path, name: None })
    }

    fn json<T: Serialize>(home: &Home, name: &str, value: &T) -> Result<Self, Error> {
        // What was read as JSON always has a text.
        let text = serde_json::to_vec(&Envelope::of(value)).unwrap_or_default();
        Self::new(home, name, &text)
    }

    fn given(home: &Home, name: &str, text: &Text) -> Result<Self, Error> {
        let mut shown = Self::new(home, name, &text.bytes)?;
        shown.name = Some(text.name.clone());
        Ok(shown)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The files that hold what is proposed; none where that is the default.
struct Question {
    settings: Option<Shown>,
    input: Option<Shown>,
}

impl Question {
    fn new(home: &Home, proposal: &Proposal) -> Result<Self, Error> {
        let settings = match &proposal.settings_text {
            Some(text) => Some(Shown::given(home, SETTINGS_FILE, text)?),
            None if proposal.settings.is_empty() => None,
            None => Some(Shown::json(home, SETTINGS_FILE, &proposal.settings)?),
        };
        let input = match (&proposal.input_text, &proposal.input) {
            (Some(text), _) => Some(Shown::given(home, INPUT_FILE, text)?),
            (None, Some(input)) => Some(Shown::json(home, INPUT_FILE, input)?),
            (None, None) => None,
        };
        Ok(Self { settings, input })
    }

    fn arguments(&self, home: &Home, role: &RoleName, proposal: &Proposal) -> Vec<OsString> {
        let flag = |name: &str, value: &Path| {
            let mut flag = OsString::from(format!("--{name}="));
            flag.push(value);
            flag
        };
        let mut arguments = vec![
            flag(launch::HOME_PATH, home.root()),
            flag(launch::ROLE_NAME, role.as_str().as_ref()),
            format!("--{}", launch::DUMP_SETTINGS).into(),
            format!("--{}", launch::DUMP_INPUT).into(),
        ];
        let settings = self.settings.iter();
        arguments.extend(settings.map(|file| flag(launch::SETTINGS_FILE, &file.path)));
        let input = self.input.iter();
        arguments.extend(input.map(|file| flag(launch::INPUT_FILE, &file.path)));
        let texts = proposal.texts.iter();
        arguments.extend(texts.map(|(name, text)| format!("--{name}={text}").into()));
        arguments
    }

    /// Takes the names of our files out of what a component says: the user
    /// never saw them.
    fn unname(&self, reason: &str) -> String {
        for (file, what) in [(&self.settings, SETTINGS_FILE), (&self.input, INPUT_FILE)] {
            let Some(file) = file else {
                continue;
            };
            let path = file.path.display().to_string();
            if let Some(name) = &file.name {
                if reason.contains(&path) {
                    return reason.replace(&path, &name.display().to_string());
                }
            } else if let Some(rest) = reason.strip_prefix(&format!("{path}:")) {
                // Their lines and columns mean nothing to the user, either.
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
                return format!("{what}: {}", rest.trim_start());
            }
        }
        reason.to_owned()
    }
}

/// What our files hold, which they are named after.
const SETTINGS_FILE: &str = "settings";
const INPUT_FILE: &str = "input";

/// Reads a file that the user wrote.
pub fn read_given<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    // A symlink that is used leads to a file inside of the snapshot.
    let path = match fs::resolve(path) {
        Err(error) if error.is_not_found() => return Ok(None),
        path => path?,
    };
    Ok(read_json::<Envelope<T>>(&path)?.map(|envelope| envelope.value))
}
