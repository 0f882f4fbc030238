//! No process or file remains after kills and signals.

mod commands;
mod copies;
mod daemons;
mod engines;
pub(crate) mod kills;
mod limits;
mod logs;
mod orphans;
mod places;
mod programs;
mod random;
mod terminals;

use tests::{Workspace, loopback};

/// Creates a workspace with roles of every kind: one that serves, one that
/// waits, one that hides a grandchild, and one that exits and leaves an orphan.
fn workspace(more: &str) -> Workspace {
    let workspace = Workspace::new();
    describe(&workspace, more);
    workspace
}

/// Writes those roles, and `more`, into the manifest.
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
