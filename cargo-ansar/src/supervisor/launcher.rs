//! Turns the properties of a role into a launch.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ansar_contract::launch::{self, CallSignature, Origin};
use ansar_contract::layout::Area;

use crate::error::Error;
use crate::home::Home;
use crate::home::history;
use crate::home::history::Kind;
use crate::home::role::Entry;
use crate::home::role_values::RoleValues;
use crate::host::fs::lock::Lock;
use crate::host::process::Program;
use crate::host::process::rlimit;
use crate::host::process::sd_notify::Notices;
use crate::host::{environment, fs};
use crate::model::name::RoleName;
use crate::model::readiness::Probe;
use crate::protocol::RunOptions;
use crate::supervisor::component_check::recognize;
use crate::supervisor::launch::{Conduct, Launch, Start};
use crate::supervisor::restart::Restarting;
use crate::supervisor::role_environment::with_own;
use crate::supervisor::scheduler::{READY_LIMIT, RoleKind};

/// State shared by the launches of one command or request.
#[derive(Debug, Clone)]
pub(crate) struct LaunchContext {
    /// The home.
    home: Home,
    /// The command that runs the roles.
    kind: Kind,
    /// The engine, as recorded in the history.
    writer: history::Engine,
    /// The environment shared by all processes.
    environment: Vec<(OsString, OsString)>,
    /// Time that each role gets to become ready.
    ready_limit: Duration,
    /// Input passed on stdin, replacing the input of each role.
    input: Option<Vec<u8>>,
    /// Settings for this run: names and values.
    settings: Vec<(String, String)>,
}

