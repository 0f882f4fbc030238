//! Artifacts as build tools leave them, and homes with deployed executables.

use crate::host::fs;

use crate::sync::executable::*;

/// An artifact as Cargo leaves it, and a home beside it.
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

    fn artifact(&self) -> PathBuf {
        self.folder.path().join("built")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Writes a new inode, as Cargo does.
    fn build(&self, bytes: &[u8]) {
        fs::replace(&self.artifact(), bytes, 0o755).unwrap();
    }

    fn deploy(&self, how: TransferMethod) -> Deployed {
        let record = deploy(&self.artifact(), &self.home(), how).unwrap();
        record.complete(&self.home()).unwrap()
    }

    fn judge(&self, record: &Deployed) -> Verdict {
        judge(&self.artifact(), &self.home(), Some(record)).unwrap()
    }
}

/// Returns a record as if it was made long after both files were last written.
fn aged(mut record: Deployed) -> Deployed {
    record.artifact.settled = true;
    record.home.settled = true;
    record
}

const BOTH: [TransferMethod; 2] = [TransferMethod::Link, TransferMethod::Copy];

#[test]
fn never_deployed_differs() {
    let bench = Bench::new();
    let verdict = judge(&bench.artifact(), &bench.home(), None).unwrap();
    assert_eq!(verdict, Verdict::Differ(Difference::New));
}

#[test]
fn deployed_is_unchanged_once_settled_and_same_bytes_before() {
    for how in BOTH {
        let bench = Bench::new();
        let record = bench.deploy(how);
        match (how, bench.judge(&record)) {
            // Hard links need not be settled.
            (TransferMethod::Link, verdict) => assert_eq!(verdict, Verdict::Unchanged),
            (TransferMethod::Copy, verdict) => {
                let Verdict::SameBytes(new) = verdict else {
                    panic!("the bytes are the same");
                };
                assert_eq!(
                    Deployed {
                        hash: record.hash,
                        ..new
                    },
                    record
                );
            }
        }
        assert_eq!(bench.judge(&aged(record)), Verdict::Unchanged);
        assert_eq!(fs::read(&bench.home()).unwrap(), b"version 1");
    }
}

#[test]
fn unchanged_executable_is_read_once() {
    for how in BOTH {
        let bench = Bench::new();
        let record = aged(deploy(&bench.artifact(), &bench.home(), how).unwrap());
        let Verdict::SameBytes(new) = bench.judge(&record) else {
            panic!("the bytes are the same");
        };
        assert_eq!(new.hash, Some(Hash::of(b"version 1")));
        assert_eq!(bench.judge(&aged(new)), Verdict::Unchanged);
    }
}

#[test]
fn touched_through_the_link_is_the_same_where_the_hash_is_known() {
    let bench = Bench::new();
    let record = deploy(&bench.artifact(), &bench.home(), TransferMethod::Link).unwrap();
    let Verdict::SameBytes(known) = bench.judge(&record) else {
        panic!("the bytes are the same");
    };
    let file = std::fs::File::options()
        .write(true)
        .open(bench.artifact())
        .unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert!(matches!(bench.judge(&known), Verdict::SameBytes(_)));
    assert_eq!(bench.judge(&record), Verdict::Differ(Difference::Bytes));
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
        assert_ne!(new.artifact, record.artifact);
        assert_eq!(bench.judge(&aged(new)), Verdict::Unchanged);
        // Two files need no hash.
        let unread = Deployed {
            hash: None,
            ..record
        };
        assert!(matches!(bench.judge(&unread), Verdict::SameBytes(new) if new.hash.is_none()));
    }
}

#[test]
fn rebuilt_executable_differs_with_equal_size_too() {
    for how in BOTH {
        for bytes in [&b"version 2"[..], b"longer than that"] {
            let bench = Bench::new();
            let record = aged(bench.deploy(how));
            bench.build(bytes);
            assert_eq!(bench.judge(&record), Verdict::Differ(Difference::Bytes));
            assert_eq!(fs::read(&bench.home()).unwrap(), b"version 1");
            let record = aged(bench.deploy(how));
            assert_eq!(bench.judge(&record), Verdict::Unchanged);
            assert_eq!(fs::read(&bench.home()).unwrap(), bytes);
        }
    }
}

#[test]
fn written_in_place_through_the_link_is_seen() {
    let bench = Bench::new();
    let record = bench.deploy(TransferMethod::Link);
    std::fs::write(bench.artifact(), b"stripped!").unwrap();
    assert!(matches!(bench.judge(&record), Verdict::Differ(_)));
}

#[test]
fn written_in_place_and_given_its_old_date_it_is_seen() {
    let bench = Bench::new();
    let record = aged(bench.deploy(TransferMethod::Copy));
    let date = std::fs::metadata(bench.artifact())
        .unwrap()
        .modified()
        .unwrap();
    // Until the clock has advanced.
    let seen = std::iter::repeat_with(|| {
        std::fs::write(bench.artifact(), b"version 2").unwrap();
        let file = std::fs::File::options().write(true).open(bench.artifact());
        file.unwrap().set_modified(date).unwrap();
        bench.judge(&record)
    })
    .find(|verdict| *verdict != Verdict::Unchanged);
    assert_eq!(seen, Some(Verdict::Differ(Difference::Bytes)));
}

#[test]
fn home_that_lost_or_changed_its_file_differs() {
    let bench = Bench::new();
    let record = aged(bench.deploy(TransferMethod::Link));
    std::fs::remove_file(bench.home()).unwrap();
    assert_eq!(bench.judge(&record), Verdict::Differ(Difference::Missing));
    fs::replace(&bench.home(), b"something", 0o755).unwrap();
    assert_eq!(
        bench.judge(&record),
        Verdict::Differ(Difference::HomeChanged)
    );
    fs::replace(&bench.home(), b"version 1", 0o755).unwrap();
    assert!(matches!(bench.judge(&record), Verdict::SameBytes(_)));
    fs::replace(&bench.home(), b"version 1", 0o644).unwrap();
    assert_eq!(
        bench.judge(&record),
        Verdict::Differ(Difference::HomeChanged)
    );
}

#[test]
fn other_link_to_the_artifact_changes_nothing() {
    let bench = Bench::new();
    let record = aged(bench.deploy(TransferMethod::Link));
    std::fs::hard_link(bench.artifact(), bench.folder.path().join("deps")).unwrap();
    assert_eq!(bench.judge(&record), Verdict::Unchanged);
}

#[test]
fn artefact_that_is_missing_or_no_file_is_an_error() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    assert!(judge(&folder.join("gone"), &bench.home(), None).is_err());
    assert!(deploy(folder, &bench.home(), TransferMethod::Link).is_err());
    assert!(!bench.home().exists());
}
