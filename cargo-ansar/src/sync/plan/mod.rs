//! The three-way plan: what to do to a home so that it holds what a source
//! holds, without losing what was written there since the last deploy.
//!
//! Pure. Owns every rule of who wins; [`crate::sync::apply`] owns how it is done.
//! The rules for one path, where source, home and the last deploy are compared
//! by content:
//!
//! - source and home agree: nothing;
//! - the source is as it was deployed: the home keeps what it has, changed,
//!   removed or of its own;
//! - the home is as it was deployed, or has nothing there: the source's is
//!   placed, or what the source no longer has is removed;
//! - both changed: a conflict, and nothing at or below that path is touched.
//!
//! A folder is removed when nothing stays in it, until then its record is
//! kept. A folder's permissions alone are never a conflict: the home's stand.

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

/// Who wins where both sides changed one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The source: what gives way in the home is kept aside first. What was
    /// removed from the home is placed again, too.
    Snapshot,
    /// The home: the source's change counts as deployed and is not asked about
    /// again.
    Home,
}

/// What to do, in an order in which each step is possible.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// Paths that both sides changed and that are left alone, with everything
    /// below them.
    pub conflicts: Vec<Conflict>,
    /// Paths that both sides changed and that [`Take`] decided.
    pub settled: Vec<Conflict>,
    /// Paths whose record of the last deploy stays as it is.
    #[serde(skip)]
    held: BTreeSet<RelPath>,
}

/// One thing to do to one path below the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where.
    pub path: RelPath,
    /// What.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Remove an alias that a killed deploy left.
    Clear,
    /// Copy what is there to the kept folder.
    Keep,
    /// Remove what is there, no folder.
    Remove {
        /// What the plan takes to be there.
        #[serde(skip)]
        seen: Entry,
    },
    /// Remove a folder that is empty by now.
    RemoveFolder,
    /// Make a folder where there is nothing.
    MakeFolder {
        /// Its permissions; steps below it may need more until a later
        /// [`Action::Mode`].
        mode: u32,
    },
    /// Put the source's file there, over what is there.
    Place {
        /// The source's file.
        file: File,
        /// What the plan takes to be there.
        #[serde(skip)]
        seen: Option<Entry>,
    },
    /// Put a symlink there, over what is there.
    Link {
        /// What it says.
        #[serde(with = "crate::sync::path::escaped")]
        target: PathBuf,
        /// What the plan takes to be there.
        #[serde(skip)]
        seen: Option<Entry>,
    },
    /// Set the permissions of a file or folder.
    Mode {
        /// To these.
        mode: u32,
    },
}

/// Why a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The source has it and neither the home nor the last deploy does.
    New,
    /// The bytes of the file differ.
    Bytes,
    /// The symlink points elsewhere.
    Target,
    /// The permissions differ.
    Mode,
    /// A file is now a folder, and so on.
    Kind,
    /// The source no longer has it.
    RemovedFromSnapshot,
    /// It stands where something of another kind goes.
    MakesWay,
    /// The user said that the snapshot wins.
    TakesSnapshot,
    /// It was removed from the home, and the user said that the snapshot wins.
    RemovedFromHome,
    /// It was removed from the home, and something new goes into it.
    Needed,
    /// A killed deploy left it.
    Leftover,
    /// The folder's permissions do not let the steps inside it happen.
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
            Self::MakesWay => "makes way for another kind",
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
    /// Where; everything below it is meant, too.
    pub path: RelPath,
    /// How.
    pub why: Why,
}

/// How both sides changed one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It was deployed, and both changed it since.
    BothChanged,
    /// It was never deployed, and both made it.
    BothMade,
    /// The snapshot no longer has what the home changed.
    RemovedFromSnapshot,
    /// The home has something else where the snapshot has a folder with
    /// changes.
    FolderReplaced,
    /// The folder that is to make way holds what the home wrote itself.
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

impl Plan {
    /// Whether there is nothing to do; there may still be conflicts to name.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Decides how `home` comes to hold what `source` holds, `last` being what the
/// last deploy recorded with [`next_last`].
///
/// No step names a path outside, none goes through a symlink, and nothing that
/// was written in the home since the last deploy is removed or overwritten
/// without an [`Action::Keep`] before it, and that only for a [`Take`]. A
/// deploy that is killed after any step ends, when planned anew, where it would
/// have ended.
///
/// What the source refuses ([`Manifest::refused`]) is left alone in the home.
pub fn plan(source: &Manifest, home: &Manifest, last: &Manifest, take: Option<Take>) -> Plan {
    let nodes = decide::decide(source, home, last, take);
    order::order(&nodes)
}

/// What is to be recorded as deployed once `plan` is applied.
///
/// Where there is a conflict the old record stays, so that it is said again.
pub fn next_last(source: &Manifest, last: &Manifest, plan: &Plan) -> Manifest {
    let held = last.iter().filter(|(path, _)| plan.held.contains(path));
    let settled = source
        .iter()
        .filter(|(path, entry)| !plan.held.contains(path) && !matches!(entry, Entry::Other(_)));
    held.chain(settled)
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect()
}
