//! Few file descriptors, and many roles.

use tests::{Program, Workspace, executable};

/// Number of roles.
const COUNT: usize = 500;

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.manifest(&format!(
        r#"[workspace.metadata.ansar.role."noop-{{number}}"]
executable = "noop"
count = {COUNT}

[workspace.metadata.ansar.role.test-limit]
executable = "talks"
"#
    ));
    workspace.ansar(["test", "--no-run"]).run().success();
    workspace
}

/// `run` of all roles, under limits of file descriptors that a shell sets.
fn limited<'s>(workspace: &'s Workspace, limits: &str) -> Program<'s> {
    let script = format!("{limits}; exec \"$@\"");
    let shell = workspace.program("sh").args(["-c", &script, "sh"]);
    shell.arg(executable("cargo-ansar")).args(["ansar", "run"])
}

#[test]
fn too_few_descriptors_are_one_error() {
    let workspace = workspace();
    let output = limited(&workspace, "ulimit -n 256").run();
    output.code(96).stdout_is("");
    let errors = output.log("error");
    assert!(
        matches!(errors.as_slice(), [one] if one.contains("descriptors")),
        "{}",
        output.stderr
    );
    output.stderr_has("ulimit -n");
    let logs = std::fs::read_dir(workspace.path().join(".ansar-home/logs"));
    let written = logs.into_iter().flatten().flatten();
    let written = written.filter(|role| {
        std::fs::read_dir(role.path()).is_ok_and(|mut files| files.next().is_some())
    });
    assert_eq!(written.count(), 0, "a role was started");
    workspace.is_still();
}

#[test]
fn the_soft_limit_is_raised_except_for_roles() {
    let workspace = workspace();
    let input = workspace.write("input.json", r#"{"value": "descriptors"}"#);
    let add = ["add", "talks", "limited", "--input-file"];
    workspace.ansar(add).arg(input).run().success();
    let output = limited(&workspace, "ulimit -S -n 256").run();
    let run = output.success().json();
    let completed = run["value"][1]["completed"].as_array().map(Vec::len);
    assert_eq!(completed, Some(COUNT + 2));
    let logs = workspace.path().join(".ansar-home/logs/limited");
    let logs = std::fs::read_dir(logs).expect("it has a log");
    let logs = logs
        .flatten()
        .map(|file| std::fs::read_to_string(file.path()));
    let log: String = logs.flatten().collect();
    assert!(log.contains("Open files: 256"), "{log}");
    workspace.is_still();
}
