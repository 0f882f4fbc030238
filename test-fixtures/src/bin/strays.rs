//! Misbehaves: leaves a grandchild in its own session.

use std::process::{Command, ExitCode, Stdio};

use ansar_runtime::{Context, Result};

#[expect(clippy::disallowed_methods, reason = "this is how it misbehaves")]
async fn strays(cx: Context) -> Result<()> {
    let left = Command::new("setsid")
        .args(["sleep", "600"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    cx.console(format_args!("Left ({})", left.id()));
    Ok(())
}

fn main() -> ExitCode {
    ansar_runtime::main(strays)
}
