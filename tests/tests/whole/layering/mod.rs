//! The invariants of the house: imports go down only, one door to the world,
//! one voice.
//!
//! A broken one is told as `file:line - text`. Where a rule cannot be kept, the
//! exception stands in `allowed` with its reason, and is told too once it is
//! not needed any more.

mod checker;
mod names;
mod rules;
mod source;

use tests::repository;

use self::rules::{House, violations};
use self::source::sources;

const RUNTIME: House = House {
    floors: &[
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
    door: "host",
    voice: None,
    allowed: &[],
};

const CONTRACT: House = House {
    floors: &[
        &["envelope", "launch", "layout", "line", "pairs"],
        &["lifecycle", "marker", "notice", "retry", "test"],
        &["run"],
    ],
    door: "host",
    voice: None,
    allowed: &[],
};

const TOOL: House = House {
    floors: &[
        &["model", "events", "protocol"],
        &["host"],
        &["manifest", "home", "sync", "logs"],
        &["error"],
        &["workspace", "supervisor"],
        &["deploy"],
        &["testing"],
        &["watch", "commands"],
        &["report"],
        &["cli"],
    ],
    door: "host",
    voice: Some("report"),
    allowed: &[],
};

fn holds(house: &House, member: &str) {
    let folder = repository().join(member).join("src");
    let broken: Vec<_> = violations(house, &sources(repository(), &folder))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(broken.is_empty(), "broken rules:\n{}", broken.join("\n"));
}

#[test]
fn the_layers_of_the_runtime_hold() {
    holds(&RUNTIME, "ansar-runtime");
}

#[test]
fn the_layers_of_the_contract_hold() {
    holds(&CONTRACT, "ansar-runtime/contract");
}

#[test]
fn the_layers_of_the_tool_hold() {
    holds(&TOOL, "cargo-ansar");
}
