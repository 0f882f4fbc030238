//! Roles that are ready once they have ended.

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
