//! Turns the properties of a role into a launch.

use std::cell::Cell;
use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ansar_contract::launch::{self, CallSignature, Origin};
use ansar_contract::layout::Area;

use crate::error::{DeployError, EngineError, Error, with_causes};
use crate::home::Home;
use crate::home::history;
use crate::home::history::Kind;
use crate::home::ports::Ports;
use crate::home::program::{ProgramError, ProgramSearch, base};
use crate::home::role::Entry;
use crate::home::role_values::RoleValues;
use crate::home::setup::SetupState;
use crate::host::fs::lock::Lock;
use crate::host::net::own_network::{Network, in_network};
use crate::host::net::ports::{HeldPort, HoldError};
use crate::host::net::sockets;
use crate::host::process::Program;
use crate::host::process::copy_folder::Target;
use crate::host::process::sd_notify::Notices;
use crate::host::process::{copy_folder, rlimit, unprivileged};
use crate::host::{environment, fs};
use crate::model::name::RoleName;
use crate::model::placeholder::{DEFAULT_PORT, Template};
use crate::model::readiness::{Health, Probe};
use crate::model::role_properties::NetworkKind;
use crate::model::role_properties::READY_LIMIT;
use crate::model::test_target::TestRun;
use crate::protocol::RunOptions;
use crate::supervisor::executable_kind::{ExecutableKind, kind_of, path_of};
use crate::supervisor::launch::{
    Conduct, Judge, Launch, Output, Record, Setup, SetupCommand, Start,
};
use crate::supervisor::one_shot;
use crate::supervisor::restart::Restarting;
use crate::supervisor::role_environment::{Variables, with_own};
use crate::supervisor::scheduler::RoleKind;
use crate::supervisor::setup_result::SetupKeys;
use crate::supervisor::test_options::TestOptions;

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
    /// Role that gets the terminal of this command.
    at_terminal: Option<RoleName>,
    /// Settings for this run: names and values.
    settings: Vec<(String, String)>,
    /// Options of this run for roles that run tests.
    tests: TestOptions,
    /// The ports of the home's roles. A deploy that changes them restarts every
    /// role that refers to them, in a new context.
    ports: Ports,
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
    ) -> Result<Rc<Self>, Error> {
        let pid = environment::pid();
        let marks: [(&str, OsString); 3] = [
            (launch::PARENT, pid.to_string().into()),
            (launch::TOKEN, home.token(pid).into()),
            (launch::NOTIFY_SOCKET, notices.into()),
        ];
        environment.retain(|(name, _)| !marks.iter().any(|(mark, _)| name == mark));
        environment.extend(marks.map(|(name, value)| (name.into(), value)));
        Ok(Rc::new(Self {
            home: home.clone(),
            kind,
            writer: history::Engine::this(),
            environment,
            ready_limit,
            input: None,
            at_terminal: None,
            settings: Vec::new(),
            tests: TestOptions::NONE.clone(),
            ports: home.ports()?,
        }))
    }

    /// Returns the same context with these ports.
    pub(crate) fn with_ports(self: Rc<Self>, ports: Ports) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.ports = ports;
        Rc::new(launching)
    }

    /// Returns the ports as a role sees them.
    fn ports_of(&self, role: &RoleName, entry: &Entry, kind: RoleKind) -> Ports {
        match &entry.instance {
            Some(instance) => self.ports.seen_from(&instance.test, &instance.fresh),
            None if kind == RoleKind::Test => self.ports.seen_from(role, &entry.properties.fresh),
            None => self.ports.clone(),
        }
    }

    /// Returns the same context with an input that replaces that of each role.
    pub(crate) fn with_input(self: Rc<Self>, input: Option<&[u8]>) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.input = input.map(<[u8]>::to_vec);
        Rc::new(launching)
    }

    /// Returns the same context with a role that gets the terminal.
    pub(crate) fn with_terminal(self: Rc<Self>, role: Option<&RoleName>) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.at_terminal = role.cloned();
        Rc::new(launching)
    }

    /// Returns the same context with settings for this run.
    pub(crate) fn with_settings(self: Rc<Self>, settings: &[(String, String)]) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.settings = settings.to_vec();
        Rc::new(launching)
    }

    /// Returns the same context with options for roles that run tests.
    pub(crate) fn with_tests(self: Rc<Self>, tests: &TestOptions) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.tests = tests.clone();
        Rc::new(launching)
    }

    /// Returns the same context with another time to become ready.
    pub(crate) fn ready_within(self: Rc<Self>, ready_limit: Duration) -> Rc<Self> {
        let mut launching = Rc::unwrap_or_clone(self);
        launching.ready_limit = ready_limit;
        Rc::new(launching)
    }

    /// Returns the kind of parent that a role is told.
    fn origin(&self) -> Origin {
        match self.kind {
            Kind::Start => Origin::Start,
            Kind::Run | Kind::Test | Kind::With => Origin::Run,
        }
    }

    /// Returns the launch of a role, which keeps `lock` while it runs. Creates
    /// the folders of the role for the first start, and holds its ports.
    pub(crate) fn launch(
        self: &Rc<Self>,
        role: &RoleName,
        entry: &Entry,
        kind: RoleKind,
        lock: Lock,
    ) -> Result<Launch, Error> {
        let path = path_of(&self.home, role, entry, &self.environment)?;
        if entry.instance.is_some() {
            self.home.clear_instance(role)?;
        }
        self.home.prepare(role)?;
        let executable = kind_of_role(role, entry, &path)?;
        let notices = self.own_notices(entry, executable)?;
        let is_apart = entry.properties.network == Some(NetworkKind::Own);
        let network = is_apart.then(|| self.home.network()).transpose()?;
        let context = RoleContext {
            ports: self.ports_of(role, entry, kind),
            shared: self.clone(),
            role: role.clone(),
            entry: entry.clone(),
            kind,
            executable,
            notices: notices.as_ref().map(|it| it.address().to_owned()),
            starts: Cell::new(0),
            network,
        };
        let is_at_terminal = context.is_at_terminal();
        let ports = context.hold_ports()?;
        let setup = context.awaited_setup()?;
        let conduct = context.conduct();
        let is_recorded = conduct.is_one_shot && entry.instance.is_none();
        let succeeded = is_recorded.then(|| context.record_success());
        let ready_limit = context.ready_limit();
        let mut properties = entry.properties.clone();
        properties.after = one_shot::needed(&self.home, entry)?;
        Ok(Launch {
            role: role.clone(),
            executable: entry.executable.clone(),
            prepare: Box::new(move || context.prepare()),
            kind,
            conduct,
            properties,
            ready_limit,
            notices,
            ports,
            setup,
            succeeded,
            options: RunOptions {
                settings: self.settings.clone(),
                ready_limit: (self.ready_limit != READY_LIMIT)
                    .then(|| self.ready_limit.as_secs_f64()),
            },
            restarting: self.restarting(entry),
            lock: Some(lock),
            log: self.home.folder(Area::Logs, role),
            owner: entry.instance.as_ref().map(|it| it.test.clone()),
            history: entry.instance.is_none().then(|| {
                let (kind, writer) = (self.kind, self.writer);
                self.home.journal(role, &entry.executable, kind, writer)
            }),
            described: None,
            is_held: false,
            foreground: is_at_terminal,
            reading: None,
        })
    }

    /// Returns the notification socket of this role alone, if it needs one:
    /// datagrams of scripts and of other libraries do not name their role.
    fn own_notices(
        &self,
        entry: &Entry,
        executable: ExecutableKind,
    ) -> Result<Option<Notices>, Error> {
        let ready = &entry.properties.ready.0;
        let has_own = executable == ExecutableKind::Component { is_script: true }
            || ready.contains(&Probe::Notify)
            || (ready.is_empty() && executable == ExecutableKind::Wrapped { announces: true });
        let notices = has_own.then(|| self.home.listen_notify_of_role());
        Ok(notices.transpose()?)
    }

    /// Returns the restarts of a role. In the foreground there are none, so that
    /// the user sees the failure.
    fn restarting(&self, entry: &Entry) -> Restarting {
        if self.kind != Kind::Start {
            return Restarting::default();
        }
        Restarting {
            restart: entry.properties.restart.unwrap_or_default(),
            steps: entry.properties.retry.clone(),
        }
    }
}

