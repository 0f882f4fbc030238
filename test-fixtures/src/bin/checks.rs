//! Makes a number of checks, of which every n-th fails.

use std::process::ExitCode;

use ansar_runtime::{Context, Settings, TestReport};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Checks {
    /// The number of checks.
    checks: u64,
    /// The interval between failures; 0 for none.
    fail_every: u64,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            checks: 1000,
            fail_every: 0,
        }
    }
}

async fn checks(cx: Context, Settings(to): Settings<Checks>) -> TestReport {
    for number in 1..=to.checks {
        let fails = number.checked_rem(to.fail_every) == Some(0);
        cx.test(!fails, format_args!("check {number}"));
    }
    cx.console(format_args!("Made {} checks", to.checks));
    cx.report()
}

fn main() -> ExitCode {
    ansar_runtime::main(checks)
}
