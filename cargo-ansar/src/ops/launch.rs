//! From a role's properties to how its process is started.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ansar_runtime::contract::launch::{self, CallSignature, Origin};
use ansar_runtime::contract::layout::Area;
use ansar_runtime::contract::message::Envelope;
use serde_json::{Map, Value};

use super::Error;
use super::environment::with_own;
use super::locate::Workspace;
use super::recognize::recognize;
use super::settle::{Answers, Proposal, Settling, folder};
use crate::event::Events;
use crate::home::entry::Entry;
use crate::home::history::{self, Kind};
use crate::home::{Home, read_json};
use crate::host::lock::Lock;
use crate::host::process::Program;
use crate::host::{environment, files, limits};
use crate::model::name::RoleName;
use crate::supervise::group::Part;
use crate::supervise::launch::Launch;
use crate::supervise::restart::Restarting;

/// What the launches of one command, or of one request, have in common.
#[derive(Debug, Clone)]
pub(super) struct Launching {
    /// The home.
    home: Home,
    /// What kind of run it is.
    kind: Kind,
    /// Who writes down what becomes of them.
    writer: history::Engine,
    /// The environment that their processes share.
    environment: Vec<(OsString, OsString)>,
    /// How long each may take to become ready.
    ready_limit: Duration,
    /// What each is given on stdin instead of its own input.
    given: Option<Vec<u8>>,
    /// The settings for this run, as arguments.
    settings: Vec<OsString>,
}

impl Launching {
    /// Launches by this process, of which components tell their state at
    /// `notices`; their environment is `environment` and what marks them.
    pub(super) fn new(
        home: &Home,
        kind: Kind,
        mut environment: Vec<(OsString, OsString)>,
        notices: &Path,
        ready_limit: Duration,
    ) -> Rc<Self> {
        let pid = environment::pid();
        let marks: [(&str, OsString); 3] = [
            (launch::PARENT, pid.to_string().into()),
            (launch::TOKEN, home.token(pid).into()),
            (launch::NOTIFY_SOCKET, notices.into()),
        ];
        environment.retain(|(name, _)| !marks.iter().any(|(mark, _)| name == mark));
        environment.extend(marks.map(|(name, value)| (name.into(), value)));
        Rc::new(Self {
            home: home.clone(),
            kind,
            writer: history::Engine::this(),
            environment,
            ready_limit,
            given: None,
            settings: Vec::new(),
        })
    }

    /// The same, giving each role what it works on.
    pub(super) fn giving(self: Rc<Self>, given: Option<&[u8]>) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.given = given.map(<[u8]>::to_vec);
        Rc::new(launching)
    }

    /// Returns the same launches with settings for this run, by name.
    pub(super) fn with_settings(self: Rc<Self>, settings: &[(String, String)]) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        let settings = settings.iter();
        let settings = settings.map(|(name, value)| format!("--{name}={value}").into());
        launching.settings = settings.collect();
        Rc::new(launching)
    }

    /// The launch of a role, which may be run while `lock` is held. Its folders
    /// are in place for the first start.
    pub(super) fn launch(
        self: &Rc<Self>,
        role: &RoleName,
        entry: &Entry,
        part: Part,
        lock: Lock,
    ) -> Result<Launch, Error> {
        self.home.runnable(&entry.executable)?;
        self.home.prepare(role)?;
        let first = Cell::new(true);
        let prepare = {
            let (shared, role, entry) = (self.clone(), role.clone(), entry.clone());
            move || {
                if !first.replace(false) {
                    let prepared = shared.home.prepare(&role);
                    prepared.map_err(|error| error.to_string())?;
                }
                let program = shared.program(&role, &entry);
                program.map_err(|error| error.to_string())
            }
        };
        // In the foreground somebody watches, and wants to know.
        let restarting = if self.kind == Kind::Start {
            Restarting {
                restart: entry.restart.unwrap_or_default(),
                steps: entry.retry.clone(),
            }
        } else {
            Restarting::default()
        };
        Ok(Launch {
            role: role.clone(),
            executable: entry.executable.clone(),
            prepare: Box::new(prepare),
            part,
            after: entry.after.clone(),
            timeout: entry.timeout(),
            ready_limit: self.ready_limit,
            restarting,
            lock: Some(lock),
            log: self.home.folder(Area::Logs, role),
            storage: entry.storage(),
            history: Some(
                self.home
                    .journal(role, &entry.executable, self.kind, self.writer),
            ),
            foreground: false,
        })
    }

    /// How to start a role.
    fn program(&self, role: &RoleName, entry: &Entry) -> Result<Program, Error> {
        let path = self.home.runnable(&entry.executable)?;
        if !files::is_file(&path) {
            return Err(Error::NoExecutable {
                name: entry.executable.clone(),
                meant: None,
            });
        }
        let mut home = OsString::from(format!("--{}=", launch::HOME_PATH));
        home.push(self.home.root());
        let signature = CallSignature {
            input: self.given.is_some(),
            output: true,
        };
        let origin = match self.kind {
            Kind::Start => Origin::Start,
            Kind::Run | Kind::Test | Kind::With => Origin::Run,
        };
        let given = self.given.as_ref();
        let stdin = given.map(|given| files::unnamed(&self.home.engines(), given));
        recognize(String::new(), &entry.executable, &path)?;
        let mut environment = with_own(self.environment.clone(), entry);
        environment.push((launch::ROLE.into(), role.as_str().into()));
        Ok(Program {
            path,
            arguments: [
                format!("--{}={signature}", launch::CALL_SIGNATURE).into(),
                format!("--{}={origin}", launch::POINT_OF_ORIGIN).into(),
                home,
                format!("--{}={role}", launch::ROLE_NAME).into(),
            ]
            .into_iter()
            .chain(self.settings.iter().cloned())
            .collect(),
            environment: Some(environment),
            folder: Some(folder(&self.home)),
            stdin: stdin.transpose()?,
        })
    }
}

/// Has the components check settings for one run, which are laid over what
/// `roles` are told; nothing is written. The first role that does not accept
/// them is the error.
pub(super) async fn check_settings<'r>(
    home: &Home,
    workspace: Option<&Workspace>,
    roles: impl IntoIterator<Item = (&'r RoleName, &'r Entry)>,
    settings: &[(String, String)],
    events: &Events,
) -> Result<(), Error> {
    if settings.is_empty() {
        return Ok(());
    }
    let settling = Settling {
        home,
        workspace,
        snapshot: None,
        new: None,
        events,
    };
    let mut answers = Answers::default();
    for (role, entry) in roles {
        // One that is missing is named where it is to be started.
        if !settling.has_executable(&entry.executable) {
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
        answers.ask(&settling, role, entry, proposal).await?;
    }
    Ok(())
}

/// How many descriptors a role takes: a lock, a log, two pipes, its end.
const DESCRIPTORS: u64 = 5;
/// How many the command itself takes.
const DESCRIPTORS_OF_OURS: u64 = 64;

/// Makes room for the descriptors of roles.
pub(super) fn make_room(roles: usize) -> Result<(), Error> {
    let needed = roles as u64 * DESCRIPTORS + DESCRIPTORS_OF_OURS;
    limits::make_room(needed).map_err(|most| Error::Descriptors {
        roles,
        needed,
        most,
    })
}
