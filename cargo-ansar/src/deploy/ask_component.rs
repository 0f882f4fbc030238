//! Asking a component to validate the settings and input of a role.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ansar_contract::envelope::Envelope;
use ansar_contract::launch;
use ansar_contract::layout::Area;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::deploy::settings_context::SettingsResolver;
use crate::error::{DeployError, Error};
use crate::home::Home;
use crate::home::program::ProgramError;
use crate::home::role::Entry;
use crate::home::role_values::RoleValues;
use crate::host::environment;
use crate::host::fs;
use crate::host::process::{Exit, Program, StderrMode};
use crate::model::duration::ShortDuration;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::placeholder::{Placeholder, Template};
use crate::supervisor::executable_kind::recognize;
use crate::supervisor::role_environment::{Variables, of_roles, own, with_own};

/// Time a component gets to print its settings.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Settings and input that a component is asked to accept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proposal {
    /// Settings that differ from the component's defaults.
    pub settings: Map<String, Value>,
    /// Input, or `None` for the component's default.
    pub input: Option<Value>,
    /// Settings given as text by name. They override the others, and the
    /// component decides their type.
    pub texts: Vec<(String, String)>,
    /// The settings as the user wrote them, so that the component's errors
    /// refer to positions in that text.
    pub settings_text: Option<Text>,
    /// The input as the user wrote it.
    pub input_text: Option<Text>,
}

impl Proposal {
    /// Returns the proposal with the values of the placeholders in its
    /// settings. A setting that is nothing but a port or a number becomes a
    /// number.
    pub(crate) fn resolved(&self, values: &RoleValues<'_>) -> Result<Self, ProgramError> {
        let mut proposal = self.clone();
        for value in proposal.settings.values_mut() {
            resolve(value, values)?;
        }
        for (_, text) in &mut proposal.texts {
            *text = resolved_text(text, values)?;
        }
        if proposal.settings != self.settings {
            // The text as written has placeholders.
            proposal.settings_text = None;
        }
        Ok(proposal)
    }
}

fn resolve(value: &mut Value, values: &RoleValues<'_>) -> Result<(), ProgramError> {
    match value {
        Value::String(text) => {
            let only = Template::lenient(text).only().cloned();
            let resolved = resolved_text(text, values)?;
            let is_number = matches!(only, Some(Placeholder::Port { .. } | Placeholder::Number));
            *value = match resolved.parse::<u64>() {
                Ok(number) if is_number => number.into(),
                _ => Value::String(resolved),
            };
            Ok(())
        }
        Value::Array(elements) => elements.iter_mut().try_for_each(|it| resolve(it, values)),
        Value::Object(fields) => fields.values_mut().try_for_each(|it| resolve(it, values)),
        _ => Ok(()),
    }
}

/// Returns a setting with the values of its placeholders. A number that the
/// role does not have stays as it is written.
fn resolved_text(text: &str, values: &RoleValues<'_>) -> Result<String, ProgramError> {
    Template::lenient(text).resolve(
        &|placeholder| match (placeholder, values.get(placeholder)) {
            (Placeholder::Number, Err(_)) => Ok(placeholder.to_string()),
            (_, value) => Ok(value?),
        },
    )
}

/// A text from the user. It is read once, because it may come from a pipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Name of the file in messages.
    pub name: PathBuf,
    /// Contents of the file.
    pub bytes: Vec<u8>,
}

/// Settings and input that a component accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// All settings, including defaults.
    pub settings: Value,
    /// The input, or `null` if the component takes none.
    pub input: Value,
}

impl Accepted {
    /// Returns the contents of both files; `None` for one to be removed.
    pub(crate) fn files(&self) -> [(Area, Option<&Value>); 2] {
        [
            (Area::Settings, Some(&self.settings)),
            (Area::Input, self.input()),
        ]
    }

    /// Returns the input, or `None` if the component takes none.
    pub(crate) fn input(&self) -> Option<&Value> {
        (!self.input.is_null()).then_some(&self.input)
    }
}

/// Cache of answers: of roles that propose the same, only one is asked.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    known: Vec<Answer>,
    /// Environment shared by all roles, read at the first question.
    shared: Option<Variables>,
}

/// The answer of an executable to a proposal, in an environment.
#[derive(Debug)]
struct Answer {
    executable: ExecutableName,
    env: BTreeMap<String, String>,
    proposal: Proposal,
    accepted: Accepted,
}

