//! Executables: detecting differences between build and home, and deploying.
//!
//! Defines the record of a deployed executable. The home's file may be a hard
//! link to the artifact, so that a write to one changes both. Their bytes are
//! therefore compared only if they are two files and the home's is the deployed
//! one; otherwise each is compared with the record.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::fs;
use crate::host::fs::{Fingerprint, Hash, Kind, Staged, Stamp, Stat, TransferMethod};

/// An error while comparing or deploying an executable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Files(#[from] fs::Error),
    /// The artifact is not a regular file.
    #[error("expected an executable file at `{path}`")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
}

/// The record of a deployed executable and its two files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The hash of its bytes. A deploy does not read them, so it is `None`
    /// until [`judge`] or [`Deployed::complete`] has.
    pub hash: Option<Hash>,
    /// The size in bytes.
    pub size: u64,
    /// The permission bits.
    pub mode: u32,
    /// The artifact when it was deployed.
    #[serde(rename = "artefact")]
    pub artifact: Stamp,
    /// The home's file when it was deployed.
    pub home: Stamp,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Both files are as recorded.
    Unchanged,
    /// The bytes are as recorded and the files are not. Contains a new record,
    /// with which the next comparison need not read them.
    SameBytes(Deployed),
    /// The executable must be deployed.
    Differ(Difference),
}

/// The reason an executable must be deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It was never deployed.
    New,
    /// The artifact is not what was deployed.
    Bytes,
    /// It does not exist in the home.
    Missing,
    /// The home's file is not what was deployed.
    HomeChanged,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Bytes => "bytes differ",
            Self::Missing => "missing in the home",
            Self::HomeChanged => "changed in the home",
        })
    }
}

/// Compares an artifact and the home's file with the record.
///
/// Reads neither file if the record vouches for both, except once to complete
/// the record with a hash: only with a hash can a file that was merely touched
/// be told from a changed one. Otherwise compares bytes. If the record has no
/// hash and does not vouch for a file, the result is a difference.
pub fn judge(artifact: &Path, home: &Path, recorded: Option<&Deployed>) -> Result<Verdict, Error> {
    let now_ns = fs::now_ns();
    let artifact = resolve(artifact)?;
    let built = regular(&artifact)?;
    let Some(record) = recorded else {
        return Ok(Verdict::Differ(Difference::New));
    };
    let runs = match fs::stat(home) {
        Ok(stat) => stat,
        Err(error) if error.is_not_found() => return Ok(Verdict::Differ(Difference::Missing)),
        Err(error) => return Err(error.into()),
    };
    let both = Both {
        is_one: is_one(&built, &runs),
        artifact: &artifact,
        home,
        built,
        runs,
        now_ns,
    };
    if both.are_as_in(record) {
        return match record.hash {
            Some(_) => Ok(Verdict::Unchanged),
            None => both.read(record),
        };
    }
    if built.fingerprint.size != record.size {
        return Ok(Verdict::Differ(Difference::Bytes));
    }
    // The mode is part of what runs; a hard link shares it.
    if runs.kind != Kind::File || runs.fingerprint.size != record.size || runs.mode != built.mode {
        return Ok(Verdict::Differ(Difference::HomeChanged));
    }
    if !both.is_one && record.home.matches(&runs) {
        both.compare(record)
    } else {
        both.read(record)
    }
}

/// An artifact and the home's file, in their current state.
struct Both<'a> {
    artifact: &'a Path,
    home: &'a Path,
    built: Stat,
    runs: Stat,
    /// True if they are hard links of one file.
    is_one: bool,
    now_ns: i64,
}

impl Both<'_> {
    /// Returns true if the record vouches for both.
    fn are_as_in(&self, record: &Deployed) -> bool {
        let stands = |stamp: &Stamp, stat: &Stat| {
            // A write to either name changes what is deployed, and a running
            // executable cannot be written, so a hard link need not be settled.
            stamp.vouches_for(stat) || self.is_one && stamp.matches(stat)
        };
        stands(&record.artifact, &self.built)
            && stands(&record.home, &self.runs)
            && self.runs.mode == record.mode
    }

    /// Compares two files, of which the home's is the deployed one.
    fn compare(&self, record: &Deployed) -> Result<Verdict, Error> {
        let (are_equal, built, runs) = fs::equal(self.artifact, self.home)?;
        if !are_equal {
            return Ok(Verdict::Differ(Difference::Bytes));
        }
        let hash = record.hash.filter(|_| record.home.vouches_for(&runs));
        Ok(Verdict::SameBytes(Deployed {
            hash,
            ..Deployed::of(&built, &runs, self.now_ns)
        }))
    }

    /// Compares by hash.
    fn read(&self, record: &Deployed) -> Result<Verdict, Error> {
        let differs = Verdict::Differ(if self.is_one {
            Difference::Bytes
        } else {
            Difference::HomeChanged
        });
        if record.hash.is_none() && !self.are_as_in(record) {
            return Ok(differs);
        }
        let (hash, runs) = fs::hash(self.home)?;
        if record.hash.is_some_and(|known| known != hash) {
            return Ok(differs);
        }
        let (read, built) = if self.is_one {
            (hash, runs)
        } else {
            fs::hash(self.artifact)?
        };
        if read != hash {
            return Ok(Verdict::Differ(Difference::Bytes));
        }
        Ok(Verdict::SameBytes(Deployed {
            hash: Some(hash),
            ..Deployed::of(&built, &runs, self.now_ns)
        }))
    }
}

