//! Calls: another executable of the home is run like a function.

use std::process::ExitCode;

use ansar_runtime::{Context, Result, TestReport};
use components::{Limit, Primes};

async fn calls(cx: Context) -> Result<TestReport> {
    // Two processes at once; a call that is dropped ends its process.
    let few = cx.call::<Primes>("primes", &Limit(10));
    let many = cx.call::<Primes>("primes", &Limit(1000));
    let (few, many) = tokio::try_join!(few, many)?;
    cx.test_eq(few.count, 4);
    cx.test_eq(many.count, 168);
    Ok(cx.report())
}

fn main() -> ExitCode {
    ansar_runtime::main(calls)
}