/// Returns the kind of the executable of a role. A missing one counts as a
/// program, and is reported by the start.
fn kind_of_role(role: &RoleName, entry: &Entry, path: &Path) -> Result<ExecutableKind, Error> {
    if !fs::is_file(path) {
        return Ok(ExecutableKind::Program);
    }
    let executable = kind_of(format!("role `{role}`: "), entry, path)?;
    match (&entry.instance, executable) {
        (Some(instance), ExecutableKind::Component { .. }) => Err(ProgramError::Fresh {
            test: instance.test.clone(),
            role: instance.of.clone(),
            reason: "it is a component, whose settings are those of one role".to_owned(),
        }
        .into()),
        _ => Ok(executable),
    }
}

/// Everything that the starts of one role are made of.
struct RoleContext {
    /// The ports of the home, as the role sees them.
    ports: Ports,
    shared: Rc<LaunchContext>,
    role: RoleName,
    entry: Entry,
    kind: RoleKind,
    executable: ExecutableKind,
    /// The notification socket of this role alone.
    notices: Option<PathBuf>,
    /// Number of starts.
    starts: Cell<u32>,
    /// The network of the role; that of the system if unset.
    network: Option<Rc<Network>>,
}

impl RoleContext {
    /// Prepares the next start. The folders are there for the first one.
    fn prepare(&self) -> Result<Start, String> {
        if self.starts.replace(self.starts.get() + 1) > 0 {
            if self.entry.instance.is_some() {
                let cleared = self.shared.home.clear_instance(&self.role);
                cleared.map_err(|error| error.to_string())?;
            }
            let prepared = self.shared.home.prepare(&self.role);
            prepared.map_err(|error| error.to_string())?;
        }
        self.start().map_err(|error| with_causes(&error))
    }

