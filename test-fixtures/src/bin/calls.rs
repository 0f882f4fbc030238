//! Calls an executable so many times at once, and says what came of each.

use std::process::ExitCode;

use ansar_runtime::Typed;
use ansar_runtime::{Aborted, Call, Context, Error, Fault, Input, Result, Settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use test_fixtures::messages::FactorialReturned;
use tokio::task::JoinSet;

#[derive(Serialize, Deserialize)]
struct Calls {
    /// What is called.
    executable: String,
    /// How many times at once.
    count: u32,
    /// What is done about it.
    then: Then,
}

/// What is done about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Then {
    /// Its result is awaited, whatever it is.
    Await,
    /// Its result is awaited, which should be a factorial.
    Expect,
    /// It is stopped once a line comes on stdin, and awaited.
    Stop,
    /// It is dropped once a line comes on stdin, and Stop is awaited.
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
        // Meanwhile they are started.
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
