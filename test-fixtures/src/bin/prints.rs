//! Misbehaves: prints on stdout, which is reserved for results.

use std::process::ExitCode;

use ansar_runtime::{Context, TestReport};

#[expect(clippy::print_stdout, reason = "this is how it misbehaves")]
async fn prints(cx: Context) -> TestReport {
    println!("a stray print");
    println!("{{\"value\": [\"ansar.create.lifecycle.Ack\", {{}}, []]}}");
    cx.test(true, "a print does not disturb the result");
    cx.report()
}

fn main() -> ExitCode {
    ansar_runtime::main(prints)
}
