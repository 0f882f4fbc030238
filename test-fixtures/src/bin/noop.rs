//! Does nothing and exits immediately.

use std::process::ExitCode;

use ansar_runtime::Context;

async fn noop(cx: Context) {
    cx.console("Log this and exit");
}

fn main() -> ExitCode {
    ansar_runtime::main(noop)
}
