//! Misbehaves: writes its log as fast as it can.

use std::process::ExitCode;

use ansar_runtime::{Context, Settings};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Floods {
    /// The number of lines.
    lines: u64,
}

impl Default for Floods {
    fn default() -> Self {
        Self { lines: 100_000 }
    }
}

async fn floods(cx: Context, Settings(to): Settings<Floods>) {
    for line in 0..to.lines {
        cx.console(format_args!("Line {line} of {}", to.lines));
    }
}

fn main() -> ExitCode {
    ansar_runtime::main(floods)
}
