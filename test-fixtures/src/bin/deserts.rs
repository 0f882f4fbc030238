//! Misbehaves: leaves a grandchild that hides.
//!
//! The grandchild has its own session, no environment and no streams, and ignores
//! SIGINT. Only a mark on its command line identifies it.

use std::process::{Command, ExitCode, Stdio};

use ansar_runtime::{Aborted, Context, Result, Settings};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Deserts {
    /// The mark that identifies the grandchild.
    mark: String,
    /// True if the leader of the session clears its environment too, and not only
    /// its child.
    clears: bool,
}

impl Default for Deserts {
    fn default() -> Self {
        Self {
            mark: "deserter".to_owned(),
            clears: true,
        }
    }
}

/// The grandchild; the first argument is the mark.
const DESERTER: &str = r#"trap "" INT; exec <&- >&- 2>&-; sleep 600; :"#;

#[expect(clippy::disallowed_methods, reason = "this is how it misbehaves")]
async fn deserts(cx: Context, Settings(how): Settings<Deserts>) -> Result<Aborted> {
    let mut deserter = Command::new("setsid");
    if how.clears {
        deserter.args(["env", "-i", "sh", "-c", DESERTER, &how.mark]);
    } else {
        let leader = r#"env -i sh -c "$1" "$0"; :"#;
        deserter.args(["sh", "-c", leader, &how.mark, DESERTER]);
    }
    let left = deserter
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    cx.console(format_args!("Left ({})", left.id()));
    cx.stopped().await;
    Ok(Aborted {})
}

fn main() -> ExitCode {
    ansar_runtime::main(deserts)
}
