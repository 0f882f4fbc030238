//! Creating the manifest of a folder.
//!
//! Defines which symlinks are allowed, and which files need not be read. Does
//! not know on which side of a deploy the folder is.

use std::iter::Peekable;
use std::path::{Component, Path};

use crate::host::fs;
use crate::host::fs::{Kind, Stamp, Stat, Walked};
use crate::sync::manifest::{Entry, File, Manifest, Other};
use crate::sync::path;
use crate::sync::path::RelPath;

/// Number of attempts to read a file that changes while it is read.
const READS: usize = 3;

/// An error while scanning a folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Files(#[from] fs::Error),
    /// A name that a manifest cannot represent.
    #[error(transparent)]
    Path(#[from] path::Error),
}

/// The result of a scan.
#[derive(Debug)]
pub struct Scan {
    /// The contents of the folder.
    pub manifest: Manifest,
    /// Number of files that were read. If there are any, recording the manifest
    /// saves the next scan from reading them.
    pub read: usize,
    /// True if the folder does not exist; the manifest is then empty.
    pub missing: bool,
}

/// Scans everything below `root`.
///
/// A file is not read if its `previous` record vouches for it. A file that
/// keeps changing while it is read is an error.
pub fn scan(root: &Path, previous: Option<&Manifest>) -> Result<Scan, Error> {
    Listing::at(root)?.describe(previous, None)
}

/// Like [`scan`], for a folder that is only compared with `others`: does not
/// read files whose size differs from those, and tolerates files that keep
/// changing.
///
/// Meant for the areas that a role writes to, which may be large and busy.
pub fn scan_against(
    root: &Path,
    previous: Option<&Manifest>,
    others: &[&Manifest],
) -> Result<Scan, Error> {
    Listing::at(root)?.describe(previous, Some(others))
}

/// A folder whose entries were listed, without reading files.
#[derive(Debug)]
pub struct Listing<'a> {
    root: &'a Path,
    walked: Option<Vec<Walked>>,
    now_ns: i64,
    twin: Option<Twin<'a>>,
}

/// A folder that should have the same contents, with its record.
#[derive(Debug)]
struct Twin<'a> {
    root: &'a Path,
    record: &'a Manifest,
}

/// Size in bytes from which on a file is compared with its twin before hashing.
const LARGE: u64 = 1 << 20;

impl Twin<'_> {
    /// Describes a file without hashing it, by comparing it with its twin. The
    /// twin must still be what was last deployed from `known`; then equal bytes
    /// have the known hash, and other bytes get none. Returns `None` if that is
    /// not so, or a file cannot be read.
    fn tell(
        &self,
        file: &Path,
        path: &RelPath,
        known: Option<&Entry>,
        now_ns: i64,
    ) -> Option<File> {
        let (Entry::File(last), Entry::File(here)) = (known?, self.record.get(path)?) else {
            return None;
        };
        let is_as_brought = last.hash == here.hash && last.mode == here.mode;
        if last.hash.is_none() || !is_as_brought || last.size < LARGE {
            return None;
        }
        let (is_same, stat, twin) = fs::equal(file, &path.under(self.root)).ok()?;
        here.stamp.vouches_for(&twin).then(|| File {
            hash: last.hash.filter(|_| is_same),
            ..unread(&stat, now_ns)
        })
    }
}

impl<'a> Listing<'a> {
    fn at(root: &'a Path) -> Result<Self, Error> {
        let now_ns = fs::now_ns();
        let walked = fs::walk(root)?;
        Ok(Self {
            root,
            walked,
            now_ns,
            twin: None,
        })
    }

    /// Compares large files with those of a folder that was last given the
    /// contents of `record`, instead of hashing them. A file that differs gets
    /// no hash, because it equals no other file of the comparison.
    #[must_use]
    pub fn with_twin(mut self, twin: &'a Path, record: &'a Manifest) -> Self {
        self.twin = Some(Twin { root: twin, record });
        self
    }

