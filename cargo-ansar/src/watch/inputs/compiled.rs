//! What was compiled of each source, and sources that Cargo did not compile
//! though they changed.
//!
//! Cargo compares times: a source that was replaced by one with an older date
//! (`cp -p`, `mv`, some archives) is taken for what was compiled before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host::fs;
use crate::host::fs::Hash;
use crate::watch::inputs::manifests::MANIFEST;
use crate::watch::inputs::{Inputs, Roots};

/// The sources as they were when they were last compiled.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    sources: BTreeMap<PathBuf, Hash>,
    /// When the last build began, in nanoseconds since 1970.
    since: i64,
}

impl Compiled {
    /// Takes note of a build that succeeded, of what `begun` saw when it began;
    /// `packages` are the manifests of the packages that it compiled. Returns
    /// the sources that it did not compile though they have changed.
    pub fn built(
        &mut self,
        roots: &Roots,
        begun: &Inputs,
        packages: &BTreeSet<PathBuf>,
    ) -> Vec<PathBuf> {
        let mut missed = Vec::new();
        let mut sources = BTreeMap::new();
        for source in &roots.compiled {
            let Some(seen) = begun.files.get(source) else {
                continue;
            };
            let was = self.sources.get(source).filter(|was| **was != seen.hash);
            let is_older = seen.stamp.fingerprint.mtime_ns < self.since;
            let hash = match was {
                Some(was) if is_older && !is_compiled(source, packages) => {
                    missed.push(source.clone());
                    *was
                }
                _ => seen.hash,
            };
            sources.insert(source.clone(), hash);
        }
        self.sources = sources;
        // While one is missed, what is as old as it stays in question.
        if missed.is_empty() {
            self.since = begun.begun;
        }
        missed
    }

    /// Takes note of a build of which it is not known what it compiled: what
    /// Cargo can have seen to be new.
    pub fn interrupted(&mut self, begun: &Inputs) {
        for (source, hash) in &mut self.sources {
            if let Some(seen) = begun.files.get(source)
                && seen.stamp.fingerprint.mtime_ns >= self.since
            {
                *hash = seen.hash;
            }
        }
    }
}

/// Returns true if a source may have been compiled by a build that compiled
/// these packages.
fn is_compiled(source: &Path, packages: &BTreeSet<PathBuf>) -> bool {
    let manifests = source.ancestors().skip(1).map(|it| it.join(MANIFEST));
    let mut manifests = manifests.filter(|manifest| fs::is_file(manifest));
    let own = manifests.next();
    let is_package = own.as_ref().is_some_and(|own| {
        let text = fs::read_followed(own).unwrap_or_default();
        memchr::memmem::find(&text, b"[package]").is_some()
    });
    // A file of no package may be included by any.
    match own {
        Some(own) if is_package => packages.contains(&own),
        _ => !packages.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_source_with_an_older_date_is_missed_until_it_is_compiled() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let (manifest, source) = (root.join(MANIFEST), root.join("n.rs"));
        fs::write(&manifest, "[package]\n").unwrap();
        let write = |text: &str, date: Option<SystemTime>| {
            fs::write(&source, text).unwrap();
            if let Some(date) = date {
                let file = fs::File::options().write(true).open(&source).unwrap();
                file.set_modified(date).unwrap();
            }
        };
        let roots = Roots {
            files: [source.clone()].into(),
            compiled: [source.clone()].into(),
            ..Roots::default()
        };
        let look = || Inputs::look(&roots, &Inputs::default());
        let (none, own) = (BTreeSet::new(), BTreeSet::from([manifest]));
        let mut compiled = Compiled::default();
        let old = Some(SystemTime::UNIX_EPOCH);
        write("one", old);
        assert!(compiled.built(&roots, &look(), &own).is_empty());
        write("two", old);
        for _ in 0..2 {
            assert_eq!(compiled.built(&roots, &look(), &none), [&*source]);
            compiled.interrupted(&look());
        }
        // It is as it was, or it is compiled.
        write("one", old);
        assert!(compiled.built(&roots, &look(), &none).is_empty());
        write("two", old);
        assert!(compiled.built(&roots, &look(), &own).is_empty());
        assert!(compiled.built(&roots, &look(), &none).is_empty());
        // A build that was ended in the middle may have compiled what is new.
        write("three", None);
        compiled.interrupted(&look());
        assert!(compiled.built(&roots, &look(), &none).is_empty());
    }
}
