//! Never asks for Stop, as the server of a framework that is called unchanged.

use std::error::Error;
use std::process::ExitCode;

/// Tells that the future was dropped, in the way of a server that frees what it holds.
struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        tracing::info!("Freed what it held");
    }
}

async fn deaf() -> Result<(), Box<dyn Error + Send + Sync>> {
    let _held = Held;
    tracing::info!("Serving");
    std::future::pending().await
}

fn main() -> ExitCode {
    ansar_runtime::main(deaf)
}