    /// Lists two folders, in parallel if they are large.
    pub fn at_both(one: &'a Path, other: &'a Path, are_large: bool) -> [Result<Self, Error>; 2] {
        if !are_large {
            return [Self::at(one), Self::at(other)];
        }
        let now_ns = fs::now_ns();
        let (first, second) = fs::walk_both(one, other);
        let look = |root, walked: Result<_, fs::Error>| {
            Ok(Self {
                root,
                walked: walked?,
                now_ns,
                twin: None,
            })
        };
        [look(one, first), look(other, second)]
    }

    /// Completes [`scan`], or [`scan_against`] if `others` is given.
    pub fn describe(
        self,
        previous: Option<&Manifest>,
        others: Option<&[&Manifest]>,
    ) -> Result<Scan, Error> {
        let Self {
            root,
            walked,
            now_ns,
            twin,
        } = self;
        let Some(walked) = walked else {
            return Ok(Scan {
                manifest: Manifest::default(),
                read: 0,
                missing: true,
            });
        };
        let mut known = previous.map(|previous| previous.iter().peekable());
        let mut read = 0;
        let mut entries = Vec::with_capacity(walked.len());
        for Walked { path, stat, alias } in walked {
            let path = RelPath::parse(path)?;
            let entry = match stat.kind {
                _ if alias => Some(Entry::Other(Other::Alias)),
                Kind::Folder => Some(Entry::Folder { mode: stat.mode }),
                Kind::Link => link(root, &path)?,
                Kind::Socket => Some(Entry::Other(Other::Socket)),
                Kind::Fifo => Some(Entry::Other(Other::Fifo)),
                Kind::Device => Some(Entry::Other(Other::Device)),
                Kind::File => {
                    let known = known.as_mut().and_then(|known| find(known, &path));
                    if let Some(file) = trusted(known, &stat) {
                        Some(Entry::File(file))
                    } else if others.is_some_and(|others| !is_wanted(others, &path, &stat)) {
                        Some(Entry::File(unread(&stat, now_ns)))
                    } else {
                        read += 1;
                        let at = path.under(root);
                        let compared = twin
                            .as_ref()
                            .and_then(|twin| twin.tell(&at, &path, known, now_ns));
                        let file = match compared {
                            Some(file) => Some(file),
                            None => file(&at, &stat, now_ns, others.is_some())?,
                        };
                        file.map(Entry::File)
                    }
                }
            };
            entries.extend(entry.map(|entry| (path, entry)));
        }
        Ok(Scan {
            manifest: entries.into_iter().collect(),
            read,
            missing: false,
        })
    }
}

/// Returns the record of a path. Calls must be in ascending order of paths, as
/// in a walk.
fn find<'m>(
    known: &mut Peekable<impl Iterator<Item = (&'m RelPath, &'m Entry)>>,
    path: &RelPath,
) -> Option<&'m Entry> {
    while known.next_if(|(other, _)| *other < path).is_some() {}
    let (_, entry) = known.next_if(|(other, _)| *other == path)?;
    Some(entry)
}

/// Returns the record of a file if it vouches for the file.
fn trusted(known: Option<&Entry>, stat: &Stat) -> Option<File> {
    match known? {
        Entry::File(file) if file.hash.is_some() && file.stamp.vouches_for(stat) => Some(File {
            mode: stat.mode,
            ..file.clone()
        }),
        _ => None,
    }
}

/// Returns true if another side has a file of this size at the path.
fn is_wanted(others: &[&Manifest], path: &RelPath, stat: &Stat) -> bool {
    others.iter().any(|other| {
        matches!(other.get(path), Some(Entry::File(file)) if file.size == stat.fingerprint.size)
    })
}

fn unread(stat: &Stat, now_ns: i64) -> File {
    File {
        hash: None,
        size: stat.fingerprint.size,
        mode: stat.mode,
        stamp: Stamp::strict(stat, now_ns),
    }
}

