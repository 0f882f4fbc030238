//! Does nothing until interrupted.

use std::process::ExitCode;

use ansar_runtime::{Aborted, Context};

async fn zombie(cx: Context) -> Aborted {
    cx.console("Do nothing until interrupted");
    cx.stopped().await;
    Aborted {}
}

fn main() -> ExitCode {
    ansar_runtime::main(zombie)
}
