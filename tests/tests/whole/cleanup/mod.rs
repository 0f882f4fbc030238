//! Whatever is killed, and how, nothing stays.

mod commands;
mod copies;
mod daemons;
mod engines;
mod kills;
mod limits;
mod logs;
mod orphans;
mod places;
mod random;
mod terminals;

use tests::{Workspace, loopback};

/// Roles of every kind that there is to be ended: one that serves, one that
/// waits, one that hides a grandchild, one that leaves one and ends.
fn workspace(more: &str) -> Workspace {
    let workspace = Workspace::new();
    describe(&workspace, more);
    workspace
}

/// Describes those roles, and `more`.
fn describe(workspace: &Workspace, more: &str) {
    let host = loopback();
    let mark = workspace.path().display().to_string();
    workspace.manifest(&format!(
        r#"[workspace.metadata.ansar]
snapshot = "test-fixtures/testing"

[workspace.metadata.ansar.role.server-0]
executable = "server"
settings = {{ host = "{host}" }}

[workspace.metadata.ansar.role.zombie-0]
executable = "zombie"

[workspace.metadata.ansar.role.deserts-0]
executable = "deserts"
settings = {{ mark = "{mark}" }}

[workspace.metadata.ansar.role.strays-0]
executable = "strays"

[workspace.metadata.ansar.role.noop-0]
executable = "noop"

[workspace.metadata.ansar.role.test-client]
executable = "client"
settings = {{ host = "{host}" }}

{more}"#
    ));
}
