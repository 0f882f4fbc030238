//! The smallest component.

use std::process::ExitCode;

use ansar_runtime::Context;

async fn hello(cx: Context) {
    cx.console("Hello");
    cx.stopped().await;
}

fn main() -> ExitCode {
    ansar_runtime::main(hello)
}