impl LaunchContext {
    /// Returns a context for launches by this process. Components send
    /// notifications to the socket `notices`. Their environment is
    /// `environment` plus the variables that identify them.
    pub(crate) fn new(
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
            input: None,
            settings: Vec::new(),
        })
    }

    /// Returns the same context with an input that replaces that of each role.
    pub(crate) fn with_input(self: Rc<Self>, input: Option<&[u8]>) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.input = input.map(<[u8]>::to_vec);
        Rc::new(launching)
    }

    /// Returns the same context with settings for this run.
    pub(crate) fn with_settings(self: Rc<Self>, settings: &[(String, String)]) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.settings = settings.to_vec();
        Rc::new(launching)
    }

    /// Returns the same context with another time to become ready.
    pub(crate) fn ready_within(self: Rc<Self>, ready_limit: Duration) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.ready_limit = ready_limit;
        Rc::new(launching)
    }

    /// Returns the launch of a role, which keeps `lock` while it runs. Creates
    /// the folders of the role for the first start.
    pub(crate) fn launch(
        self: &Rc<Self>,
        role: &RoleName,
        entry: &Entry,
        kind: RoleKind,
        lock: Lock,
    ) -> Result<Launch, Error> {
        self.home.runnable(&entry.executable)?;
        self.home.prepare(role)?;
        let notices = self.own_notices(entry)?;
        let address = notices
            .as_ref()
            .map(|own| own.address().as_os_str().to_owned());
        let first = Cell::new(true);
        let prepare = {
            let (shared, role, entry) = (self.clone(), role.clone(), entry.clone());
            move || {
                if !first.replace(false) {
                    let prepared = shared.home.prepare(&role);
                    prepared.map_err(|error| error.to_string())?;
                }
                let program = shared.program(&role, &entry);
                let mut program = program.map_err(|error| error.to_string())?;
                if let (Some(environment), Some(own)) = (&mut program.environment, &address) {
                    environment.retain(|(name, _)| name != launch::NOTIFY_SOCKET);
                    environment.push((launch::NOTIFY_SOCKET.into(), own.clone()));
                }
                Ok(Start::of(program))
            }
        };
        // Roles in the foreground are not restarted, so that the user sees the
        // failure.
        let restarting = if self.kind == Kind::Start {
            Restarting {
                restart: entry.properties.restart.unwrap_or_default(),
                steps: entry.properties.retry.clone(),
            }
        } else {
            Restarting::default()
        };
        let is_one_shot = entry.properties.ready.0.contains(&Probe::Done);
        Ok(Launch {
            role: role.clone(),
            executable: entry.executable.clone(),
            prepare: Box::new(prepare),
            kind,
            conduct: Conduct {
                stop: entry.properties.stop.into(),
                is_one_shot,
                ..Conduct::default()
            },
            properties: entry.properties.clone(),
            ready_limit: self.ready_limit_of(entry, is_one_shot),
            notices,
            options: RunOptions {
                settings: self.settings.clone(),
                ready_limit: (self.ready_limit != READY_LIMIT)
                    .then(|| self.ready_limit.as_secs_f64()),
            },
            restarting,
            lock: Some(lock),
            log: self.home.folder(Area::Logs, role),
            history: Some(
                self.home
                    .journal(role, &entry.executable, self.kind, self.writer),
            ),
            described: None,
            foreground: false,
        })
    }

    /// Returns the time that a role gets to become ready: that of the command,
    /// or else its own. Without either, a role that is ready when it has ended
    /// takes the time that it needs.
    fn ready_limit_of(&self, entry: &Entry, is_one_shot: bool) -> Option<Duration> {
        if self.ready_limit != READY_LIMIT {
            return Some(self.ready_limit);
        }
        let default = (!is_one_shot).then_some(READY_LIMIT);
        entry.properties.ready_timeout().or(default)
    }

    /// Returns a notification socket for this role alone, if its datagrams may
    /// not name it: those of a script, and of other libraries.
    fn own_notices(&self, entry: &Entry) -> Result<Option<Notices>, Error> {
        let path = self.home.executable(&entry.executable);
        let is_own = fs::is_script(&path) || entry.properties.ready.0.contains(&Probe::Notify);
        let notices = is_own.then(|| self.home.listen_notify_of_role());
        Ok(notices.transpose()?)
    }

    /// Returns the program of a role.
    fn program(&self, role: &RoleName, entry: &Entry) -> Result<Program, Error> {
        let path = self.home.runnable(&entry.executable)?;
        if !fs::is_file(&path) {
            return Err(Error::NoExecutable {
                name: entry.executable.clone(),
                meant: None,
            });
        }
        let mut home = OsString::from(format!("--{}=", launch::HOME_PATH));
        home.push(self.home.root());
        let signature = CallSignature {
            input: self.input.is_some(),
            output: true,
        };
        let origin = match self.kind {
            Kind::Start => Origin::Start,
            Kind::Run | Kind::Test | Kind::With => Origin::Run,
        };
        let input = self.input.as_ref();
        let stdin = input.map(|input| fs::unnamed(&self.home.engines(), input));
        recognize(String::new(), &entry.executable, &path)?;
        let ports = self.home.ports()?;
        let values = RoleValues {
            home: &self.home,
            role,
            executable: &entry.executable,
            ports: &ports,
        };
        let mut environment = with_own(self.environment.clone(), entry, &values)?;
        environment.push((launch::ROLE.into(), role.as_str().into()));
        let settings = self.settings.iter();
        let settings = settings.map(|(name, value)| format!("--{name}={value}").into());
        Ok(Program {
            path,
            arguments: [
                format!("--{}={signature}", launch::CALL_SIGNATURE).into(),
                format!("--{}={origin}", launch::POINT_OF_ORIGIN).into(),
                home,
                format!("--{}={role}", launch::ROLE_NAME).into(),
            ]
            .into_iter()
            .chain(settings)
            .collect(),
            environment: Some(environment),
            folder: Some(self.home.working_folder()),
            stdin: stdin.transpose()?,
        })
    }
}

/// Descriptors per role: a lock, a log, two pipes, one for its exit, and two for
/// a notification socket of its own.
const DESCRIPTORS: u64 = 7;
/// Descriptors of the command itself.
const OWN_DESCRIPTORS: u64 = 64;

/// Raises the limit on open descriptors for this number of roles.
pub(crate) fn ensure_descriptors(roles: usize) -> Result<(), Error> {
    let needed = roles as u64 * DESCRIPTORS + OWN_DESCRIPTORS;
    rlimit::make_room(needed).map_err(|most| Error::Descriptors {
        roles,
        needed,
        most,
    })
}
