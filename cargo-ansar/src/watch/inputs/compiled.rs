//! Contents of sources when they were last compiled, and changed sources that
//! Cargo did not compile.
//!
//! Cargo compares times: it does not compile a source that was replaced by one
//! with an older date (`cp -p`, `mv`, some archives).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host::fs;
use crate::host::fs::Hash;
use crate::watch::inputs::manifests::MANIFEST;
use crate::watch::inputs::{Inputs, Roots};

/// Contents of sources when they were last compiled.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    sources: BTreeMap<PathBuf, Hash>,
    /// Start of the last build, in nanoseconds since 1970.
    since: i64,
}

impl Compiled {
    /// Records a successful build of the state in `begun`. `packages` are the
    /// manifests of the packages that were compiled. Returns changed sources
    /// that were not compiled.
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
        // While a source is missed, other files as old as it remain in
        // question.
        if missed.is_empty() {
            self.since = begun.begun;
        }
        missed
    }

    /// Records an interrupted build. Sources that Cargo can see are new may
    /// have been compiled.
    pub fn interrupted(&mut self, begun: &Inputs) {
        for (source, hash) in &mut self.sources {
            if let Some(seen) = begun.files.get(source) {
                if seen.stamp.fingerprint.mtime_ns >= self.since {
                    *hash = seen.hash;
                }
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
    // A file outside any package may be included by any.
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
    fn a_source_with_an_older_date_is_missed() {
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
        let look = || Inputs::read(&roots, &Inputs::default());
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
        // The file is as it was, or it is compiled.
        write("one", old);
        assert!(compiled.built(&roots, &look(), &none).is_empty());
        write("two", old);
        assert!(compiled.built(&roots, &look(), &own).is_empty());
        assert!(compiled.built(&roots, &look(), &none).is_empty());
        // An interrupted build may have compiled new files.
        write("three", None);
        compiled.interrupted(&look());
        assert!(compiled.built(&roots, &look(), &none).is_empty());
    }
}
