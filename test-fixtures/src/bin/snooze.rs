//! Waits for a configured amount of time.

use std::process::ExitCode;
use std::time::Duration;

use ansar_runtime::{Cannot, Context, Result, Settings};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Snooze {
    /// The time in seconds.
    seconds: f64,
}

impl Default for Snooze {
    fn default() -> Self {
        Self { seconds: 2.0 }
    }
}

async fn snooze(cx: Context, Settings(to): Settings<Snooze>) -> Result<()> {
    let time = Duration::try_from_secs_f64(to.seconds).map_err(Cannot::because)?;
    cx.console(format_args!("Do nothing for {:?} seconds", to.seconds));
    cx.sleep(time).await?;
    Ok(())
}

fn main() -> ExitCode {
    ansar_runtime::main(snooze)
}
