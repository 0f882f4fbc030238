//! Roles that are ready once they have ended.

use std::fs;

use super::Group;

const ROLES: &str = r#"
[prepare-0]
program = "true"
ready = "done"

[sleep-0]
program = "sleep"
args = ["600"]
after = ["prepare-0"]
"#;

#[test]
fn commands_for_all_roles_skip_those_that_are_done() {
    let group = Group::of(ROLES);
    group.start();
    assert_eq!(group.ends("prepare-0"), ["returned"]);
    group.does("restart").stderr_has("`sleep-0`");
    group.does("status").stdout_is("sleep-0\n");
    group.does("stop").stderr_has("`sleep-0`");
    let output = group.ansar(["stop", "prepare-0"]).run();
    output
        .code(105)
        .stderr_has("role `prepare-0` is not running");
    group.is_still();
}

const CHAIN: &str = r#"
[base-0]
program = "./base.sh"
args = ["{home}"]
ready = { file = "{home}/up" }

[prepare-0]
program = "true"
ready = "done"
after = ["base-0"]

[top-0]
program = "./top.sh"
args = ["{home}"]
after = ["prepare-0"]
ready = { log = "^ready$" }
"#;

const BASE: &str = r#"#!/bin/sh
trap 'test -e "$1/top-ended" && echo "top had ended"; rm -f "$1/top-ended"; exit 0' INT
while :; do sleep 0.1; done
"#;

const TOP: &str = r#"#!/bin/sh
trap 'touch "$1/top-ended"; exit 0' INT
echo ready
while :; do sleep 0.1; done
"#;

#[test]
fn what_a_finished_role_needs_starts_first_and_stops_last() {
    let group = Group::of(CHAIN);
    group.script("base.sh", BASE);
    group.script("top.sh", TOP);
    group.does("deploy");
    let up = group.write(".ansar-home/up", "");
    group.does("start");
    group.does("stop").stderr_has("Stopped 2 roles");
    assert_eq!(group.log("base-0"), ["top had ended"]);

    // The role between them does not run again.
    fs::remove_file(&up).expect("it was written");
    let start = group.ansar(["start"]).start();
    start.wait_for("Waiting for base-0 to be ready");
    assert_eq!(group.ends("top-0"), ["stopped"]);
    group.write(".ansar-home/up", "");
    start.wait().success();
    assert_eq!(group.ends("top-0"), ["stopped", "running"]);
    assert_eq!(group.ends("prepare-0"), ["returned"]);
    group.does("stop").stderr_has("Stopped 2 roles");
    assert_eq!(group.log("base-0"), ["top had ended", "top had ended"]);
    group.is_still();
}
