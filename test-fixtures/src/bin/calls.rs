//! Calls an executable a number of times at once, and logs the outcomes.

use std::process::ExitCode;

use ansar_runtime::Typed;
use ansar_runtime::{Aborted, Call, Context, Error, Fault, Input, Result, Settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use test_fixtures::messages::FactorialReturned;
use tokio::task::JoinSet;

#[derive(Serialize, Deserialize)]
struct Calls {
    /// The executable to call.
    executable: String,
    /// The number of calls at the same time.
    count: u32,
    /// The action after each call has begun.
    then: Then,
}

/// An action after a call has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Then {
    /// Await a result of any type.
    Await,
    /// Await a factorial.
    Expect,
    /// Stop it when a line arrives on stdin, and await it.
    Stop,
    /// Drop it when a line arrives on stdin, and await the request to stop.
    Drop,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            executable: "noop".to_owned(),
            count: 1,
            then: Then::Await,
        }
    }
}

async fn calls(
    cx: Context,
    Settings(to): Settings<Calls>,
    Input(input): Input<Value>,
) -> Result<()> {
    let mut calls: JoinSet<Result<String, Fault>> = JoinSet::new();
    let mut stoppers = Vec::new();
    for _ in 0..to.count {
        if to.then == Then::Expect {
            let call: Call<FactorialReturned> = cx.call(&to.executable, &input);
            calls.spawn_local(async move { Ok(call.await?.value.to_string()) });
        } else {
            let call: Call<Typed> = cx.call(&to.executable, &input);
            stoppers.push(call.stopper());
            calls.spawn_local(async move { Ok(call.await?.name) });
        }
    }
    if matches!(to.then, Then::Stop | Then::Drop) {
        // The processes start meanwhile.
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    }
    match to.then {
        Then::Stop => stoppers.iter().for_each(ansar_runtime::Stopper::stop),
        Then::Drop => {
            calls.abort_all();
            cx.console("Dropped");
            cx.stopped().await;
            return Err(Error::from(Aborted {}));
        }
        Then::Await | Then::Expect => {}
    }
    let mut first = None;
    while let Some(done) = calls.join_next().await {
        match done? {
            Ok(result) => cx.console(format_args!("Result {result}")),
            Err(fault) => {
                cx.console(format_args!("No result: {fault}"));
                first.get_or_insert(fault);
            }
        }
    }
    cx.console("Called");
    match first {
        Some(fault) => Err(fault)?,
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    ansar_runtime::main(calls)
}
