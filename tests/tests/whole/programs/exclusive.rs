//! Test roles that exclude each other.

use super::Group;

const ROLES: &str = r#"
[test-a]
program = "./alone.sh"
args = ["{home}"]
exclusive = ["db"]

[test-b]
program = "./alone.sh"
args = ["{home}"]
exclusive = ["db", "cache"]

[test-c]
program = "./alone.sh"
args = ["{home}"]
exclusive = ["db"]
"#;

/// Fails if another one runs, and the first time that it runs at all.
const ALONE: &str = r#"#!/bin/sh
mkdir "$1/held" || exit 1
test -e "$1/again-$ANSAR_ROLE"; again=$?
touch "$1/again-$ANSAR_ROLE"
sleep 0.1
rmdir "$1/held"
exit $again
"#;

#[test]
fn they_never_run_at_the_same_time() {
    let group = Group::of(ROLES);
    group.script("alone.sh", ALONE);
    let test = group.ansar(["test", "--retries=1"]).run();
    test.success().stdout_is(
        "role \"test-a\" (pass/fail): 1/0\nrole \"test-b\" (pass/fail): 1/0\n\
         role \"test-c\" (pass/fail): 1/0\n",
    );
    test.stderr_has("3 roles flaky");
    group.is_still();
}
