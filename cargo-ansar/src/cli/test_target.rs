//! The process that runs a test target.

use std::process::ExitCode;

use ansar_contract::envelope::{Envelope, Typed};
use tokio::task::LocalSet;

use crate::cli::exit::Exit;
use crate::harness;
use crate::model::test_target::TestRun;
use crate::report::component;

/// Runs a test target as a component does: the log goes to stderr, and the
/// result to stdout.
pub(super) fn main(run: TestRun) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Exit::Setup.into();
    };
    let local = LocalSet::new();
    let done = local.block_on(&runtime, harness::run(run, component::log));
    let message = match done {
        Ok(report) => Typed::encode(&report),
        Err(fault) => Typed::encode(&fault),
    };
    let message = message.and_then(|message| serde_json::to_vec(&Envelope::of(message)));
    // Dropping the tasks kills the tests that still run.
    drop(local);
    runtime.shutdown_background();
    match message.map(|message| component::result(&message)) {
        Ok(Ok(())) => Exit::Success.into(),
        Ok(Err(_)) | Err(_) => Exit::WriteFailed.into(),
    }
}
