//! The stop of programs.

use tests::Sandbox;

use super::package::{ansar, log, workspace};

/// Creates a workspace with a role `a-0` that runs a script, and starts it once
/// it prints `up`.
#[track_caller]
fn started(properties: &str, text: &str) -> Sandbox {
    let roles = format!(
        "[workspace.metadata.ansar.role.a-0]\nprogram = \"./a\"\n\
         ready = {{ log = \"^up\" }}\n{properties}\n"
    );
    let text = format!("{text}; echo up; while :; do sleep 0.01; done");
    let sandbox = workspace(&roles, &[("a", &text)]);
    ansar(&sandbox, "start").success();
    sandbox
}

#[test]
fn program_is_asked_by_sigint_first() {
    let sandbox = started("", "trap 'echo asked; exit 0' INT; trap '' TERM");
    ansar(&sandbox, "stop").success();
    assert_eq!(log(&sandbox, "a-0"), ["up", "asked"]);
    ansar(&sandbox, "history a-0").stdout_has("(Aborted)");
}

#[test]
fn program_is_asked_by_its_own_signal() {
    let own = "stop = { signal = \"SIGQUIT\", grace = \"60s\" }";
    let sandbox = started(own, "trap 'echo asked; exit 0' QUIT; trap '' INT TERM");
    ansar(&sandbox, "stop").success();
    assert_eq!(log(&sandbox, "a-0"), ["up", "asked"]);
}

#[test]
fn program_that_ignores_its_signal_is_killed_after_its_grace() {
    let short = "stop = { signal = \"SIGTERM\", grace = \"100ms\" }";
    let sandbox = started(short, "trap 'echo asked' TERM");
    ansar(&sandbox, "stop").success();
    sandbox.is_still();
    let text = log(&sandbox, "a-0");
    assert!(text.contains(&"asked".to_owned()), "{text:?}");
    ansar(&sandbox, "history -l a-0").stdout_has("killed after its grace time");
}

#[test]
fn other_exit_code_of_a_stopped_program_is_no_fault() {
    let sandbox = started("", "trap 'echo \"Server closed\"; exit 1' INT");
    ansar(&sandbox, "stop").success();
    ansar(&sandbox, "history a-0").stdout_has("(Aborted)");
}

#[test]
fn panic_of_a_stopped_program_is_a_fault() {
    let panic = "thread 'main' (7) panicked at src/lib.rs:3:5:";
    let panics = format!(
        "trap 'echo \"{}\"; echo lost; exit 101' INT",
        panic.replace('\'', "'\\''")
    );
    let sandbox = started("", &panics);
    ansar(&sandbox, "stop").success();
    ansar(&sandbox, "history a-0").stdout_has("(Faulted)");
}

#[test]
fn stop_leaves_ended_one_shot_roles_aside() {
    let roles = "[workspace.metadata.ansar.role.a-0]\nprogram = \"./a\"\n\n\
                 [workspace.metadata.ansar.role.seed-0]\nprogram = \"./seed\"\nready = \"done\"\n";
    let sandbox = workspace(roles, &[("a", "exec sleep 600"), ("seed", "")]);
    ansar(&sandbox, "start").success();
    ansar(&sandbox, "restart").success();
    ansar(&sandbox, "stop").success();
    ansar(&sandbox, "stop").code(105).stderr_has("not running");
}
