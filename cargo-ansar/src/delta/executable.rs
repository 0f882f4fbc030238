//! Executables: whether what was built is what runs, and putting it in place.
//!
//! Owns the record of a deployed executable. The home's file may be a hard
//! link to the artefact, so the two are never compared with each other: a tool
//! that writes into one writes into both. Each is compared with the record.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::files::{self, Hash, How, Identity, Kind, Staged, Stamp, Stat};

/// Why an executable could not be judged or deployed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Files(#[from] files::Error),
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
    /// Of its bytes; `None` until [`Deployed::complete`] has read them.
    pub hash: Option<Hash>,
    /// In bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// The artefact at that time.
    pub artefact: Stamp,
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

/// Compares an artefact, and the home's file, with what was recorded.
///
/// Reads neither where the record vouches for both. Bytes decide otherwise; a
/// record without a hash that cannot vouch is taken to differ.
pub fn judge(artefact: &Path, home: &Path, recorded: Option<&Deployed>) -> Result<Verdict, Error> {
    let now_ns = files::now_ns();
    let artefact = resolve(artefact)?;
    let built = regular(&artefact)?;
    let Some(record) = recorded else {
        return Ok(Verdict::Differ(Difference::New));
    };
    let runs = match files::stat(home) {
        Ok(stat) => stat,
        Err(error) if error.is_not_found() => return Ok(Verdict::Differ(Difference::Missing)),
        Err(error) => return Err(error.into()),
    };
    let (artefact_stands, home_stands) = (
        record.artefact.vouches_for(&built),
        record.home.vouches_for(&runs),
    );
    if artefact_stands && home_stands && runs.mode == record.mode {
        return Ok(Verdict::Unchanged);
    }
    if built.identity.size != record.size {
        return Ok(Verdict::Differ(Difference::Bytes));
    }
    // Whether it may be executed is part of what runs; a hard link shares it.
    if runs.kind != Kind::File || runs.identity.size != record.size || runs.mode != built.mode {
        return Ok(Verdict::Differ(Difference::HomeChanged));
    }
    let mut hash = record.hash;
    let mut runs = runs;
    if !home_stands || hash.is_none() {
        let (read, stat) = files::hash(home)?;
        if hash.is_some_and(|hash| hash != read) {
            return Ok(Verdict::Differ(Difference::HomeChanged));
        }
        if hash.is_none() && !home_stands {
            return Ok(Verdict::Differ(Difference::Bytes));
        }
        (hash, runs) = (Some(read), stat);
    }
    let mut built = built;
    if !artefact_stands {
        let (read, stat) = files::hash(&artefact)?;
        if hash != Some(read) {
            return Ok(Verdict::Differ(Difference::Bytes));
        }
        built = stat;
    }
    Ok(Verdict::SameBytes(Deployed {
        hash,
        ..Deployed::of(&built, &runs, now_ns)
    }))
}

/// Puts an artefact in place: [`Ready::stage`], then [`Ready::commit`].
pub fn deploy(artefact: &Path, home: &Path, how: How) -> Result<Deployed, Error> {
    Ready::stage(artefact, home, how)?.commit(home)
}

/// An artefact beside its place in a home. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Ready {
    staged: Staged,
    record: Deployed,
}

impl Ready {
    /// Puts an artefact beside its place, under an alias; not synced, since it
    /// can be deployed again.
    pub fn stage(artefact: &Path, home: &Path, how: How) -> Result<Self, Error> {
        let now_ns = files::now_ns();
        let artefact = resolve(artefact)?;
        let before = regular(&artefact)?;
        let folder = home.parent().unwrap_or(Path::new("."));
        let staged = Staged::stage(&artefact, folder, how)?;
        let runs = files::stat(staged.path())?;
        let built = regular(&artefact)?;
        if before.identity != built.identity || runs.identity.size != built.identity.size {
            return Err(files::Error::Changed { path: artefact }.into());
        }
        let record = Deployed::of(&built, &runs, now_ns);
        Ok(Self { staged, record })
    }

    /// Which file the artefact is, in which state.
    pub fn identity(&self) -> Identity {
        self.record.artefact.identity
    }

    /// Renames it into its place, so that what runs is never written into.
    ///
    /// No byte was read where a link is possible, so the record has no hash;
    /// have it [completed](Deployed::complete) before it is written down, for
    /// instance while the roles already run.
    pub fn commit(self, home: &Path) -> Result<Deployed, Error> {
        self.staged.commit(home)?;
        Ok(self.record)
    }
}

/// Which file an artefact is, in which state.
pub fn identity(artefact: &Path) -> Result<Identity, Error> {
    Ok(regular(&resolve(artefact)?)?.identity)
}

/// The record of an artefact that is used where it is.
pub fn in_place(artefact: &Path) -> Result<Deployed, Error> {
    let now_ns = files::now_ns();
    let built = regular(&resolve(artefact)?)?;
    Ok(Deployed::of(&built, &built, now_ns))
}

impl Deployed {
    fn of(built: &Stat, runs: &Stat, now_ns: i64) -> Self {
        Self {
            hash: None,
            size: built.identity.size,
            mode: runs.mode,
            artefact: Stamp::linked(built, now_ns),
            home: Stamp::linked(runs, now_ns),
        }
    }

