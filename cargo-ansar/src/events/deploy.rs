//! Events before roles run: of the home, the build and the deploy.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::events::form::lossy;
use crate::model::name::RoleName;

/// Events of a home, from the wait for it to the end of a deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum DeployEvent {
    /// Another command is changing the home; this command waits for it.
    Blocked {
        /// The home.
        #[serde(with = "lossy")]
        home: PathBuf,
    },
    /// A home was created.
    HomeCreated {
        /// The home.
        #[serde(with = "lossy")]
        home: PathBuf,
    },
    /// The command begins its next phase. Only emitted if the log level
    /// includes messages of the runtime.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// Cargo is about to build.
    Building {},
    /// Cargo has built, or found everything up to date.
    Built {},
    /// A role is no longer described in the manifest; it is kept and not run.
    Retired {
        /// The role.
        role: RoleName,
    },
    /// Another program took the port of a role, which gets another one.
    PortMoved {
        /// The role.
        role: RoleName,
        /// The port that it had.
        before: u16,
        /// The port that it gets.
        after: u16,
    },
    /// A material was changed both in the snapshot and by its role; neither
    /// side is changed.
    Conflict {
        /// The file, in the home.
        #[serde(with = "lossy")]
        path: PathBuf,
        /// The reason for the conflict, such as "changed in the snapshot and in the home".
        why: String,
    },
    /// A material was not deployed.
    Passed {
        /// The file, in the snapshot.
        #[serde(with = "lossy")]
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A setting was changed, but a source of higher precedence hides it.
    Hidden {
        /// The role.
        role: RoleName,
        /// The setting.
        setting: String,
    },
    /// Changes were deployed to the home.
    Deployed {
        /// Names of the changed executables and materials.
        changed: Vec<String>,
        /// Number of executables in the home.
        executables: usize,
        /// Number of changed executables.
        relinked: usize,
        /// Number of roles that use a changed executable or material.
        affected: usize,
    },
    /// Files are being copied into the home. Only emitted if they are large.
    Transferring {
        /// Number of bytes that were copied.
        done: u64,
        /// Number of bytes of all files.
        total: u64,
    },
    /// Running roles that a deploy affects are being stopped; they will be
    /// restarted.
    Suspending {
        /// The roles.
        roles: Vec<RoleName>,
    },
    /// Roles that a deploy stopped were restarted.
    Restored {
        /// The roles.
        roles: Vec<RoleName>,
    },
    /// Roles that a deploy stopped were restarted, but did not become ready.
    Unrestored {
        /// The roles.
        roles: Vec<RoleName>,
    },
}

/// A phase of a command that changes a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The home is locked.
    Locked,
    /// Cargo builds.
    Build,
    /// The changes to the home are planned.
    Plan,
    /// The changes are applied.
    Apply,
}