    /// Returns true if the role gets the terminal of this command.
    fn is_at_terminal(&self) -> bool {
        self.shared.at_terminal.as_ref() == Some(&self.role)
    }

    /// Returns the consequences of the kind of executable.
    fn conduct(&self) -> Conduct {
        let properties = &self.entry.properties;
        let is_one_shot = properties.ready.is_done();
        let of_exit = match self.kind {
            // Its output goes to the terminal.
            _ if self.is_at_terminal() => Judge::Task,
            RoleKind::Test => Judge::Check,
            RoleKind::Operational if is_one_shot || self.shared.kind == Kind::Run => Judge::Task,
            RoleKind::Operational => Judge::Service,
        };
        let (output, judge) = match self.executable {
            _ if self.is_at_terminal() => (Output::Log, of_exit),
            ExecutableKind::Component { .. } => (Output::Message, Judge::Message),
            ExecutableKind::Tests => (Output::Message, Judge::Report),
            ExecutableKind::Wrapped { .. } => (Output::LogAndMessage, of_exit),
            ExecutableKind::Program => (Output::Log, of_exit),
        };
        Conduct {
            output,
            judge,
            stop: properties.stop.into(),
            is_one_shot,
            tells_slow: self.executable == ExecutableKind::Tests,
        }
    }

    /// Returns the function that records a successful run of a one-shot role.
    fn record_success(&self) -> Record {
        let home = self.shared.home.clone();
        let (role, entry) = (self.role.clone(), self.entry.clone());
        Box::new(move || {
            let recorded = one_shot::record(&home, &role, &entry);
            recorded.map_err(|error| with_causes(&error))
        })
    }

    /// Returns the time to become ready. A one-shot role may run as long as it
    /// needs.
    fn ready_limit(&self) -> Option<Duration> {
        let properties = &self.entry.properties;
        if self.shared.ready_limit != READY_LIMIT {
            return Some(self.shared.ready_limit);
        }
        match properties.ready_timeout() {
            None if properties.ready.is_done() => None,
            limit => Some(limit.unwrap_or(READY_LIMIT)),
        }
    }

