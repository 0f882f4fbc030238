//! Events of watched sources.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::events::form::{lossy, lossy_all, seconds};

/// Events of the sources that `watch` watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum SourceEvent {
    /// `watch` waits for the next change.
    Watching {
        /// Number of watched files.
        files: usize,
    },
    /// The kernel cannot watch more files; changes are polled instead.
    Polling {
        /// Name of the exceeded limit.
        limit: String,
    },
    /// Files changed; the next loop begins.
    Changed {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// Files were written without a change of their content.
    Rewritten {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// Files change in every loop, so the loop itself writes them. Such changes
    /// no longer begin a loop.
    Written {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
        /// The author of the changes.
        by: Author,
    },
    /// Changed sources were not compiled, since they are older than the
    /// previous artifact; the verdict is stale.
    Uncompiled {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// A file system does not report all changes; it is polled as well.
    Untold {
        /// A folder on it.
        #[serde(with = "lossy")]
        folder: PathBuf,
        /// Type of the file system.
        filesystem: String,
        /// Polling interval, in seconds.
        #[serde(with = "seconds")]
        interval: Duration,
    },
}

/// The author of files that change in every loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Author {
    /// Build scripts or procedural macros.
    Build,
    /// Roles.
    Roles,
}
