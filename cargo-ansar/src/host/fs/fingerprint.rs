//! Fingerprints and hashes of files.
//!
//! Defines when an unchanged fingerprint proves unchanged bytes. Does not know
//! which files are compared.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use nix::time::ClockId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::host::fs::{Action, Error, open};
use crate::host::process::interrupts::checkpoint;

/// Time since a file's last change after which its times can be trusted.
///
/// Times have a granularity (a clock tick on most file systems, two seconds on
/// FAT): a file written twice within it has the same times. Git calls such an
/// entry racily clean.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The same for a time that is not a whole second: its file system uses clock
/// ticks, of which the longest is 10 ms.
const FINELY_SETTLED_AFTER: Duration = Duration::from_millis(100);

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symlink.
    Link,
    /// A Unix socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A device, or anything else.
    Device,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "regular file",
            Self::Folder => "directory",
            Self::Link => "symlink",
            Self::Socket => "socket",
            Self::Fifo => "FIFO",
            Self::Device => "device",
        })
    }
}

/// A file and its state. Equal fingerprints mean equal bytes, as far as the
/// file system can tell.
///
/// Creating a hard link to a file does not change its fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The device number.
    pub device: u64,
    /// The inode number, which may be reused once the file is gone.
    pub inode: u64,
    /// The size in bytes.
    pub size: u64,
    /// The modification time, in nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// The metadata of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The kind of file.
    pub kind: Kind,
    /// The nine permission bits.
    pub mode: u32,
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// The change time, in nanoseconds since 1970, which includes changes of
    /// names and links. It cannot be set back.
    pub ctime_ns: i64,
}

impl Stat {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let kind = metadata.file_type();
        let kind = if kind.is_file() {
            Kind::File
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_symlink() {
            Kind::Link
        } else if kind.is_socket() {
            Kind::Socket
        } else if kind.is_fifo() {
            Kind::Fifo
        } else {
            Kind::Device
        };
        Self {
            kind,
            mode: metadata.mode() & 0o777,
            fingerprint: Fingerprint {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            },
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A fingerprint taken when the bytes were read, and whether it can later prove
/// that they are unchanged.
///
/// Serialized as a tuple, since a manifest holds very many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Tuple", into = "Tuple")]
pub struct Stamp {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// The change time, if it is compared.
    pub ctime_ns: Option<i64>,
    /// True if the file had not changed for long enough.
    pub settled: bool,
}

/// Device, inode, size, mtime, ctime, settled.
type Tuple = (u64, u64, u64, i64, Option<i64>, bool);

impl Stamp {
    /// Creates a stamp of a file without hard links by others. Its change time
    /// is compared, to detect a write in place followed by resetting the
    /// modification time.
    ///
    /// `now_ns` must have been taken before the bytes were read.
    pub fn strict(stat: &Stat, now_ns: i64) -> Self {
        Self {
            fingerprint: stat.fingerprint,
            ctime_ns: Some(stat.ctime_ns),
            settled: is_settled(stat.fingerprint.mtime_ns.max(stat.ctime_ns), now_ns),
        }
    }

    /// Creates a stamp of a file that was written before `now_ns` and then
    /// renamed into place: a later write changes its modification time.
    pub fn placed(stat: &Stat, now_ns: i64) -> Self {
        Self {
            fingerprint: stat.fingerprint,
            ctime_ns: Some(stat.ctime_ns),
            settled: is_settled(stat.fingerprint.mtime_ns, now_ns),
        }
    }

    /// Creates a stamp of a file to which others make hard links, which changes
    /// its change time only.
    ///
    /// `now_ns` must have been taken before the bytes were read.
    pub fn linked(stat: &Stat, now_ns: i64) -> Self {
        Self {
            fingerprint: stat.fingerprint,
            ctime_ns: None,
            settled: is_settled(stat.fingerprint.mtime_ns, now_ns),
        }
    }

    /// Returns true if a file with this metadata certainly has the same bytes.
    ///
    /// If false, the bytes must be compared.
    pub fn vouches_for(&self, stat: &Stat) -> bool {
        self.settled && self.matches(stat)
    }

    /// Returns true if the metadata is the same as then, settled or not.
    pub fn matches(&self, stat: &Stat) -> bool {
        stat.kind == Kind::File
            && self.fingerprint == stat.fingerprint
            && self.ctime_ns.is_none_or(|ctime| ctime == stat.ctime_ns)
    }
}

impl From<Tuple> for Stamp {
    fn from((device, inode, size, mtime_ns, ctime_ns, settled): Tuple) -> Self {
        Self {
            fingerprint: Fingerprint {
                device,
                inode,
                size,
                mtime_ns,
            },
            ctime_ns,
            settled,
        }
    }
}

impl From<Stamp> for Tuple {
    fn from(stamp: Stamp) -> Self {
        let Fingerprint {
            device,
            inode,
            size,
            mtime_ns,
        } = stamp.fingerprint;
        (device, inode, size, mtime_ns, stamp.ctime_ns, stamp.settled)
    }
}

/// The BLAKE3 hash of a file's bytes, written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(blake3::Hash);

impl Hash {
    /// Returns the hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex()[..8])
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_hex())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Hash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hex digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hash, E> {
                blake3::Hash::from_hex(text)
                    .map(Hash)
                    .map_err(|_| E::custom(format!("expected 64 hex digits, got `{text}`")))
            }
        }

        // Avoids a `String` for each hash, as a manifest holds very many.
        deserializer.deserialize_str(Text)
    }
}

/// Returns the metadata of `path`, without following a symlink.
pub fn stat(path: &Path) -> Result<Stat, Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Stat::of(&metadata)),
        Err(source) => Err(Action::Examine.on(path)(source)),
    }
}