    /// Holds the ports of the role, so that no other program gets them before
    /// it listens.
    fn hold_ports(&self) -> Result<Vec<HeldPort>, Error> {
        if self.entry.properties.hold == Some(false) || self.network.is_some() {
            return Ok(Vec::new());
        }
        let held = self.ports.of(&self.role).map(|(_, port)| {
            let address = SocketAddrV4::new(self.ports.bind(), port);
            HeldPort::hold(address).map_err(|error| {
                let role = self.role.clone();
                match error {
                    HoldError::InUse => ProgramError::PortTaken {
                        role,
                        port,
                        is_fixed: self.entry.properties.ports.values().any(|it| *it == port),
                        owner: sockets::listener_on(address),
                    },
                    HoldError::System(source) => ProgramError::PortRefused {
                        role,
                        port,
                        reason: source.to_string(),
                    },
                }
            })
        });
        Ok(held.collect::<Result<_, _>>()?)
    }

    /// Returns everything that one start of the role needs.
    fn start(&self) -> Result<Start, Error> {
        let (home, entry) = (&self.shared.home, &self.entry);
        let properties = &entry.properties;
        let path = path_of(home, &self.role, entry, &self.shared.environment)?;
        if !fs::is_file(&path) {
            return Err(Error::Deploy(DeployError::NoExecutable {
                name: entry.executable.clone(),
                meant: None,
            }));
        }
        let kind = kind_of(String::new(), entry, &path)?;
        if kind != self.executable {
            return Err(ProgramError::OtherKind {
                role: self.role.clone(),
                executable: entry.executable.to_string(),
            }
            .into());
        }
        let ports = &self.ports;
        let values = RoleValues {
            home,
            role: &self.role,
            executable: &entry.executable,
            ports,
        };
        let port = ports.address(&self.role, DEFAULT_PORT);
        let environment = self.environment(&values)?;
        let mut program = match kind {
            ExecutableKind::Component { .. } => {
                self.component(path.clone(), environment, &values)?
            }
            ExecutableKind::Wrapped { .. } | ExecutableKind::Program => {
                self.program(path.clone(), environment, &values)?
            }
            ExecutableKind::Tests => self.tests(path.clone(), environment, &values)?,
        };
        let probes = self.probes(port.is_some());
        let resolve = |text: &Template| values.resolve(text);
        let probes = probes.iter().map(|probe| {
            let probe = probe.resolve(resolve)?;
            Ok(self.with_command_found(probe, &path))
        });
        let health = properties.health.as_ref();
        let health = health.map(|health| -> Result<_, ProgramError> {
            let health = health.resolve(resolve)?;
            Ok(Health {
                probe: self.with_command_found(health.probe, &path),
                ..health
            })
        });
        let steps = self.steps(&path, &program, &values)?;
        let after_all = ("after-all", &*path);
        let after_all = self.commands(&properties.after_all, after_all, &program, &values)?;
        // At the terminal, it is what it is by hand.
        if matches!(kind, ExecutableKind::Wrapped { .. }) && !self.is_at_terminal() {
            let environment = program.environment.get_or_insert_default();
            environment.push((launch::LAUNCH.into(), self.launch_variable()));
        }
        Ok(Start {
            steps,
            after_all,
            program,
            probes: probes.collect::<Result<_, ProgramError>>()?,
            health: health.transpose()?,
            port,
            network: self.network.clone(),
        })
    }

    /// Returns the probes of the role: its own, or the default of its kind.
    fn probes(&self, has_port: bool) -> Vec<Probe<Template>> {
        let own = &self.entry.properties.ready.0;
        if !own.is_empty() {
            return own.clone();
        }
        match (self.executable, self.kind) {
            // It announces its readiness.
            (ExecutableKind::Component { .. }, _) => Vec::new(),
            (ExecutableKind::Wrapped { announces: true }, _) if !self.is_at_terminal() => {
                vec![Probe::Notify]
            }
            (_, RoleKind::Operational) if has_port => vec![Probe::Listen(None)],
            (_, _) => vec![Probe::Started],
        }
    }

