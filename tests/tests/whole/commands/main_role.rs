//! `--main-role`: the other roles are stopped when it has ended.

use super::{ABORTED, ACK, FAULTED, ends, hinted, pairs, with_roles};

#[test]
fn the_main_role_ends_the_run() {
    let sandbox = with_roles(&["noop", "zombie", "panics"]);
    let long = ["add", "snooze", "main", "--seconds=0.2"];
    sandbox.ansar(long).run().success();
    let run = sandbox
        .ansar(["run", "-i", "panics-0", "--main-role=main"])
        .run();
    let expected = [("main", ACK), ("noop-0", ACK), ("zombie-0", ABORTED)];
    assert_eq!(ends(run.success()), pairs(&expected));
    sandbox.is_still();

    let faulty = ["run", "zombie-0", "panics-0", "--main-role", "panics-0"];
    let run = sandbox.ansar(faulty).run();
    let expected = [("panics-0", FAULTED), ("zombie-0", ABORTED)];
    assert_eq!(ends(run.code(1)), pairs(&expected));
}

#[test]
fn an_unselected_main_role_is_refused() {
    let sandbox = with_roles(&["noop", "snooze"]);
    let run = sandbox
        .ansar(["run", "noop-0", "--main-role=snooze-0"])
        .run();
    let text = "error: main role `snooze-0` is not among the selected roles";
    run.code(2).stdout_is("").stderr_has(text);
    hinted(&sandbox, &run)
        .run()
        .success()
        .stdout_has("noop-0\n");
    let wrong = sandbox.ansar(["run", "--main-role=a.b"]).run();
    wrong.code(2).stderr_has("a.b");
}
