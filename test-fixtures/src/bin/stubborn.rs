//! Misbehaves: ignores every signal that can be ignored.

use std::process::ExitCode;

use ansar_runtime::Context;
use nix::sys::signal::{SigHandler, Signal, signal};

async fn stubborn(cx: Context) {
    for ignored in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        #[expect(
            unsafe_code,
            reason = "`SIG_IGN` is no handler, so no code of ours runs in it"
        )]
        // SAFETY: ignoring a signal installs no function.
        let _ = unsafe { signal(ignored, SigHandler::SigIgn) };
    }
    cx.console("Ignoring every signal");
    std::future::pending::<()>().await;
}

fn main() -> ExitCode {
    ansar_runtime::main(stubborn)
}
