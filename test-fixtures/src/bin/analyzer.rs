//! Analyzes the reports of a run: names the roles that reported.

use std::process::ExitCode;

use ansar_runtime::{Context, Faulted, Input, Result, Settings, TestSuite};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Analyzer {
    /// True if failed checks are a fault with exit code 7.
    strict: bool,
}

async fn analyzer(
    cx: Context,
    Settings(how): Settings<Analyzer>,
    Input(suite): Input<TestSuite>,
) -> Result<()> {
    cx.trace(format_args!("Analyzing {} reports", suite.report.len()));
    for (role, _) in &suite.report {
        cx.console(format_args!("Analyzed {role}"));
    }
    if how.strict && suite.failed > 0 {
        let condition = format!("{} checks failed", suite.failed);
        Err(Faulted::new(condition, "").with_exit_code(7))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    ansar_runtime::main(analyzer)
}
