//! Blocking code: it runs on a thread of its own, and looks for Stop itself.

use std::process::ExitCode;

use ansar_runtime::{Aborted, Context, Input, Result};
use components::{Limit, Primes};

async fn primes(cx: Context, Input(Limit(limit)): Input<Limit>) -> Result<Primes> {
    let stop = cx.stop().clone();
    let counting = tokio::task::spawn_blocking(move || {
        let mut count = 0;
        for number in 2..limit {
            if stop.requested() {
                return Err(Aborted {});
            }
            if (2..number).all(|divisor| number % divisor != 0) {
                count += 1;
            }
        }
        Ok(count)
    });
    let count = counting.await??;
    cx.console(format_args!("{count} primes below {limit}"));
    Ok(Primes { count })
}

fn main() -> ExitCode {
    ansar_runtime::main(primes)
}
