//! The exits of `cargo ansar`, with their codes.

use std::process::ExitCode;

use crate::host::cargo::CargoError;
use crate::host::process::Exit as ProcessExit;
use crate::host::process::interrupts::Interrupt;

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
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Returns the exit of a command whose Cargo failed.
pub(super) fn of_cargo(error: &CargoError) -> Exit {
    match error {
        CargoError::Metadata { .. } => Exit::MetadataFailed,
        CargoError::Start { .. }
        | CargoError::Failed { .. }
        | CargoError::NotBuilt { .. }
        | CargoError::Output { .. } => Exit::BuildFailed,
    }
}
