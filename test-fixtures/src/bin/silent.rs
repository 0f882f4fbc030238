//! Misbehaves: exits without a result.

use std::process::ExitCode;

use ansar_runtime::Context;

#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "this is how it misbehaves"
)]
async fn silent(cx: Context) {
    cx.console("Leaving without a word");
    std::process::exit(0);
}

fn main() -> ExitCode {
    ansar_runtime::main(silent)
}
