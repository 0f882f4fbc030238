//! Sources of an executable, read from the dep-info file that Cargo writes
//! beside it.

use std::collections::BTreeSet;
use std::path::Path;

use toml_edit::DocumentMut;

use crate::home::restart_reason::Source;
use crate::host::cargo::dependencies;
use crate::host::fs;

/// Returns the sources of an artifact that changed after `since`, in
/// nanoseconds since 1970, or `None` if the build left no dep-info.
pub(crate) fn newer_sources(artifact: &Path, since: i64) -> Option<Vec<Source>> {
    let mut newer = BTreeSet::new();
    for path in dependencies(artifact)? {
        // A file that is missing now was no source of the last build either.
        if fs::stat(&path).is_ok_and(|stat| stat.fingerprint.mtime_ns > since) {
            newer.insert(Source {
                package: package_of(&path),
                path,
            });
        }
    }
    Some(newer.into_iter().collect())
}

/// Returns the package of a file: that of the nearest manifest above it.
fn package_of(path: &Path) -> Option<String> {
    let manifests = path.ancestors().skip(1);
    let bytes = manifests
        .map(|folder| folder.join("Cargo.toml"))
        .find_map(|manifest| fs::read_followed(&manifest).ok())?;
    let document: DocumentMut = String::from_utf8(bytes).ok()?.parse().ok()?;
    Some(document.get("package")?.get("name")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_sources_have_their_package() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("src")).unwrap();
        std::fs::write(at("Cargo.toml"), "[package]\nname = \"words\"\n").unwrap();
        std::fs::write(at("src/lib.rs"), "").unwrap();
        let list = format!("{}: {}", at("app").display(), at("src/lib.rs").display());
        assert_eq!(newer_sources(&at("app"), 0), None);
        std::fs::write(at("app.d"), list).unwrap();
        let expected = Source {
            path: at("src/lib.rs"),
            package: Some("words".to_owned()),
        };
        assert_eq!(newer_sources(&at("app"), 0), Some(vec![expected]));
        assert_eq!(newer_sources(&at("app"), i64::MAX), Some(Vec::new()));
    }
}