    /// Returns the probe with the path of its command.
    fn with_command_found(&self, mut probe: Probe<String>, program: &Path) -> Probe<String> {
        let name = match &mut probe {
            Probe::Command { command, .. } => command.first_mut(),
            _ => None,
        };
        if let Some(name) = name {
            let path = self.command(program, name);
            if let Some(Ok(path)) = path.map(|path| path.into_os_string().into_string()) {
                *name = path;
            }
        }
        probe
    }

    /// Returns the path of a command that the role needs.
    fn command(&self, program: &Path, name: &str) -> Option<PathBuf> {
        let search = ProgramSearch {
            base: base(&self.shared.home),
            environment: &self.shared.environment,
        };
        search.command(Some(program), name)
    }

    fn environment(&self, values: &RoleValues<'_>) -> Result<Variables, Error> {
        let mut environment = self.shared.environment.clone();
        if self.kind == RoleKind::Test {
            let ports = values.ports.variables().into_iter();
            environment.extend(ports.map(|(name, value)| (name.into(), value.into())));
        }
        let mut environment = with_own(environment, &self.entry, values)?;
        let notifies = self.executable.is_component() || self.executable == ExecutableKind::Tests;
        if !notifies || self.notices.is_some() {
            environment.retain(|(name, _)| name != launch::NOTIFY_SOCKET);
        }
        if let Some(notices) = &self.notices {
            environment.push((launch::NOTIFY_SOCKET.into(), notices.into()));
        }
        environment.push((launch::ROLE.into(), self.role.as_str().into()));
        Ok(environment)
    }

    /// Returns the variable that tells an application which wraps its `main` its
    /// role.
    fn launch_variable(&self) -> OsString {
        let mut launch = OsString::from(format!("{}:", self.shared.origin()));
        launch.push(self.shared.home.root());
        launch
    }

    /// Returns the settings of this run, as arguments.
    fn settings(&self) -> impl Iterator<Item = OsString> {
        let settings = self.shared.settings.iter();
        settings.map(|(name, value)| format!("--{name}={value}").into())
    }

    /// Returns the program of a component.
    fn component(
        &self,
        path: PathBuf,
        environment: Variables,
        values: &RoleValues<'_>,
    ) -> Result<Program, Error> {
        let shared = &self.shared;
        let mut home = OsString::from(format!("--{}=", launch::HOME_PATH));
        home.push(shared.home.root());
        let signature = CallSignature {
            input: shared.input.is_some(),
            output: !self.is_at_terminal(),
        };
        let origin = shared.origin();
        let input = shared.input.as_ref();
        let stdin = input.map(|input| fs::unnamed(&shared.home.engines(), input));
        let folder = match &self.entry.properties.cwd {
            Some(_) => self.folder(values)?,
            None => shared.home.working_folder(),
        };
        self.in_its_namespaces(Program {
            path,
            arguments: [
                format!("--{}={signature}", launch::CALL_SIGNATURE).into(),
                format!("--{}={origin}", launch::POINT_OF_ORIGIN).into(),
                home,
                format!("--{}={}", launch::ROLE_NAME, self.role).into(),
            ]
            .into_iter()
            .chain(self.settings())
            .collect(),
            environment: Some(environment),
            folder: Some(folder),
            stdin: stdin.transpose()?,
        })
    }

    /// Returns any other program.
    fn program(
        &self,
        path: PathBuf,
        environment: Variables,
        values: &RoleValues<'_>,
    ) -> Result<Program, Error> {
        let arguments = self.entry.properties.args.iter();
        let arguments = arguments.map(|text| values.resolve(text).map(OsString::from));
        let arguments = arguments.chain(self.settings().map(Ok));
        self.in_its_namespaces(Program {
            path,
            arguments: arguments.collect::<Result<_, ProgramError>>()?,
            environment: Some(environment),
            folder: Some(self.folder(values)?),
            stdin: None,
        })
    }

