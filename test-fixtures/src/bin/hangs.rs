//! Misbehaves: blocks its only thread, so that its function never sees a request to stop.

use std::process::ExitCode;

use ansar_runtime::Context;

async fn hangs(cx: Context) {
    cx.console("Hanging");
    loop {
        std::thread::park();
    }
}

fn main() -> ExitCode {
    ansar_runtime::main(hangs)
}