/// Opens a regular file, and returns its metadata.
pub(crate) fn open_regular(path: &Path) -> Result<(File, Stat), Error> {
    let failed = Action::Read.on(path);
    let opened = open::regular(path, OpenOptions::new().read(true));
    let (file, metadata) = opened.map_err(failed)?;
    Ok((file, Stat::of(&metadata)))
}

/// Hashes a regular file, and returns the hash and the file's metadata.
///
/// A file that is written while it is read is [`Error::Changed`]. If it is
/// replaced by a rename, the old file is hashed to its end.
pub fn hash(path: &Path) -> Result<(Hash, Stat), Error> {
    let failed = Action::Read.on(path);
    let (file, before) = open_regular(path)?;
    let mut hasher = blake3::Hasher::new();
    // One more byte than expected, so that a growing file is detected and not
    // followed.
    let mut rest = before.fingerprint.size.saturating_add(1);
    while rest > 0 {
        checkpoint().map_err(failed)?;
        let most = rest.min(HASHED_AT_ONCE);
        let before = hasher.count();
        hasher.update_reader((&file).take(most)).map_err(failed)?;
        if hasher.count() - before < most {
            break;
        }
        rest -= most;
    }
    let after = Stat::of(&file.metadata().map_err(failed)?);
    if before.fingerprint != after.fingerprint || hasher.count() != before.fingerprint.size {
        return Err(Error::Changed {
            path: path.to_owned(),
        });
    }
    Ok((Hash(hasher.finalize()), before))
}

/// Number of bytes hashed between checks for a signal.
const HASHED_AT_ONCE: u64 = 1 << 20;

/// Returns the time that file times are compared with, in nanoseconds since
/// 1970. A file that is written afterwards has no earlier time.
pub fn now_ns() -> i64 {
    // Linux stamps files with a clock that advances by ticks, so that the exact
    // time may be later than that of a file written after it.
    #[cfg(target_os = "linux")]
    let clock = ClockId::CLOCK_REALTIME_COARSE;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::CLOCK_REALTIME;
    let since = Duration::from(clock.now().expect("the system has this clock"));
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns true if the time is old enough. A time in the future never is: the
/// clock was set back.
fn is_settled(changed_ns: i64, now_ns: i64) -> bool {
    let margin = if changed_ns % 1_000_000_000 == 0 {
        SETTLED_AFTER
    } else {
        FINELY_SETTLED_AFTER
    };
    let margin = i64::try_from(margin.as_nanos()).unwrap_or(i64::MAX);
    changed_ns.saturating_add(margin) <= now_ns
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fs;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::replace(&path, bytes, 0o600).unwrap();
        (folder, path)
    }

    #[test]
    fn hash_is_of_the_bytes() {
        let (_folder, path) = file(b"some bytes");
        let (hash, seen) = hash(&path).unwrap();
        assert_eq!(hash, Hash::of(b"some bytes"));
        assert_eq!(seen, stat(&path).unwrap());
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<Hash>(&json).unwrap(), hash);
        assert!(serde_json::from_str::<Hash>("\"abc\"").is_err());
    }

    #[test]
    fn hash_refuses_links_folders_and_devices() {
        let (folder, path) = file(b"");
        let link = folder.path().join("link");
        fs::place_link(&link, &path).unwrap();
        assert!(hash(&link).is_err());
        assert!(hash(folder.path()).is_err());
        assert!(hash(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn hard_link_keeps_the_fingerprint() {
        let (folder, path) = file(b"x");
        let before = stat(&path).unwrap();
        std::fs::hard_link(&path, folder.path().join("second")).unwrap();
        let after = stat(&path).unwrap();
        assert_eq!(before.fingerprint, after.fingerprint);
        assert!(Stamp::linked(&before, i64::MAX).vouches_for(&after));
    }

    #[test]
    fn young_or_future_times_do_not_vouch() {
        let (_folder, path) = file(b"x");
        let mut seen = stat(&path).unwrap();
        for (changed, margin) in [(5_000_000_007, 100_000_000), (5_000_000_000, 2_000_000_000)] {
            (seen.fingerprint.mtime_ns, seen.ctime_ns) = (1, changed);
            assert!(!Stamp::strict(&seen, changed + margin - 1).vouches_for(&seen));
            assert!(!Stamp::strict(&seen, changed - 1).vouches_for(&seen));
            assert!(Stamp::strict(&seen, changed + margin).vouches_for(&seen));
        }
    }

    #[test]
    fn strict_stamp_detects_a_reset_date() {
        let (_folder, path) = file(b"one");
        let before = stat(&path).unwrap();
        let stamp = Stamp::strict(&before, i64::MAX);
        let changed = std::iter::repeat_with(|| {
            std::fs::write(&path, b"two").unwrap();
            let date = u64::try_from(before.fingerprint.mtime_ns).unwrap();
            let date = std::time::UNIX_EPOCH + Duration::from_nanos(date);
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(date)
                .unwrap();
            stat(&path).unwrap()
        })
        .find(|now| now.ctime_ns != before.ctime_ns)
        .unwrap();
        assert_eq!(changed.fingerprint, before.fingerprint);
        assert!(!stamp.vouches_for(&changed));
    }

    #[test]
    fn stamp_survives_json() {
        let (_folder, path) = file(b"x");
        let stamp = Stamp::strict(&stat(&path).unwrap(), now_ns());
        let json = serde_json::to_string(&stamp).unwrap();
        assert_eq!(serde_json::from_str::<Stamp>(&json).unwrap(), stamp);
    }
}