    /// Returns the program that runs a test target: this one.
    fn tests(
        &self,
        path: PathBuf,
        mut environment: Variables,
        values: &RoleValues<'_>,
    ) -> Result<Program, Error> {
        let home = &self.shared.home;
        let deploy_state = home.deploy_state()?;
        let known = deploy_state.tests.get(&self.entry.executable);
        let package = known.map_or_else(|| base(home), |files| &files.package);
        let folder = match &self.entry.properties.cwd {
            Some(_) => self.folder(values)?,
            None => package.to_owned(),
        };
        let set = [
            ("CARGO_MANIFEST_DIR", package.to_owned()),
            ("CARGO_MANIFEST_PATH", package.join("Cargo.toml")),
        ];
        for (name, value) in set {
            environment.retain(|(other, _)| other != name);
            environment.push((name.into(), value.into()));
        }
        let artifact = known.map_or_else(|| path.clone(), |files| files.artifact.clone());
        let is_retry = self.starts.get() > 1 && self.shared.kind == Kind::Test;
        let run = self
            .shared
            .tests
            .run(home, &self.role, &self.entry, is_retry);
        let run = TestRun {
            executable: path,
            artifact,
            ..run
        };
        // Texts and numbers can always be written as JSON.
        let run = serde_json::to_string(&run).unwrap_or_default();
        let own = environment::own_executable().map_err(|source| Error::System {
            what: "find this program",
            source,
        })?;
        Ok(Program {
            path: own,
            arguments: vec![TestRun::WORD.into(), run.into()],
            environment: Some(environment),
            folder: Some(folder),
            stdin: None,
        })
    }

    /// Returns the working directory of a program.
    fn folder(&self, values: &RoleValues<'_>) -> Result<PathBuf, Error> {
        let base = base(&self.shared.home);
        Ok(match &self.entry.properties.cwd {
            Some(cwd) => base.join(values.resolve(cwd)?),
            None => base.to_owned(),
        })
    }

    /// Returns the program for the user and the network that the role asks for.
    fn in_its_namespaces(&self, mut program: Program) -> Result<Program, Error> {
        let unknown = |source| Error::System {
            what: "find this program",
            source,
        };
        if self.entry.properties.unprivileged && unprivileged::is_root() {
            program = unprivileged::wrap(program).map_err(unknown)?;
        }
        in_network(program, self.network.as_deref()).map_err(unknown)
    }

    /// Returns what runs before the program: the setup, if it must run, and the
    /// commands before each start.
    fn steps(
        &self,
        path: &Path,
        program: &Program,
        values: &RoleValues<'_>,
    ) -> Result<Vec<Setup>, Error> {
        let mut steps: Vec<Setup> = self.setup(path, program, values)?.into_iter().collect();
        let before = &self.entry.properties.before;
        if !before.is_empty() {
            steps.push(Setup {
                property: "before",
                commands: self.commands(before, ("before", path), program, values)?,
                begun: Box::new(|| Ok(())),
                done: Box::new(|| Ok(())),
            });
        }
        Ok(steps)
    }

    /// Returns the commands that set the role up, if they must run.
    fn setup(
        &self,
        path: &Path,
        program: &Program,
        values: &RoleValues<'_>,
    ) -> Result<Option<Setup>, Error> {
        if !self.will_set_up()? {
            return Ok(None);
        }
        let home = &self.shared.home;
        home.clear_killed_setup(&self.role)?;
        let model = home.folder(Area::Model, &self.role);
        let key = self.setup_keys().of(&self.role, &self.entry)?;
        let result = home.setup_result(&key);
        let copy = |text: &str, from: &Path, target| {
            let program = copy_folder::program(from, target, program);
            let program = program.map_err(|source| Error::System {
                what: "find this program",
                source,
            })?;
            Ok::<_, Error>(SetupCommand {
                text: text.to_owned(),
                program,
            })
        };
        let commands = if fs::is_folder(&result) {
            vec![copy(
                "copy of a finished setup",
                &result,
                Target::Into(&model),
            )?]
        } else {
            let setup = &self.entry.properties.setup;
            let mut commands = self.commands(setup, ("setup", path), program, values)?;
            let is_awaited = self.setup_keys().is_awaited(&self.role, &key)?;
            if is_awaited || self.entry.instance.is_some() {
                commands.push(copy("copy for other roles", &model, Target::As(&result))?);
            }
            commands
        };
        let record = |state| {
            let (home, role) = (self.shared.home.clone(), self.role.clone());
            Box::new(move || {
                let recorded = home.record_setup(&role, state);
                recorded.map_err(|error| error.to_string())
            })
        };
        Ok(Some(Setup {
            property: "setup",
            commands,
            begun: record(SetupState::Running),
            done: record(SetupState::Done),
        }))
    }