/// Deploys an artifact: [`Ready::stage`], then [`Ready::commit`].
pub fn deploy(artifact: &Path, home: &Path, how: TransferMethod) -> Result<Deployed, Error> {
    Ready::stage(artifact, home, how)?.commit(home)
}

/// An artifact staged in a home. Dropping it removes it.
#[derive(Debug)]
pub struct Ready {
    staged: Staged,
    record: Deployed,
}

impl Ready {
    /// Stages an artifact under an alias beside its target. It is not synced,
    /// since it can be deployed again.
    pub fn stage(artifact: &Path, home: &Path, how: TransferMethod) -> Result<Self, Error> {
        let now_ns = fs::now_ns();
        let artifact = resolve(artifact)?;
        let before = regular(&artifact)?;
        let folder = home.parent().unwrap_or(Path::new("."));
        let staged = Staged::stage(&artifact, folder, how)?;
        let runs = fs::stat(staged.path())?;
        let built = regular(&artifact)?;
        if before.fingerprint != built.fingerprint
            || runs.fingerprint.size != built.fingerprint.size
        {
            return Err(fs::Error::Changed { path: artifact }.into());
        }
        let record = Deployed::of(&built, &runs, now_ns);
        Ok(Self { staged, record })
    }

    /// Returns the fingerprint of the artifact.
    pub fn fingerprint(&self) -> Fingerprint {
        self.record.artifact.fingerprint
    }

    /// Renames it to its target, so that a running executable is never written.
    ///
    /// The record has no hash, since a hard link needs no reading.
    pub fn commit(self, home: &Path) -> Result<Deployed, Error> {
        self.staged.commit(home)?;
        Ok(self.record)
    }
}

/// Returns true if two paths resolve to the same name in the same folder, so
/// that copying one to the other would do nothing. Hard links of one file are
/// different places.
pub fn is_one_place(one: &Path, other: &Path) -> Result<bool, fs::Error> {
    let place = |path: &Path| match fs::resolve(path) {
        Ok(path) => {
            let folder = path.parent().map(fs::stat).transpose()?;
            let folder = folder.map(|stat| (stat.fingerprint.device, stat.fingerprint.inode));
            Ok(Some((folder, path.file_name().map(OsStr::to_owned))))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    };
    Ok(match (place(one)?, place(other)?) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    })
}

/// Returns the fingerprint of an artifact.
pub fn fingerprint(artifact: &Path) -> Result<Fingerprint, Error> {
    Ok(regular(&resolve(artifact)?)?.fingerprint)
}

/// Returns the record of an artifact that is used in place. The next build
/// replaces the file, so only its hash remains to compare with;
/// [`Deployed::complete`] adds it.
pub fn in_place(artifact: &Path) -> Result<Deployed, Error> {
    let now_ns = fs::now_ns();
    let built = regular(&resolve(artifact)?)?;
    Ok(Deployed::of(&built, &built, now_ns))
}

impl Deployed {
    fn of(built: &Stat, runs: &Stat, now_ns: i64) -> Self {
        let is_one = is_one(built, runs);
        Self {
            hash: None,
            size: built.fingerprint.size,
            mode: runs.mode,
            // A tool that fills a folder of executables may reset a date.
            artifact: if is_one {
                Stamp::linked(built, now_ns)
            } else {
                Stamp::strict(built, now_ns)
            },
            home: Stamp::linked(runs, now_ns),
        }
    }

    /// Adds the hash, read from the home's file.
    ///
    /// If that file is no longer the deployed one, the record stays without a
    /// hash, and the next comparison finds a difference.
    pub fn complete(mut self, home: &Path) -> Result<Self, Error> {
        if self.hash.is_none() {
            match fs::hash(home) {
                Ok((hash, stat)) if self.home.matches(&stat) => self.hash = Some(hash),
                Ok(_) | Err(fs::Error::Changed { .. }) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self)
    }
}

/// Returns true if both are hard links of one file.
fn is_one(one: &Stat, other: &Stat) -> bool {
    let file = |stat: &Stat| (stat.fingerprint.device, stat.fingerprint.inode);
    file(one) == file(other)
}

/// Resolves symlinks, which Cargo does not create but other build tools do.
fn resolve(path: &Path) -> Result<PathBuf, Error> {
    Ok(fs::resolve(path)?)
}

fn regular(path: &Path) -> Result<Stat, Error> {
    let stat = fs::stat(path)?;
    if stat.kind == Kind::File {
        Ok(stat)
    } else {
        Err(Error::NotAFile {
            path: path.to_owned(),
        })
    }
}