impl Answers {
    /// Asks a component to accept a proposal, unless it has answered the same
    /// before.
    ///
    /// An executable that is not a component is refused without running it.
    pub(crate) async fn ask(
        &mut self,
        resolver: &SettingsResolver<'_>,
        role: &RoleName,
        entry: &Entry,
        proposal: Proposal,
    ) -> Result<Accepted, Error> {
        let values = resolver.values(role, entry);
        let env = own(entry, &values)?;
        let proposal = proposal.resolved(&values)?;
        let known = self.known.iter().find(|answer| {
            answer.executable == entry.executable
                && answer.env == env
                && answer.proposal == proposal
        });
        if let Some(answer) = known {
            return Ok(answer.accepted.clone());
        }
        let shared = match &mut self.shared {
            Some(shared) => shared,
            none => none.insert(of_roles(resolver.home)),
        };
        let accepted = ask(resolver, role, entry, &proposal, shared).await?;
        self.known.push(Answer {
            executable: entry.executable.clone(),
            env,
            proposal,
            accepted: accepted.clone(),
        });
        Ok(accepted)
    }
}

/// Asks a component to accept a proposal, in the environment of its role.
async fn ask(
    resolver: &SettingsResolver<'_>,
    role: &RoleName,
    entry: &Entry,
    proposal: &Proposal,
    shared: &[(OsString, OsString)],
) -> Result<Accepted, Error> {
    let executable = &entry.executable;
    let place = resolver.place(role);
    let path = match resolver.new_executable(executable) {
        Some(new) => new.path.clone(),
        None => resolver.home.runnable(executable)?,
    };
    recognize(format!("role `{role}`{place}: "), executable, &path)?;
    let unaccepted = |reason: String| {
        Error::Deploy(DeployError::Rejected {
            role: role.clone(),
            place: place.clone(),
            reason,
            tip: None,
        })
    };
    let files = ProposalFiles::new(resolver.home, proposal)?;
    let program = Program {
        path,
        arguments: files.arguments(resolver.home, role, proposal),
        environment: Some(with_own(
            shared.to_vec(),
            entry,
            &resolver.values(role, entry),
        )?),
        folder: Some(resolver.home.working_folder()),
        stdin: None,
    };
    let ran = tokio::time::timeout(ANSWER_LIMIT, program.run(StderrMode::Piped)).await;
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
        let mut error = unaccepted(files.hide_paths(reason));
        if let Error::Deploy(DeployError::Rejected { tip, .. }) = &mut error {
            *tip = lines.find_map(|line| Some(line.strip_prefix("tip: ")?.to_owned()));
        }
        return Err(error);
    }
    accepted(&answer).ok_or_else(|| {
        unaccepted(format!(
            "`{executable}` printed something else than its settings"
        ))
    })
}

/// Returns the settings and the input that a component has printed.
fn accepted(answer: &[u8]) -> Option<Accepted> {
    let mut values = serde_json::Deserializer::from_slice(answer).into_iter::<Envelope<Value>>();
    Some(Accepted {
        settings: values.next()?.ok()?.value,
        input: values.next()?.ok()?.value,
    })
}

/// A file that is passed to a component; removed on drop.
struct TemporaryFile {
    path: PathBuf,
    /// Name of the user's file, if this one holds its text.
    name: Option<PathBuf>,
}

impl TemporaryFile {
    /// Writes a file. Only one file of each name may exist at a time.
    fn new(home: &Home, name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let path = home
            .engines()
            .join(format!("{}.{name}.json", environment::pid()));
        fs::write_in_place(&path, bytes)?;
        Ok(Self { path, name: None })
    }

    fn json<T: Serialize>(home: &Home, name: &str, value: &T) -> Result<Self, Error> {
        // Values read as JSON can always be written as JSON.
        let text = serde_json::to_vec(&Envelope::of(value)).unwrap_or_default();
        Self::new(home, name, &text)
    }

    fn given(home: &Home, name: &str, text: &Text) -> Result<Self, Error> {
        let mut file = Self::new(home, name, &text.bytes)?;
        file.name = Some(text.name.clone());
        Ok(file)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Files that hold a proposal; `None` for a component's defaults.
struct ProposalFiles {
    settings: Option<TemporaryFile>,
    input: Option<TemporaryFile>,
}

impl ProposalFiles {
    fn new(home: &Home, proposal: &Proposal) -> Result<Self, Error> {
        let settings = match &proposal.settings_text {
            Some(text) => Some(TemporaryFile::given(home, SETTINGS_FILE, text)?),
            None if proposal.settings.is_empty() => None,
            None => Some(TemporaryFile::json(
                home,
                SETTINGS_FILE,
                &proposal.settings,
            )?),
        };
        let input = match (&proposal.input_text, &proposal.input) {
            (Some(text), _) => Some(TemporaryFile::given(home, INPUT_FILE, text)?),
            (None, Some(input)) => Some(TemporaryFile::json(home, INPUT_FILE, input)?),
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

    /// Removes the names of temporary files from a component's error message:
    /// the user does not know them.
    fn hide_paths(&self, reason: &str) -> String {
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
                // Lines and columns mean nothing to the user either.
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
                return format!("{what}: {}", rest.trim_start());
            }
        }
        reason.to_owned()
    }
}

/// Names of the temporary files.
const SETTINGS_FILE: &str = "settings";
const INPUT_FILE: &str = "input";
