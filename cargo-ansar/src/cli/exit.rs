//! The exit codes of `cargo ansar`, and the mapping of every error to one.

use std::process::ExitCode;

use crate::error::Error;
use crate::home::HomeError;
use crate::host::cargo::CargoError;
use crate::host::process::Exit as ProcessExit;
use crate::host::process::interrupts::Interrupt;
use crate::model::merge::MergeError;
use crate::protocol::RefusalKind;
use crate::testing::analyzer::Analysis;

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded, and every check passed.
    Success,
    /// A role failed, or its returned value is not available.
    RoleFailed,
    /// The command line is invalid, or names something that does not exist.
    Usage,
    /// No test role matches.
    NoTests,
    /// The workspace, its manifest or the home cannot be used.
    Setup,
    /// A check failed, or a test role returned no report.
    TestsFailed,
    /// Cargo failed to build.
    BuildFailed,
    /// `cargo metadata` failed.
    MetadataFailed,
    /// The deploy failed, or a component rejected its settings.
    DeployFailed,
    /// A role runs that must not run.
    Running,
    /// A role does not run that must run.
    NotRunning,
    /// A wait timed out.
    TimedOut,
    /// Writing to stdout failed.
    WriteFailed,
    /// Exit code of the command of `with`, or code of an analyzer's fault.
    Command(u8),
    /// The command was interrupted.
    Interrupted(Interrupt),
}

impl Exit {
    /// Returns the exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::RoleFailed => 1,
            Self::Usage => 2,
            Self::NoTests => 4,
            Self::Setup => 96,
            Self::TestsFailed => 100,
            Self::BuildFailed => 101,
            Self::MetadataFailed => 102,
            Self::DeployFailed => 103,
            Self::Running => 104,
            Self::NotRunning => 105,
            Self::TimedOut => 106,
            Self::WriteFailed => 110,
            Self::Command(code) => code,
            Self::Interrupted(Interrupt::HangUp) => 129,
            Self::Interrupted(Interrupt::Interrupt | Interrupt::Superseded) => 130,
            Self::Interrupted(Interrupt::Quit) => 131,
            Self::Interrupted(Interrupt::Orphaned) => 137,
            Self::Interrupted(Interrupt::Terminate) => 143,
        }
    }

    /// Maps the exit of another command: to its code, or to 128 plus the number
    /// of its signal, as a shell does.
    pub fn of_command(exit: ProcessExit) -> Self {
        let code = match exit {
            ProcessExit::Code(code) => code,
            ProcessExit::Signal(signal) => 128 + signal,
        };
        Self::Command(u8::try_from(code).unwrap_or(u8::MAX))
    }

    /// Maps the fault of an analyzer, if one ran, to its code.
    pub fn of_analysis(analysis: Option<&Analysis>) -> Self {
        match analysis.and_then(|analysis| analysis.fault) {
            None => Self::Success,
            Some(1) => Self::RoleFailed,
            Some(code) => Self::Command(code),
        }
    }

    /// Maps an error to an exit.
    pub fn of(error: &Error) -> Self {
        if let Some(interrupt) = error.interrupt() {
            return Self::Interrupted(interrupt);
        }
        match error {
            Error::NoWorkspace(_)
            | Error::NoHome { .. }
            | Error::NotDescribed(_)
            | Error::Description(_)
            | Error::Manifest { .. }
            | Error::Proposal { .. }
            | Error::Import { .. }
            | Error::NoBuildValue { .. }
            | Error::Files(_)
            | Error::Ambiguous { .. }
            | Error::AmbiguousTest { .. }
            | Error::NoTestTarget { .. }
            | Error::NoBinary { .. }
            | Error::NotInPackage { .. }
            | Error::Descriptors { .. }
            | Error::Processes(_)
            | Error::NoBackgroundEngine
            | Error::Orphans(_)
            | Error::NoSettings(_)
            | Error::Editor { .. }
            | Error::System { .. } => Self::Setup,
            Error::Home(error) => match error {
                HomeError::Running(_) => Self::Running,
                HomeError::RoleExists(_) => Self::Usage,
                _ => Self::Setup,
            },
            Error::Cargo(error) | Error::CargoAfterwards(error) => match error {
                CargoError::Metadata { .. } => Self::MetadataFailed,
                CargoError::Start { .. }
                | CargoError::Failed { .. }
                | CargoError::NotBuilt { .. }
                | CargoError::Output { .. } => Self::BuildFailed,
            },
            Error::Deploy { .. }
            | Error::Snapshot { .. }
            | Error::Rejected { .. }
            | Error::Program(_)
            | Error::NotAComponent { .. }
            | Error::WrapsItsMain { .. }
            | Error::OtherContract { .. } => Self::DeployFailed,
            Error::NoExecutable { .. }
            | Error::NoFolder(_)
            | Error::NoExecutables { .. }
            | Error::Nested { .. }
            | Error::NoEffect { .. }
            | Error::Template(_)
            | Error::Search(_)
            | Error::InputFile { .. }
            | Error::Unreadable(_)
            | Error::Name(_)
            | Error::ExecutablePath(_)
            | Error::NoSuchRole { .. }
            | Error::NoInput(_)
            | Error::NoSetting(_)
            | Error::NoValue(_)
            | Error::StartOrder { .. }
            | Error::Edited { .. }
            | Error::NoRole { .. }
            | Error::NotDeployed(_)
            | Error::Retired(_)
            | Error::NoMainRole(_)
            | Error::NoRoles { .. }
            | Error::NeverRan(_)
            | Error::NoRun(_)
            | Error::Merge(
                MergeError::NoFile(_)
                | MergeError::NoVerdict(_)
                | MergeError::OtherDivision { .. }
                | MergeError::Twice { .. },
            )
            | Error::NoStart { .. }
            | Error::OneRole { .. }
            | Error::Query(_) => Self::Usage,
            Error::Merge(MergeError::Missing { .. }) => Self::TestsFailed,
            Error::NothingReturned(_) | Error::TooLarge { .. } => Self::RoleFailed,
            Error::Command { .. } => Self::Command(127),
            // The same codes as when the command detects it before it asks the
            // engine.
            Error::Refused(refusal) => match refusal.why {
                Some(RefusalKind::Running) => Self::Running,
                Some(RefusalKind::Missing) => Self::Usage,
                Some(RefusalKind::Ending | RefusalKind::Other) | None => Self::Setup,
            },
            Error::NotRunning(_) | Error::NotAllRunning(_) | Error::NeedFailed { .. } => {
                Self::NotRunning
            }
            Error::SomeRunning { .. }
            | Error::InForeground(_)
            | Error::Unkillable(_)
            | Error::EngineSilent { .. }
            | Error::EngineUnkillable { .. } => Self::Running,
            Error::TimedOut { .. } | Error::NotEnded { .. } => Self::TimedOut,
            Error::NoTestRole { .. } | Error::NoTests { .. } => Self::NoTests,
            Error::Interrupted(interrupt) => Self::Interrupted(*interrupt),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
