//! The roles to run, as passed to an engine.
//!
//! The kind of an executable is data here: a [`Conduct`], and the [`Start`] that
//! [`Prepare`] returns. The engine has no branch on it.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::home::history::Journal;
use crate::host::fs::lock::Lock;
use crate::host::net::own_network::Network;
use crate::host::net::ports::HeldPort;
use crate::host::process::Program;
use crate::host::process::relay::Reading;
use crate::host::process::sd_notify::Notices;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::readiness::{Health, Probe};
use crate::model::role_properties::RoleProperties;
use crate::model::stop::StopSequence;
use crate::protocol::RunOptions;
use crate::supervisor::restart::Restarting;
use crate::supervisor::scheduler::RoleKind;

/// Prepares a start, or returns the reason why the role cannot be started.
pub type Prepare = Box<dyn Fn() -> Result<Start, String>>;

/// One start of a role.
pub struct Start {
    /// The commands that run before the program, in this order.
    pub steps: Vec<Setup>,
    /// The commands that run after every end of the program.
    pub after_all: Vec<SetupCommand>,
    /// The program.
    pub program: Program,
    /// The probes that decide when the role is ready, all of them; empty if the
    /// role announces it.
    pub probes: Vec<Probe<String>>,
    /// The probe that is repeated after the role became ready.
    pub health: Option<Health<String>>,
    /// The address on which the role is expected to listen.
    pub port: Option<SocketAddrV4>,
    /// The network of the role; that of the system if unset.
    pub network: Option<Rc<Network>>,
}

/// Records something about a role, or returns the reason why it cannot.
pub type Record = Box<dyn Fn() -> Result<(), String>>;

/// Commands that run before a role: they set it up, before its first start, or
/// prepare each start of a test.
pub struct Setup {
    /// The property with the commands.
    pub property: &'static str,
    /// The commands, which run one after the other; not empty.
    pub commands: Vec<SetupCommand>,
    /// Records that the first command is about to run.
    pub begun: Record,
    /// Records that all commands have succeeded.
    pub done: Record,
}

/// A command before or after a role.
pub struct SetupCommand {
    /// The command as one line, cut to a readable length.
    pub text: String,
    /// The program.
    pub program: Program,
}

impl SetupCommand {
    /// Returns the command that consists of these words.
    pub fn new(words: &[String], program: Program) -> Self {
        const LONGEST: usize = 60;
        let mut text = words.join(" ");
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        Self { text, program }
    }
}

impl Start {
    /// Returns a start of a program that announces its readiness, or need not.
    pub fn of(program: Program) -> Self {
        Self {
            steps: Vec::new(),
            after_all: Vec::new(),
            program,
            probes: Vec::new(),
            health: None,
            port: None,
            network: None,
        }
    }
}

/// The consequences of the kind of an executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// The use of stdout and stderr.
    pub output: Output,
    /// The source of the outcome.
    pub judge: Judge,
    /// The signals that stop the role.
    pub stop: StopSequence,
    /// True if the role is ready for others once it has succeeded.
    pub is_one_shot: bool,
    /// True if the role reports its slow tests itself.
    pub tells_slow: bool,
}

/// The use of stdout and stderr of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Stdout is the result, and stderr the log.
    Message,
    /// Both are one pipe into the log, in the order of their writes.
    Log,
    /// Stderr is the log, whose end is kept, and stdout may hold a result.
    LogAndMessage,
}

/// The source of the outcome of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// The message that it wrote to stdout.
    Message,
    /// The exit status of a program that runs until it is stopped: an exit
    /// with 0 is a stop.
    Service,
    /// The exit status of a program that ends by itself: an exit with 0 is an
    /// `Ack`.
    Task,
    /// The exit status of a test: a `TestReport` with one check.
    Check,
    /// The message that it wrote to stdout. A `TestReport` counts also if the
    /// role was stopped for a failure, which becomes one more failed check.
    Report,
}

impl Default for Conduct {
    /// Returns the conduct of a component.
    fn default() -> Self {
        Self {
            output: Output::Message,
            judge: Judge::Message,
            stop: StopSequence::default(),
            is_one_shot: false,
            tells_slow: false,
        }
    }
}

/// A role to run.
pub struct Launch {
    /// The name of the role.
    pub role: RoleName,
    /// The executable of the role.
    pub executable: ExecutableName,
    /// Called before every start.
    pub prepare: Prepare,
    /// The kind of role.
    pub kind: RoleKind,
    /// The consequences of the kind of its executable.
    pub conduct: Conduct,
    /// The properties of the role. Roles in `after` that are not among the
    /// launches are ignored.
    pub properties: Box<RoleProperties>,
    /// Time that the role, and each command of its setup, gets to become ready;
    /// unlimited if unset.
    pub ready_limit: Option<Duration>,
    /// The socket in `NOTIFY_SOCKET`, if it belongs to this role alone.
    pub notices: Option<Notices>,
    /// The ports that are held for the role until it has ended.
    pub ports: Vec<HeldPort>,
    /// The test role that it belongs to, as an instance.
    pub owner: Option<RoleName>,
    /// The key of the setup that the role begins with, if it does.
    pub setup: Option<String>,
    /// Records that a one-shot role has succeeded.
    pub succeeded: Option<Record>,
    /// Options of this run, kept when a deploy restarts the role.
    pub options: RunOptions,
    /// The restart policy.
    pub restarting: Restarting,
    /// The lock on the role, released when it has ended.
    pub lock: Option<Lock>,
    /// The folder of the log.
    pub log: PathBuf,
    /// The journal of starts and exits; unset if this is not a role.
    pub history: Option<Journal>,
    /// The file and line that describe the role, for a failed check without a
    /// place.
    pub described: Option<(PathBuf, u32)>,
    /// True if the role waits for roles on other machines.
    pub is_held: bool,
    /// True if the process inherits the streams and the terminal of this
    /// command instead of having a log and a result.
    pub foreground: bool,
    /// The reading of its output, if it is in the foreground.
    pub reading: Option<Reading>,
}
