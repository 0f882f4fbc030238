//! The walls between modules, checked on the source files of each crate.
//!
//! - **Imports do not climb.** A lower layer that knows a higher one cannot be
//!   read, tested or changed without it.
//! - **Imports form no cycle** within a layer or a module. Modules in a cycle can
//!   only be understood and changed together.
//! - **Only `host` accesses the system**: clock, environment, files, processes
//!   and signals. All other code can be tested with plain data, and safe file and
//!   process handling stays in one place.
//! - **One file at most ends the process.** An exit elsewhere would skip cleanup
//!   and the choice of the exit code.
//! - **Only `report` prints.** Every output format sees the same events, and
//!   untrusted text is sanitised in one place.
//!
//! A violation is reported as `file:line - text`, with the reason for its rule.
//! An exception is listed in `allowed` with a reason, and is reported once it is
//! no longer needed, since it would permit a later violation.

mod checker;
mod lengths;
mod names;
mod rules;
mod source;

use std::collections::BTreeSet;

use tests::repository;

use self::rules::{Allowed, Layout, violations};
use self::source::sources;

const RUNTIME: Layout = Layout {
    layers: &[
        &["host"],
        &[
            "message",
            "settings",
            "check",
            "log",
            "events",
            "retry",
            "lifecycle",
        ],
        &["component"],
    ],
    system: "host",
    printer: None,
    allowed: &[],
};

const CONTRACT: Layout = Layout {
    layers: &[
        &["envelope", "launch", "layout", "line", "pairs"],
        &["lifecycle", "marker", "notice", "retry", "test"],
        &["run"],
    ],
    system: "host",
    printer: None,
    allowed: &[],
};

const TOOL: Layout = Layout {
    layers: &[
        &["model", "events", "protocol"],
        &["host"],
        &["manifest", "home", "sync", "logs"],
        &["error"],
        &["workspace", "supervisor"],
        &["deploy", "harness"],
        &["remote"],
        &["testing"],
        &["watch", "commands"],
        &["report"],
        &["ui"],
        &["cli"],
    ],
    system: "host",
    printer: Some("report"),
    allowed: &[
        Allowed {
            file: "cargo-ansar/src/host/process/relay.rs",
            name: "std::io::stdout",
            reason: RELAYED,
        },
        Allowed {
            file: "cargo-ansar/src/host/process/relay.rs",
            name: "std::io::stderr",
            reason: RELAYED,
        },
        Allowed {
            file: "cargo-ansar/src/supervisor/output_panics.rs",
            name: "anstream",
            reason: "only removes colours from text that is read",
        },
    ],
};

const RELAYED: &str = "the output of the user's command is passed on byte by byte";

fn check(layout: &Layout, member: &str) {
    let folder = repository().join(member).join("src");
    let broken = violations(layout, &sources(repository(), &folder));
    let reasons: BTreeSet<_> = broken.iter().map(|one| one.rule.reason()).collect();
    let broken: Vec<_> = broken.iter().map(ToString::to_string).collect();
    let reasons: Vec<_> = reasons.into_iter().collect();
    assert!(
        broken.is_empty(),
        "broken rules:\n{}\nreasons:\n{}",
        broken.join("\n"),
        reasons.join("\n")
    );
}

#[test]
fn the_layers_of_the_runtime_hold() {
    check(&RUNTIME, "ansar-runtime");
}

#[test]
fn the_layers_of_the_contract_hold() {
    check(&CONTRACT, "ansar-runtime/contract");
}

#[test]
fn the_layers_of_the_tool_hold() {
    check(&TOOL, "cargo-ansar");
}
