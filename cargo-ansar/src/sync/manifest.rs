//! What a folder holds: its manifest.
//!
//! Owns what counts as content and how it is recorded. [`crate::sync::scan`] makes
//! one; this module does not know the file system.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::host::fs::{Hash, Stamp};
use crate::sync::path::{RelPath, escaped};

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// A regular file.
    File(File),
    /// A folder; what is in it has entries of its own.
    Folder {
        /// Permission bits.
        mode: u32,
    },
    /// A symlink that stays inside.
    Link {
        /// What it says, word for word.
        #[serde(with = "escaped")]
        target: PathBuf,
    },
    /// Something that is never deployed. It stands in the manifest so that
    /// nobody takes its path for free.
    Other(Other),
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Of its bytes; `None` where they were not all read, because nothing that it
    /// is compared with has its size, because they differ from the only file
    /// that they could equal, or because it kept changing. Such a file equals
    /// no other.
    pub hash: Option<Hash>,
    /// In bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// What it looked like when it was read; no part of its content.
    pub stamp: Stamp,
}

/// What is never deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Other {
    /// A symlink that is absolute, leads out, or goes up after going down.
    LinkOutside,
    /// A socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A device.
    Device,
    /// What a killed deploy left; its name is reserved.
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

/// How two entries differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// One is a file and the other is not, and so on.
    Kind,
    /// The bytes of a file.
    Bytes,
    /// The target of a symlink.
    Target,
    /// The permission bits and nothing else.
    Mode,
}

impl Entry {
    /// How the content of two entries differs; `None` where it does not.
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

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }
}

/// What a folder holds: each path below it, with what stands there.
///
/// As JSON a map from path to entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Manifest {
    entries: BTreeMap<RelPath, Entry>,
}

impl Manifest {
    /// What stands at `path`.
    pub fn get(&self, path: &RelPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Everything, a folder directly before what is in it.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &Entry)> {
        self.entries.iter()
    }

    /// Puts entries in, over those of the same paths.
    pub fn extend(&mut self, entries: impl IntoIterator<Item = (RelPath, Entry)>) {
        self.entries.extend(entries);
    }

    /// Gives files that were not read to their end the hashes of what was
    /// `placed` from them.
    pub fn learn(&mut self, placed: &[(RelPath, Entry)]) {
        for (path, entry) in placed {
            if let (Some(Entry::File(file)), Entry::File(placed)) =
                (self.entries.get_mut(path), entry)
            {
                file.hash = file.hash.or(placed.hash);
            }
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What cannot be deployed from here, to be named to the user.
    pub fn refused(&self) -> impl Iterator<Item = (&RelPath, Other)> {
        self.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::Other(other) => Some((path, *other)),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Manifest {
    /// What is in order already, as it was written, is not put in order again.
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
    /// Each entry's folder must be among them, as it is in a scan.
    fn from_iter<I: IntoIterator<Item = (RelPath, Entry)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}
