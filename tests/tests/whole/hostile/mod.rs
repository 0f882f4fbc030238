//! Damaged and hostile files, manifests, requests and notices.
//!
//! Each test changes something at random, runs a command on it, and holds the
//! command to the same promises: it ends, it exits with a documented code, it
//! does not panic, and it names what it cannot read. The seed of a run is
//! printed; `ANSAR_MUTATION_SEED` repeats it and `ANSAR_MUTATIONS` sets the
//! number of cases.

mod files;
mod manifests;
mod mutation;
mod sockets;

use fastrand::Rng;
use tests::{Output, Sandbox};

/// Number of cases in each test unless `ANSAR_MUTATIONS` says otherwise.
const USUAL_CASES: u64 = 150;

/// Every exit code that the book documents, except for those of `with`.
const EXIT_CODES: [i32; 12] = [0, 1, 2, 4, 96, 100, 101, 102, 103, 104, 105, 106];

/// The source of the changes, and the number of cases.
#[expect(clippy::print_stderr, reason = "a failed run is repeated by its seed")]
fn cases(test: &str) -> (Rng, u64) {
    let seed = variable("ANSAR_MUTATION_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = variable("ANSAR_MUTATIONS").unwrap_or(USUAL_CASES);
    eprintln!("{test}: ANSAR_MUTATION_SEED={seed} ANSAR_MUTATIONS={count}");
    (Rng::with_seed(seed), count)
}

#[expect(clippy::disallowed_methods, reason = "the developer sets these two")]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `cargo ansar WORDS` with 2 GB of address space, so that a command that
/// reads without a bound fails instead of exhausting the machine. A command that
/// does not end is reported with its environment, `CASE` included.
#[track_caller]
fn bounded(sandbox: &Sandbox, words: &str, case: &str) -> Output {
    let ansar = tests::executable("cargo-ansar");
    let script = format!("ulimit -v 2000000; exec \"$ANSAR\" ansar {words}");
    let shell = sandbox.shell(&script).env("ANSAR", ansar).env("CASE", case);
    shell.run()
}

/// Checks that a command ended as documented and did not panic.
#[track_caller]
fn well_behaved<'o>(output: &'o Output, case: &str) -> &'o Output {
    let code = output.status.code();
    output
        .check(code.is_some_and(|code| EXIT_CODES.contains(&code)), || {
            format!("expected a documented exit code, after: {case}")
        })
        .check(!output.stderr.contains("panicked"), || {
            format!("expected no panic, after: {case}")
        })
}
