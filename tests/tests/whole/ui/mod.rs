//! `cargo ansar ui`: the interface in the terminal, and the page.

mod page;
mod terminal;

use tests::Workspace;

/// Roles of which one logs on and on, one logs many lines, and one fails.
const ROLES: &str = r#"
[workspace.metadata.ansar]
[workspace.metadata.ansar.role.clock-0]
program = "sh"
args = ["-c", "echo begun; while :; do sleep 60; done"]
tags = ["time"]
[workspace.metadata.ansar.role.count-0]
program = "seq"
args = ["1", "100000"]
ready = "done"
[workspace.metadata.ansar.role.test-wrong]
program = "sh"
args = ["-c", "exit 3"]
"#;

/// Creates a workspace with these roles, deployed.
#[track_caller]
fn deployed() -> Workspace {
    let workspace = Workspace::new();
    workspace.manifest(ROLES);
    workspace.ansar(["deploy"]).run().success();
    workspace
}
