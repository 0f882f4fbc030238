//! Calculates a factorial by a chain of processes: each calls the next.

use std::process::ExitCode;

use ansar_runtime::{Cannot, Context, Input, Result};
use test_fixtures::messages::{Factorial, FactorialReturned};

async fn factorial(cx: Context, Input(of): Input<Factorial>) -> Result<FactorialReturned> {
    let Factorial(number) = of;
    cx.console(format_args!("factorial({number})"));
    let value = match number {
        0 => 1,
        // Before hundreds of processes are started that cannot help it.
        21.. => Err(Cannot::because(format_args!(
            "factorial({number}) is greater than 2^64"
        )))?,
        _ => {
            let rest: FactorialReturned = cx.call("factorial", &Factorial(number - 1)).await?;
            number * rest.value
        }
    };
    Ok(FactorialReturned { value })
}

fn main() -> ExitCode {
    ansar_runtime::main(factorial)
}
