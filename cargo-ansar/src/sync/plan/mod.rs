//! The three-way plan: the steps that make a home hold what a source holds,
//! without losing what was written in the home since the last deploy.
//!
//! Pure. Defines which side wins at each path; [`crate::sync::apply`] performs
//! the steps. Source, home and the last deploy are compared by content:
//!
//! - source and home are equal: nothing is done;
//! - the source is as it was deployed: the home keeps what it has, changed,
//!   removed or new;
//! - the home is as it was deployed, or has nothing there: the source's entry
//!   is placed, or removed if the source no longer has it;
//! - both changed: a conflict, and nothing at or below the path is changed.
//!
//! A folder is removed once nothing remains in it, and its record is kept until
//! then. Permissions of a folder alone are never a conflict: the home's remain.

pub mod decide;
pub mod order;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::sync::manifest::{Entry, File, Manifest};
use crate::sync::path::RelPath;

/// The side that wins if both changed a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The source: what is overwritten in the home is kept aside first. Entries
    /// that were removed from the home are placed again.
    Snapshot,
    /// The home: the source's change counts as deployed and is not reported
    /// again.
    Home,
}

/// A plan, with its steps in a possible order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// Paths that both sides changed; they and everything below them are left
    /// alone.
    pub conflicts: Vec<Conflict>,
    /// Conflicts that [`Take`] decided.
    pub settled: Vec<Conflict>,
    /// Paths whose record of the last deploy remains.
    #[serde(skip)]
    held: BTreeSet<RelPath>,
}

/// A change of one path below the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The path.
    pub path: RelPath,
    /// The action.
    pub action: Action,
    /// The reason.
    pub reason: Reason,
}

/// The action of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Remove a staged file or folder that a killed deploy left.
    Clear,
    /// Copy the entry to the folder for kept files.
    Keep,
    /// Remove an entry that is not a folder.
    Remove {
        /// The entry that the plan expects.
        #[serde(skip)]
        seen: Entry,
    },
    /// Remove a folder, which the steps before have emptied.
    RemoveFolder,
    /// Create a folder at a free path.
    MakeFolder {
        /// Its permissions. A later [`Action::Mode`] sets the final ones if
        /// steps below it need more.
        mode: u32,
    },
    /// Place the source's file, replacing what is there.
    Place {
        /// The source's file.
        file: File,
        /// The entry that the plan expects.
        #[serde(skip)]
        seen: Option<Entry>,
    },
    /// Place a symlink, replacing what is there.
    Link {
        /// The target, unresolved.
        #[serde(with = "crate::sync::path::escaped")]
        target: PathBuf,
        /// The entry that the plan expects.
        #[serde(skip)]
        seen: Option<Entry>,
    },
    /// Set the permissions of a file or folder.
    Mode {
        /// The permissions.
        mode: u32,
    },
}

/// The reason for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Only the source has it.
    New,
    /// The bytes of the file differ.
    Bytes,
    /// The target of the symlink differs.
    Target,
    /// The permissions differ.
    Mode,
    /// The kind differs, such as a file and a folder.
    Kind,
    /// The source no longer has it.
    RemovedFromSnapshot,
    /// An entry of another kind is placed there.
    ReplacedByOtherKind,
    /// The user chose the snapshot.
    TakesSnapshot,
    /// It was removed from the home, and the user chose the snapshot.
    RemovedFromHome,
    /// It was removed from the home, and something new is placed in it.
    Needed,
    /// A killed deploy left it.
    Leftover,
    /// The folder's permissions forbid the steps inside it.
    Opened,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Bytes => "bytes differ",
            Self::Target => "link target differs",
            Self::Mode => "mode differs",
            Self::Kind => "kind differs",
            Self::RemovedFromSnapshot => "removed from the snapshot",
            Self::ReplacedByOtherKind => "replaced by another kind",
            Self::TakesSnapshot => "the snapshot was taken",
            Self::RemovedFromHome => "removed from the home, and the snapshot was taken",
            Self::Needed => "removed from the home, and needed again",
            Self::Leftover => "left by a killed deploy",
            Self::Opened => "opened for what changes inside",
        })
    }
}

/// A path that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The path, which stands for everything below it too.
    pub path: RelPath,
    /// The kind of conflict.
    pub why: Why,
}

/// Kinds of conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It was deployed, and both sides changed it since.
    BothChanged,
    /// It was never deployed, and both sides created it.
    BothMade,
    /// The snapshot no longer has it, and the home changed it.
    RemovedFromSnapshot,
    /// The home replaced a folder in which the snapshot has changes.
    FolderReplaced,
    /// The snapshot replaced a folder in which the home has files of its own.
    FolderHoldsOwn,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BothChanged => "changed in the snapshot and in the home",
            Self::BothMade => "made in the snapshot and in the home",
            Self::RemovedFromSnapshot => "removed from the snapshot and changed in the home",
            Self::FolderReplaced => "a folder in the snapshot, replaced in the home",
            Self::FolderHoldsOwn => {
                "a folder in the home with files of its own, replaced in the snapshot"
            }
        })
    }
}

impl Step {
    /// Returns the size of the file that it places, in bytes.
    pub fn size(&self) -> u64 {
        match &self.action {
            Action::Place { file, .. } => file.size,
            _ => 0,
        }
    }
}

impl Plan {
    /// Returns the size of all files that it places, in bytes.
    pub fn size(&self) -> u64 {
        self.steps.iter().map(Step::size).sum()
    }

    /// Returns true if there are no steps; there may still be conflicts.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Plans the steps after which `home` holds what `source` holds. `last` is what
/// the last deploy recorded with [`next_last`].
///
/// No step leaves the tree or follows a symlink. Nothing that was written in
/// the home since the last deploy is removed or overwritten, except for a
/// [`Take`] and after an [`Action::Keep`]. If a deploy is killed after any
/// step, a new plan leads to the same result.
///
/// The home keeps what it has at the path of a source entry that cannot be
/// deployed ([`Manifest::refused`]).
pub fn plan(source: &Manifest, home: &Manifest, last: &Manifest, take: Option<Take>) -> Plan {
    let nodes = decide::decide(source, home, last, take);
    order::order(&nodes)
}

/// Returns the record of the deploy, to be stored once `plan` is applied.
///
/// Paths in conflict keep their old record, so that the conflict is reported
/// again.
pub fn next_last(source: &Manifest, last: &Manifest, plan: &Plan) -> Manifest {
    let held = last.iter().filter(|(path, _)| plan.held.contains(path));
    let settled = source
        .iter()
        .filter(|(path, entry)| !plan.held.contains(path) && !matches!(entry, Entry::Other(_)));
    held.chain(settled)
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect()
}