    /// Adds the hash, read from the home's file.
    ///
    /// Where that file is no longer what was deployed the record stays without
    /// one, and the next judgement finds a difference.
    pub fn complete(mut self, home: &Path) -> Result<Self, Error> {
        if self.hash.is_none() {
            match files::hash(home) {
                Ok((hash, stat)) if self.home.matches(&stat) => self.hash = Some(hash),
                Ok(_) | Err(files::Error::Changed { .. }) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self)
    }
}

/// What a path is once symlinks are resolved; Cargo makes none, other builders
/// do.
fn resolve(path: &Path) -> Result<PathBuf, Error> {
    Ok(files::resolve(path)?)
}

fn regular(path: &Path) -> Result<Stat, Error> {
    let stat = files::stat(path)?;
    if stat.kind == Kind::File {
        Ok(stat)
    } else {
        Err(Error::NotAFile {
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// An artefact as Cargo leaves it, and a home beside it.
    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let bench = Self {
                folder: tempfile::tempdir().unwrap(),
            };
            bench.build(b"version 1");
            bench
        }

        fn artefact(&self) -> PathBuf {
            self.folder.path().join("built")
        }

        fn home(&self) -> PathBuf {
            self.folder.path().join("home")
        }

        /// A new inode, as Cargo makes.
        fn build(&self, bytes: &[u8]) {
            files::replace(&self.artefact(), bytes, 0o755).unwrap();
        }

        fn deploy(&self, how: How) -> Deployed {
            let record = deploy(&self.artefact(), &self.home(), how).unwrap();
            record.complete(&self.home()).unwrap()
        }

        fn judge(&self, record: &Deployed) -> Verdict {
            judge(&self.artefact(), &self.home(), Some(record)).unwrap()
        }
    }

    /// As if recorded long after both files were last written.
    fn aged(mut record: Deployed) -> Deployed {
        record.artefact.settled = true;
        record.home.settled = true;
        record
    }

    const BOTH: [How; 2] = [How::Link, How::Copy];

    #[test]
    fn never_deployed_differs() {
        let bench = Bench::new();
        let verdict = judge(&bench.artefact(), &bench.home(), None).unwrap();
        assert_eq!(verdict, Verdict::Differ(Difference::New));
    }

    #[test]
    fn deployed_is_unchanged_once_settled_and_same_bytes_before() {
        for how in BOTH {
            let bench = Bench::new();
            let record = bench.deploy(how);
            assert!(matches!(bench.judge(&record), Verdict::SameBytes(new) if new == record));
            assert_eq!(bench.judge(&aged(record)), Verdict::Unchanged);
            assert_eq!(files::read(&bench.home()).unwrap(), b"version 1");
        }
    }

    #[test]
    fn record_without_hash_vouches_when_settled_and_differs_before() {
        let bench = Bench::new();
        let record = deploy(&bench.artefact(), &bench.home(), How::Link).unwrap();
        assert_eq!(
            bench.judge(&record),
            Verdict::Differ(Difference::Bytes),
            "nothing says that nobody wrote since"
        );
        assert_eq!(bench.judge(&aged(record)), Verdict::Unchanged);
    }

    #[test]
    fn relinked_to_the_same_bytes_is_the_same() {
        for how in BOTH {
            let bench = Bench::new();
            let record = aged(bench.deploy(how));
            bench.build(b"version 1");
            let Verdict::SameBytes(new) = bench.judge(&record) else {
                panic!("the bytes are the same");
            };
            assert_ne!(new.artefact, record.artefact);
            assert_eq!(bench.judge(&aged(new)), Verdict::Unchanged);
            // A record whose hash was never completed finds it in the home.
            let unread = Deployed {
                hash: None,
                ..record
            };
            assert!(matches!(bench.judge(&unread), Verdict::SameBytes(_)));
        }
    }

    #[test]
    fn rebuilt_differs_whether_its_size_does_or_not() {
        for how in BOTH {
            for bytes in [&b"version 2"[..], b"longer than that"] {
                let bench = Bench::new();
                let record = aged(bench.deploy(how));
                bench.build(bytes);
                assert_eq!(bench.judge(&record), Verdict::Differ(Difference::Bytes));
                assert_eq!(files::read(&bench.home()).unwrap(), b"version 1");
                let record = aged(bench.deploy(how));
                assert_eq!(bench.judge(&record), Verdict::Unchanged);
                assert_eq!(files::read(&bench.home()).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn written_in_place_through_the_link_is_seen() {
        let bench = Bench::new();
        let record = bench.deploy(How::Link);
        fs::write(bench.artefact(), b"stripped!").unwrap();
        assert!(matches!(bench.judge(&record), Verdict::Differ(_)));
    }

    #[test]
    fn home_that_lost_or_changed_its_file_differs() {
        let bench = Bench::new();
        let record = aged(bench.deploy(How::Link));
        fs::remove_file(bench.home()).unwrap();
        assert_eq!(bench.judge(&record), Verdict::Differ(Difference::Missing));
        files::replace(&bench.home(), b"something", 0o755).unwrap();
        assert_eq!(
            bench.judge(&record),
            Verdict::Differ(Difference::HomeChanged)
        );
        files::replace(&bench.home(), b"version 1", 0o755).unwrap();
        assert!(matches!(bench.judge(&record), Verdict::SameBytes(_)));
        files::replace(&bench.home(), b"version 1", 0o644).unwrap();
        assert_eq!(
            bench.judge(&record),
            Verdict::Differ(Difference::HomeChanged)
        );
    }

    #[test]
    fn other_link_to_the_artefact_changes_nothing() {
        let bench = Bench::new();
        let record = aged(bench.deploy(How::Link));
        fs::hard_link(bench.artefact(), bench.folder.path().join("deps")).unwrap();
        assert_eq!(bench.judge(&record), Verdict::Unchanged);
    }

    #[test]
    fn artefact_that_is_missing_or_no_file_is_an_error() {
        let bench = Bench::new();
        let folder = bench.folder.path();
        assert!(judge(&folder.join("gone"), &bench.home(), None).is_err());
        assert!(deploy(folder, &bench.home(), How::Link).is_err());
        assert!(!bench.home().exists());
    }
}
