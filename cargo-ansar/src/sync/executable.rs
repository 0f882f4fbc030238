//! Executables: whether what was built is what runs, and putting it in place.
//!
//! Owns the record of a deployed executable. The home's file may be a hard
//! link to the artifact: a tool that writes into one writes into both. So bytes
//! of the two are compared only where they are two files, and the home's is the
//! one that was deployed; else each is compared with the record.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::fs;
use crate::host::fs::{Fingerprint, Hash, How, Kind, Staged, Stamp, Stat};

/// Why an executable could not be judged or deployed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Files(#[from] fs::Error),
    /// What was to be deployed is no regular file.
    #[error("expected an executable file at `{path}`")]
    NotAFile {
        /// What is none.
        path: PathBuf,
    },
}

/// What was deployed, and what it looked like on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// Of its bytes, which a deploy does not read; `None` until a judgement has
    /// found it in place, or [`Deployed::complete`] has read them.
    pub hash: Option<Hash>,
    /// In bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// The artifact at that time.
    #[serde(rename = "artefact")]
    pub artifact: Stamp,
    /// The home's file at that time.
    pub home: Stamp,
}

/// What a judgement found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Both files are those of the record.
    Unchanged,
    /// The bytes are those of the record and the files are not; here is the
    /// record that spares the next one from reading them.
    SameBytes(Deployed),
    /// It is to be deployed.
    Differ(Difference),
}

/// Why an executable is to be deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It never was.
    New,
    /// What was built is not what was deployed.
    Bytes,
    /// The home no longer has it.
    Missing,
    /// The home has something else than was deployed.
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

/// Compares an artifact, and the home's file, with what was recorded.
///
/// Reads neither where the record vouches for both, except once for its hash:
/// with that, one that is merely touched later is told from one that changed.
/// Bytes decide otherwise; a record without a hash that cannot vouch is taken
/// to differ.
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
    // Whether it may be executed is part of what runs; a hard link shares it.
    if runs.kind != Kind::File || runs.fingerprint.size != record.size || runs.mode != built.mode {
        return Ok(Verdict::Differ(Difference::HomeChanged));
    }
    if !both.is_one && record.home.matches(&runs) {
        both.compare(record)
    } else {
        both.read(record)
    }
}

/// An artifact and the home's file, as they look now.
struct Both<'a> {
    artifact: &'a Path,
    home: &'a Path,
    built: Stat,
    runs: Stat,
    /// Whether they are two names of one file.
    is_one: bool,
    now_ns: i64,
}

impl Both<'_> {
    /// Whether the record vouches for both.
    fn are_as_in(&self, record: &Deployed) -> bool {
        let stands = |stamp: &Stamp, stat: &Stat| {
            // Whoever writes into a file of two names writes into what is
            // deployed, and nobody can while it runs: when it was written last
            // does not matter.
            stamp.vouches_for(stat) || self.is_one && stamp.matches(stat)
        };
        stands(&record.artifact, &self.built)
            && stands(&record.home, &self.runs)
            && self.runs.mode == record.mode
    }

    /// For two files, the home's being the one that was deployed.
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

    /// By the hash of each.
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

/// Puts an artifact in place: [`Ready::stage`], then [`Ready::commit`].
pub fn deploy(artifact: &Path, home: &Path, how: How) -> Result<Deployed, Error> {
    Ready::stage(artifact, home, how)?.commit(home)
}

/// An artifact beside its place in a home. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Ready {
    staged: Staged,
    record: Deployed,
}

impl Ready {
    /// Puts an artifact beside its place, under an alias; not synced, since it
    /// can be deployed again.
    pub fn stage(artifact: &Path, home: &Path, how: How) -> Result<Self, Error> {
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

    /// Which file the artifact is, in which state.
    pub fn fingerprint(&self) -> Fingerprint {
        self.record.artifact.fingerprint
    }

    /// Renames it into its place, so that what runs is never written into.
    ///
    /// No byte was read where a link is possible, so the record has no hash.
    pub fn commit(self, home: &Path) -> Result<Deployed, Error> {
        self.staged.commit(home)?;
        Ok(self.record)
    }
}

/// Returns true if two paths lead to one name of one file: what is copied from
/// one to the other stays as it is. Two names of one file are two places.
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

/// Which file an artifact is, in which state.
pub fn fingerprint(artifact: &Path) -> Result<Fingerprint, Error> {
    Ok(regular(&resolve(artifact)?)?.fingerprint)
}

/// The record of an artifact that is used where it is: the next build leaves
/// nothing to compare with but its hash, which is [yet to be
/// read](Deployed::complete).
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
            // Whoever fills a folder of executables may give one its old date.
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
    /// Where that file is no longer what was deployed the record stays without
    /// one, and the next judgement finds a difference.
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

/// Whether two paths are names of one file.
fn is_one(one: &Stat, other: &Stat) -> bool {
    let file = |stat: &Stat| (stat.fingerprint.device, stat.fingerprint.inode);
    file(one) == file(other)
}

/// What a path is once symlinks are resolved; Cargo makes none, other builders
/// do.
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
