//! Determines the outcome of a role from its exit status, its output on stdout,
//! and the actions of the engine.

use std::time::Duration;

use crate::host::process::Exit;
use crate::host::process::signal;
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::lifecycle::{Aborted, Faulted};

/// Largest result, in bytes.
pub(crate) const LARGEST_RESULT: usize = 64 << 20;

/// Actions of the engine on a role before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Treatment {
    /// The role was asked to stop.
    pub asked: bool,
    /// The role was killed.
    pub killed: bool,
    /// The role was stopped after this timeout.
    pub timed_out: Option<Duration>,
    /// The role was stopped because it was not ready after this time.
    pub never_ready: Option<Duration>,
}

/// Returns the outcome of a role with this exit status and output on stdout.
pub fn judge(exit: Exit, stdout: &[u8], treatment: Treatment) -> RoleOutcome {
    if let Some(limit) = treatment.timed_out {
        let faulted = Faulted::new(format!("timed out after {}", ShortDuration(limit)), "");
        return RoleOutcome::of(&faulted, Cause::TimedOut);
    }
    if let Some(limit) = treatment.never_ready {
        let faulted = Faulted::new(format!("not ready after {}", ShortDuration(limit)), "");
        return RoleOutcome::of(&faulted, Cause::TimedOut);
    }
    let unreadable = match serde_json::from_slice::<Envelope<Typed>>(stdout) {
        Ok(Envelope { value: result }) => {
            let cause = if treatment.asked {
                Cause::Stopped
            } else {
                Cause::Returned
            };
            return RoleOutcome { result, cause };
        }
        Err(_) if stdout.is_empty() => None,
        Err(error) => Some(error),
    };
    if treatment.killed {
        return RoleOutcome::of(&Aborted {}, Cause::Killed);
    }
    if stdout.len() > LARGEST_RESULT {
        let most = LARGEST_RESULT >> 20;
        let faulted = Faulted::new(
            "returned a result that is too large",
            format!("it has more than {most} MiB, the most that a result may have"),
        );
        let cause = match exit {
            Exit::Code(code) => Cause::Exited(code),
            Exit::Signal(number) => Cause::Signal(number),
        };
        return RoleOutcome::of(&faulted, cause);
    }
    let fault = |condition: String, cause| {
        let why = unreadable
            .as_ref()
            .map(|error| format!("stdout is not a message: {error}"));
        RoleOutcome::of(&Faulted::new(condition, why.unwrap_or_default()), cause)
    };
    match exit {
        Exit::Signal(number) if signal::means_stop(number) => RoleOutcome::of(
            &Aborted {},
            if treatment.asked {
                Cause::Stopped
            } else {
                Cause::Signal(number)
            },
        ),
        Exit::Signal(number) => fault(
            format!("killed by {}", signal::name(number)),
            Cause::Signal(number),
        ),
        Exit::Code(0) => fault("exited without a result".to_owned(), Cause::Exited(0)),
        Exit::Code(code) => fault(
            format!("exited with code {code} and without a result"),
            Cause::Exited(code),
        ),
    }
}

/// Returns the outcome of a role that could not be started.
pub fn not_started(reason: &str) -> RoleOutcome {
    RoleOutcome::of(
        &Faulted::new("could not be started", reason),
        Cause::NeverStarted,
    )
}

/// Returns the outcome of a role that survived being killed, once nothing waits
/// for it any more.
pub fn unkillable(reason: &str) -> RoleOutcome {
    RoleOutcome::of(&Faulted::new("cannot be killed", reason), Cause::TimedOut)
}

/// Returns the outcome of a role that starts after `needed`, which has ended
/// with `outcome`; `None` if that is not a failure. Without an outcome, it could
/// not be killed.
pub fn skipped_after(needed: &RoleName, outcome: Option<&RoleOutcome>) -> Option<RoleOutcome> {
    let has = match outcome {
        Some(outcome) if outcome.success() != Success::No => return None,
        Some(outcome) if outcome.cause == Cause::NeverStarted => "did not start",
        _ => "failed",
    };
    let fault = Faulted::new(
        format!("not started: `{needed}`, which it starts after, {has}"),
        "",
    );
    Some(RoleOutcome::of(&fault, Cause::NeverStarted))
}

/// Returns the outcome of a role that was skipped.
pub fn skipped() -> RoleOutcome {
    RoleOutcome::of(&Aborted {}, Cause::NeverStarted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACK: &[u8] = br#"{"value": ["ansar.create.lifecycle.Ack", {}, []]}"#;

    fn condition(outcome: &RoleOutcome) -> String {
        outcome
            .fault()
            .map_or_else(String::new, |fault| fault.to_string())
    }

    #[test]
    fn result_counts_for_any_exit() {
        let outcome = judge(Exit::Code(7), ACK, Treatment::default());
        assert_eq!(outcome.success(), Success::Yes);
        assert_eq!(outcome.cause, Cause::Returned);
    }

    #[test]
    fn late_result_does_not_count() {
        let treatment = Treatment {
            timed_out: Some(Duration::from_secs(2)),
            ..Treatment::default()
        };
        let outcome = judge(Exit::Code(0), ACK, treatment);
        assert_eq!(condition(&outcome), "timed out after 2s");
    }

    #[test]
    fn exit_without_result_is_a_fault() {
        for (exit, stdout, expected) in [
            (Exit::Code(0), "", "exited without a result"),
            (Exit::Code(3), "", "exited with code 3 and without a result"),
            (Exit::Signal(11), "", "killed by SIGSEGV"),
            (Exit::Signal(9), "", "killed by SIGKILL"),
        ] {
            let outcome = judge(exit, stdout.as_bytes(), Treatment::default());
            assert_eq!(condition(&outcome), expected);
        }
        let garbage = judge(Exit::Code(0), b"hello", Treatment::default());
        assert!(condition(&garbage).contains("is not a message"));
        let large = vec![b'x'; LARGEST_RESULT + 1];
        let large = judge(Exit::Code(0), &large, Treatment::default());
        assert_eq!(
            condition(&large),
            "returned a result that is too large, \
             it has more than 64 MiB, the most that a result may have"
        );
    }

    #[test]
    fn stop_signals_are_no_fault() {
        for signal in [1, 2, 3, 15] {
            let outcome = judge(Exit::Signal(signal), b"", Treatment::default());
            assert_eq!(outcome.success(), Success::Stopped);
        }
    }

    #[test]
    fn killed_after_a_stop_counts_as_stopped() {
        let treatment = Treatment {
            asked: true,
            killed: true,
            ..Treatment::default()
        };
        let outcome = judge(Exit::Signal(9), b"", treatment);
        assert_eq!(outcome.cause, Cause::Killed);
        assert_eq!(outcome.success(), Success::Stopped);
    }

    proptest! {
        #[test]
        fn any_exit_and_output_has_an_outcome(code: i32, stdout: Vec<u8>, asked: bool, killed: bool) {
            let treatment = Treatment { asked, killed, ..Treatment::default() };
            let outcome = judge(Exit::Code(code), &stdout, treatment);
            prop_assert!(outcome.success() != Success::Yes || !stdout.is_empty());
        }
    }
}
