//! Misbehaves: panics.

use std::process::ExitCode;

use ansar_runtime::Context;

async fn panics(cx: Context) {
    cx.console("About to panic");
    panic!("this component panics");
}

fn main() -> ExitCode {
    ansar_runtime::main(panics)
}