    /// Returns true if the role begins with its setup.
    fn will_set_up(&self) -> Result<bool, Error> {
        let has_setup = !self.entry.properties.setup.is_empty();
        Ok(has_setup && self.shared.home.will_set_up(&self.role)?)
    }

    /// Returns the key of the setup that the role begins with, unless its result
    /// is there to be copied.
    fn awaited_setup(&self) -> Result<Option<String>, Error> {
        if !self.will_set_up()? {
            return Ok(None);
        }
        let key = self.setup_keys().of(&self.role, &self.entry)?;
        let is_there = fs::is_folder(&self.shared.home.setup_result(&key));
        Ok((!is_there).then_some(key))
    }

    fn setup_keys(&self) -> SetupKeys<'_> {
        SetupKeys {
            home: &self.shared.home,
            ports: &self.ports,
            environment: &self.shared.environment,
        }
    }

    /// Returns the commands of the property `user`, which run like the role's
    /// program at `path`.
    fn commands(
        &self,
        all: &[Vec<Template>],
        (user, path): (&'static str, &Path),
        program: &Program,
        values: &RoleValues<'_>,
    ) -> Result<Vec<SetupCommand>, Error> {
        let mut commands = Vec::with_capacity(all.len());
        for words in all {
            let words = words.iter().map(|text| values.resolve(text));
            let words = words.collect::<Result<Vec<_>, _>>()?;
            let name = words.first().cloned().unwrap_or_default();
            let found = self.command(path, &name);
            let found = found.ok_or_else(|| ProgramError::CommandNotFound {
                role: self.role.clone(),
                place: String::new(),
                program: name,
                user,
                beside: Some(path.to_owned()),
            })?;
            let arguments = words.iter().skip(1).map(OsString::from);
            let command = self.in_its_namespaces(Program {
                path: found,
                arguments: arguments.collect(),
                ..program.clone()
            })?;
            commands.push(SetupCommand::new(&words, command));
        }
        Ok(commands)
    }
}

/// Descriptors per role: a lock, a log, two pipes, and one for its exit.
const DESCRIPTORS: u64 = 5;
/// Further descriptors of some roles: two for a notification socket of its own,
/// and two that hold a port.
const FURTHER_DESCRIPTORS: u64 = 4;
/// Descriptors of the command itself.
const OWN_DESCRIPTORS: u64 = 64;

/// Returns the number of descriptors that this number of roles needs at least,
/// and at most.
pub(crate) fn needed_descriptors(roles: usize) -> (u64, u64) {
    let needed = |each| roles as u64 * each + OWN_DESCRIPTORS;
    (
        needed(DESCRIPTORS),
        needed(DESCRIPTORS + FURTHER_DESCRIPTORS),
    )
}

/// Raises the limit on open descriptors for this number of roles.
pub(crate) fn ensure_descriptors(roles: usize) -> Result<(), Error> {
    let (needed, most) = needed_descriptors(roles);
    // Few roles need all of them, so a limit below that may do.
    if rlimit::make_room(most).is_ok() {
        return Ok(());
    }
    rlimit::make_room(needed).map_err(|most| {
        Error::Engine(EngineError::Descriptors {
            roles,
            needed,
            most,
        })
    })
}
