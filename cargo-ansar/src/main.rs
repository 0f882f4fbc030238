//! The executable behind `cargo ansar`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cargo_ansar::cli::main()
}