/// Reads a file; `None` if it vanished.
fn file(path: &Path, walked: &Stat, now_ns: i64, tolerant: bool) -> Result<Option<File>, Error> {
    for attempt in 1.. {
        match fs::hash(path) {
            Ok((hash, stat)) => {
                return Ok(Some(File {
                    hash: Some(hash),
                    ..unread(&stat, now_ns)
                }));
            }
            Err(error) if error.is_not_found() => break,
            Err(fs::Error::Changed { .. }) if attempt < READS => {}
            Err(fs::Error::Changed { .. }) if tolerant => {
                return Ok(Some(unread(walked, now_ns)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Reads a symlink; `None` if it vanished.
fn link(root: &Path, path: &RelPath) -> Result<Option<Entry>, Error> {
    match fs::read_link(&path.under(root)) {
        Ok(target) if stays_inside(path, &target) => Ok(Some(Entry::Link { target })),
        Ok(_) => Ok(Some(Entry::Other(Other::LinkOutside))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns true if a symlink at `path` cannot lead out of the tree.
///
/// `..` is allowed only at the beginning, where it moves up real folders. After
/// a name it could start at the target of another symlink.
fn stays_inside(path: &RelPath, target: &Path) -> bool {
    let mut up = 0;
    let mut down = false;
    for component in target.components() {
        match component {
            Component::ParentDir if !down => up += 1,
            Component::Normal(_) => down = true,
            Component::CurDir => {}
            _ => return false,
        }
    }
    up <= path.depth()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::sync::manifest::Difference;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    fn write(root: &Path, name: &str, bytes: &[u8]) {
        fs::replace(&root.join(name), bytes, 0o600).unwrap();
    }

    /// Returns the manifest as if every file had been unchanged for long.
    fn aged(manifest: &Manifest) -> Manifest {
        let aged = manifest.iter().map(|(path, entry)| {
            let mut entry = entry.clone();
            if let Entry::File(file) = &mut entry {
                file.stamp.settled = true;
            }
            (path.clone(), entry)
        });
        aged.collect()
    }

    #[test]
    fn large_file_is_compared_with_its_twin() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [source, home] = folders.each_ref().map(tempfile::TempDir::path);
        let size = usize::try_from(LARGE).unwrap();
        let bytes = vec![7; size];
        for root in [source, home] {
            write(root, "large", &bytes);
            write(root, "small", &bytes[1..]);
        }
        let last = aged(&scan(source, None).unwrap().manifest);
        let record = aged(&scan(home, None).unwrap().manifest);
        let find = |record: &Manifest| {
            let look = Listing::at(source).unwrap().with_twin(home, record);
            look.describe(Some(&last), None).unwrap().manifest
        };
        let hash = |manifest: &Manifest, name: &str| match manifest.get(&path(name)).unwrap() {
            Entry::File(file) => file.hash,
            other => panic!("{other:?}"),
        };
        let differs = |manifest: &Manifest, name: &str| {
            let (entry, last) = (manifest.get(&path(name)), last.get(&path(name)));
            entry.unwrap().difference(last.unwrap())
        };

        write(source, "large", &bytes);
        write(source, "small", &bytes[1..]);
        let found = find(&record);
        assert_eq!(hash(&found, "large"), hash(&last, "large"));

        for change in [0, size / 2, size - 1] {
            let mut changed = bytes.clone();
            changed[change] = 8;
            write(source, "large", &changed);
            write(source, "small", &changed[1..]);
            let found = find(&record);
            assert_eq!(hash(&found, "large"), None);
            assert_eq!(differs(&found, "large"), Some(Difference::Bytes));
            assert!(hash(&found, "small").is_some());
        }

        // If the twin is not what was deployed, the file is hashed.
        write(home, "large", &bytes);
        assert!(hash(&find(&record), "large").is_some());
        let other = aged(&scan(home, None).unwrap().manifest);
        assert_eq!(hash(&find(&other), "large"), None);
        write(home, "large", &[&bytes[1..], b"8"].concat());
        let other = aged(&scan(home, None).unwrap().manifest);
        assert!(hash(&find(&other), "large").is_some());
    }

    #[test]
    fn missing_root_is_an_empty_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let found = scan(&folder.path().join("gone"), None).unwrap();
        assert!(found.missing && found.manifest.is_empty());
        assert!(!scan(folder.path(), None).unwrap().missing);
    }

    #[test]
    fn manifest_survives_json() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::make_folder(&root.join("folder"), 0o750).unwrap();
        write(root, "folder/100%", b"bytes");
        fs::place_link(&root.join("link"), Path::new("folder/100%")).unwrap();
        let name = OsStr::from_bytes(b"not-\xff-utf8");
        fs::replace(&root.join(name), b"", 0o640).unwrap();
        fs::place_link(&root.join("other"), Path::new(name)).unwrap();
        let manifest = scan(root, None).unwrap().manifest;
        assert_eq!(manifest.len(), 5);
        let json = serde_json::to_string(&manifest).unwrap();
        assert!(json.contains("not-%FF-utf8"), "{json}");
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    }

    #[test]
    fn unsettled_file_is_read_again_and_a_settled_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "file", b"bytes");
        let first = scan(folder.path(), None).unwrap();
        assert_eq!(first.read, 1);
        let second = scan(folder.path(), Some(&first.manifest)).unwrap();
        assert_eq!(second.read, 1, "it was written a moment ago");
        let third = scan(folder.path(), Some(&aged(&second.manifest))).unwrap();
        assert_eq!(third.read, 0);
        assert!(first.manifest.get(&path("file")).is_some_and(|entry| {
            entry
                .difference(third.manifest.get(&path("file")).unwrap())
                .is_none()
        }));
    }

    #[test]
    fn changed_file_is_read_despite_its_date() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "file", b"one");
        let before = aged(&scan(folder.path(), None).unwrap().manifest);
        write(folder.path(), "file", b"two");
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        std::fs::File::options()
            .write(true)
            .open(folder.path().join("file"))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        let after = scan(folder.path(), Some(&before)).unwrap();
        let difference = after
            .manifest
            .get(&path("file"))
            .unwrap()
            .difference(before.get(&path("file")).unwrap());
        assert_eq!(difference, Some(Difference::Bytes));
    }

    #[test]
    fn scan_against_reads_only_what_could_be_equal() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(there.path(), "same-size", b"abc");
        write(there.path(), "longer", b"abcd");
        for name in ["same-size", "longer", "own"] {
            write(here.path(), name, b"xyz");
        }
        let other = scan(there.path(), None).unwrap().manifest;
        let found = scan_against(here.path(), None, &[&other]).unwrap();
        assert_eq!(found.read, 1);
        let own = found.manifest.get(&path("own")).unwrap();
        assert_eq!(own.difference(own), Some(Difference::Bytes));
    }

    #[test]
    fn links_are_kept_inside_and_refused_outside() {
        for (at, target, inside) in [
            ("link", "file", true),
            ("link", "./missing", true),
            ("folder/link", "../file", true),
            ("folder/link", "..", true),
            ("link", "..", false),
            ("folder/link", "../../file", false),
            ("link", "/etc/passwd", false),
            ("link", "folder/../file", false),
        ] {
            assert_eq!(
                stays_inside(&path(at), Path::new(target)),
                inside,
                "{at} -> {target}"
            );
        }
    }

    #[test]
    fn refused_entries_are_listed_beside_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "file", b"x");
        write(
            root,
            ".ansar-alias-0123456789abcdef0123456789abcdef",
            b"torn",
        );
        fs::place_link(&root.join("link"), Path::new("/etc/passwd")).unwrap();
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let manifest = scan(root, None).unwrap().manifest;
        let refused: Vec<_> = manifest.refused().map(|(_, other)| other).collect();
        assert_eq!(
            refused,
            [Other::Alias, Other::Fifo, Other::LinkOutside, Other::Socket]
        );
        assert!(matches!(manifest.get(&path("file")), Some(Entry::File(_))));
    }

    #[test]
    fn touched_file_has_the_same_content() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "file", b"same");
        let before = scan(folder.path(), None).unwrap().manifest;
        write(folder.path(), "file", b"same");
        let after = scan(folder.path(), Some(&before)).unwrap().manifest;
        let (before, after) = (before.get(&path("file")), after.get(&path("file")));
        assert_eq!(before.unwrap().difference(after.unwrap()), None);
        assert_ne!(before, after, "the stamps differ");
    }
}
