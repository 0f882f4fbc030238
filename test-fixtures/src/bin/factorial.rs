//! Calculates a factorial by a chain of processes: each calls the next.

use std::process::ExitCode;
use std::time::Duration;

use ansar_runtime::{Cannot, Context, Input, Result, Settings};
use serde::{Deserialize, Serialize};
use test_fixtures::messages::{Factorial, FactorialReturned};

#[derive(Default, Serialize, Deserialize)]
struct Pace {
    /// The pause of each process before it does anything, in seconds.
    seconds: f64,
}

async fn factorial(
    cx: Context,
    Settings(pace): Settings<Pace>,
    Input(of): Input<Factorial>,
) -> Result<FactorialReturned> {
    let Factorial(number) = of;
    cx.console(format_args!("factorial({number})"));
    let time = Duration::try_from_secs_f64(pace.seconds).map_err(Cannot::because)?;
    if !time.is_zero() {
        cx.sleep(time).await?;
    }
    let value = match number {
        0 => 1,
        // Checked before hundreds of processes are started for nothing.
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
