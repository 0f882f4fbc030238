//! Manifests: the contents of a folder.
//!
//! Defines what counts as content and how it is recorded. [`crate::sync::scan`]
//! creates manifests; this module does not access files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::host::fs::{Hash, Stamp};
use crate::sync::path::{RelPath, escaped};

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// A regular file.
    File(File),
    /// A folder; its contents have their own entries.
    Folder {
        /// The permission bits.
        mode: u32,
    },
    /// A symlink that stays inside the tree.
    Link {
        /// The target, unresolved.
        #[serde(with = "escaped")]
        target: PathBuf,
    },
    /// An entry that is never deployed. It is listed so that its path counts as
    /// taken.
    Other(Other),
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The hash of its bytes; `None` if they were not all read: no compared
    /// file has this size, they differ from the only file they could equal, or
    /// the file kept changing. A file without a hash equals no other.
    pub hash: Option<Hash>,
    /// The size in bytes.
    pub size: u64,
    /// The permission bits.
    pub mode: u32,
    /// The state when it was read; not part of the content.
    pub stamp: Stamp,
}

/// Kinds of entries that are never deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Other {
    /// A symlink that is absolute, leads outside, or has `..` after a name.
    LinkOutside,
    /// A socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A device.
    Device,
    /// A staged file of a killed deploy, whose name is reserved.
    Alias,
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkOutside => "a symlink that does not stay inside its folder",
            Self::Socket => "a socket",
            Self::Fifo => "a named pipe",
            Self::Device => "a device",
            Self::Alias => "a name that is reserved for files under way",
        })
    }
}

/// Differences between two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The kinds differ, such as a file and a folder.
    Kind,
    /// The bytes of a file differ.
    Bytes,
    /// The targets of a symlink differ.
    Target,
    /// Only the permission bits differ.
    Mode,
}

impl Entry {
    /// Returns the difference in content; `None` if there is none.
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        match (self, other) {
            (Self::File(a), Self::File(b)) => {
                if a.size != b.size || a.hash.is_none() || a.hash != b.hash {
                    Some(Difference::Bytes)
                } else {
                    (a.mode != b.mode).then_some(Difference::Mode)
                }
            }
            (Self::Folder { mode: a }, Self::Folder { mode: b }) => {
                (a != b).then_some(Difference::Mode)
            }
            (Self::Link { target: a }, Self::Link { target: b }) => {
                (a != b).then_some(Difference::Target)
            }
            _ => Some(Difference::Kind),
        }
    }

    /// Returns true if it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }
}

/// The contents of a folder: an entry for each path below it.
///
/// In JSON a map from path to entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Manifest {
    entries: BTreeMap<RelPath, Entry>,
}

impl Manifest {
    /// Returns the entry at `path`.
    pub fn get(&self, path: &RelPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Iterates over all entries, a folder directly before its contents.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &Entry)> {
        self.entries.iter()
    }

    /// Adds entries, replacing those of the same paths.
    pub fn extend(&mut self, entries: impl IntoIterator<Item = (RelPath, Entry)>) {
        self.entries.extend(entries);
    }

    /// Adds the hashes of `placed` files to entries that have none.
    pub fn learn(&mut self, placed: &[(RelPath, Entry)]) {
        for (path, entry) in placed {
            if let (Some(Entry::File(file)), Entry::File(placed)) =
                (self.entries.get_mut(path), entry)
            {
                file.hash = file.hash.or(placed.hash);
            }
        }
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entries that cannot be deployed.
    pub fn refused(&self) -> impl Iterator<Item = (&RelPath, Other)> {
        self.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::Other(other) => Some((path, *other)),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Manifest {
    /// Collects the entries first: the recorded order makes building the map
    /// fast.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Manifest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from path to entry")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Manifest, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries.into_iter().collect())
            }
        }

        deserializer.deserialize_map(All)
    }
}

impl FromIterator<(RelPath, Entry)> for Manifest {
    /// Collects entries, which must include the folder of each entry.
    fn from_iter<I: IntoIterator<Item = (RelPath, Entry)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}
