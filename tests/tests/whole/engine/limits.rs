//! Few file descriptors.

use super::{WAITS, ansar, home_of};

#[test]
fn too_few_descriptors_name_the_limit() {
    let sandbox = home_of(&[("ends", "acknowledge")]);
    for limit in (4..14).chain([20]) {
        for words in [
            "list",
            "status",
            "run ends-0",
            "start ends-0",
            "stop -f",
            "test",
        ] {
            let script = format!("ulimit -n {limit}; exec cargo-ansar ansar {words}");
            let output = sandbox.shell(&script).run();
            output
                .code(96)
                .stderr_lacks("panicked")
                .stderr_has("descriptors")
                .stderr_has("hint: allow more with `ulimit -n ");
        }
    }
    sandbox.is_still();
}

#[test]
fn inherited_descriptors_do_not_count() {
    let sandbox = home_of(&[("waits", WAITS)]);
    let script = "ulimit -S -n 12; exec 3<.; exec 4<.; exec 5<.; exec 6<.; exec 7<.; \
                  exec cargo-ansar ansar start --no-wait";
    sandbox.shell(script).run().success();
    ansar(&sandbox, "status").stdout_is("waits-0\n");
    ansar(&sandbox, "stop").success();
    sandbox.is_still();
}

#[test]
fn a_role_that_cannot_start_has_a_reason() {
    let sandbox = home_of(&[("ends", "acknowledge"), ("waits", WAITS)]);
    sandbox.write("bin/ends", "#!/no/such/interpreter\n# ansar-component: 1\n");
    let run = ansar(&sandbox, "run ends-0");
    let fault = run.code(1).json()["value"][1]["completed"][0][1][1].clone();
    let why = fault["explanation"].as_str().unwrap_or_default();
    assert!(why.contains("bin/ends`: its interpreter"), "{fault}");
}
