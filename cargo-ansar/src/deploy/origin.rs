//! Sources of an executable, read from the dep-info file that Cargo writes
//! beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use crate::home::restart_reason::Source;
use crate::home::{Home, HomeError};
use crate::host::cargo::dependencies;
use crate::host::fs;
use crate::model::name::ExecutableName;

/// Returns the sources of an artifact that changed after `since`, in
/// nanoseconds since 1970, or `None` if the build left no dep-info.
pub(crate) fn newer_sources(artifact: &Path, since: i64) -> Option<Vec<Source>> {
    let sources = newer(artifact, since)?.into_iter().map(|path| Source {
        package: package_of(&path),
        path,
    });
    Some(sources.collect())
}

/// Returns the sources that changed after the deployed executables were built.
pub(crate) fn newer_than_deployed<'e>(
    home: &Home,
    executables: impl Iterator<Item = &'e ExecutableName>,
) -> Result<BTreeSet<PathBuf>, HomeError> {
    let deployed = home.deployed_executables()?;
    let names: BTreeSet<&ExecutableName> = executables.collect();
    let sources = names.into_iter().filter_map(|name| {
        let built = deployed.executables.get(name)?.artifact.fingerprint;
        newer(deployed.artifacts.get(name)?, built.mtime_ns)
    });
    Ok(sources.flatten().collect())
}

fn newer(artifact: &Path, since: i64) -> Option<BTreeSet<PathBuf>> {
    // A file that is missing now was no source of the last build either.
    let is_newer = |path: &PathBuf| {
        let stat = fs::stat(path);
        stat.is_ok_and(|stat| stat.fingerprint.mtime_ns > since)
    };
    let sources = dependencies(artifact)?.into_iter();
    Some(sources.filter(is_newer).collect())
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
