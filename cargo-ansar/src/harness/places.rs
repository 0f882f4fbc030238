//! Finding the function of a test in the sources of its target.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::harness::verdict::SourceLocation;
use crate::host::cargo::dependencies;
use crate::host::fs;

/// The sources of tests, read when they are first needed.
pub(super) struct TestLocations {
    origin: Origin,
    sources: OnceCell<Vec<(PathBuf, String)>>,
}

/// The sources of a test target, on the machine that has built it.
pub struct TestSources(TestLocations);

impl TestSources {
    /// Returns the sources of an artifact.
    pub fn of(artifact: &Path) -> Self {
        Self(TestLocations::new(artifact))
    }

    /// Returns the file, line and column of the function of a test.
    pub fn place(&self, test: &str) -> Option<(String, u32, Option<u32>)> {
        let place = self.0.of_test(test)?;
        let column = (place.column > 0).then_some(place.column);
        Some((place.source, place.line, column))
    }
}

/// The origin of sources.
enum Origin {
    /// Those that an artifact was built from.
    Artifact(PathBuf),
    /// All that are below a folder and under version control.
    Folder(PathBuf),
}

impl TestLocations {
    /// Returns the sources of an artifact.
    pub(super) fn new(artifact: &Path) -> Self {
        Self {
            origin: Origin::Artifact(artifact.to_owned()),
            sources: OnceCell::new(),
        }
    }

    /// Returns the sources below a folder.
    pub(super) fn below(folder: &Path) -> Self {
        Self {
            origin: Origin::Folder(folder.to_owned()),
            sources: OnceCell::new(),
        }
    }

    /// Returns the place of the function of a test.
    pub(super) fn of_test(&self, name: &str) -> Option<SourceLocation> {
        let sources = self.sources.get_or_init(|| read(&self.origin));
        find(sources, name)
    }
}

/// Reads the Rust sources.
fn read(origin: &Origin) -> Vec<(PathBuf, String)> {
    let mut paths = match origin {
        Origin::Artifact(artifact) => dependencies(artifact).unwrap_or_default(),
        Origin::Folder(folder) => fs::list(folder, fs::Selection::Work, &[]).files,
    };
    paths.sort();
    paths.dedup();
    paths.retain(|path| path.extension().is_some_and(|it| it == "rs"));
    let texts = paths.into_iter().filter_map(|path| {
        let bytes = fs::read_followed(&path).ok()?;
        Some((path, String::from_utf8_lossy(&bytes).into_owned()))
    });
    texts.collect()
}

/// Finds `fn NAME`. Of several functions with the name, returns the one that
/// most modules of the test lead to.
fn find(sources: &[(PathBuf, String)], name: &str) -> Option<SourceLocation> {
    let (modules, function) = name.rsplit_once("::").unwrap_or(("", name));
    let modules: Vec<&str> = modules.split("::").filter(|it| !it.is_empty()).collect();
    let mut best: Option<(usize, SourceLocation)> = None;
    for (path, text) in sources {
        let mut seen: Vec<&str> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.trim_start();
            seen.extend(module(code));
            let Some(at) = function_in(line, function) else {
                continue;
            };
            let leads = |module: &&&str| {
                let in_path = path
                    .iter()
                    .any(|part| Path::new(part).file_stem() == Some((**module).as_ref()));
                in_path || seen.contains(*module)
            };
            let score = modules.iter().filter(leads).count();
            if best.as_ref().is_none_or(|(most, _)| score > *most) {
                let place = SourceLocation {
                    source: path.display().to_string(),
                    line: number,
                    column: u32::try_from(at + 1).unwrap_or(0),
                };
                best = Some((score, place));
            }
        }
    }
    best.map(|(_, place)| place)
}

/// Returns the name of the module whose code begins in a line.
fn module(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub ").unwrap_or(code);
    let rest = rest.strip_prefix("mod ")?;
    let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
    rest.ends_with('{').then_some(&rest[..end])
}

/// Returns the offset, in characters, of the name in `fn NAME`.
fn function_in(line: &str, function: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = line[from..].find("fn ") {
        let begin = from + at;
        let name = begin + 3;
        let is_word = !line[..begin].ends_with(is_of_name);
        let rest = line[name..].strip_prefix(function);
        if is_word && rest.is_some_and(|rest| !rest.starts_with(is_of_name)) {
            return Some(line[..name].chars().count());
        }
        from = name;
    }
    None
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Option<String> {
        let main = "mod items;\n\nmod orders {\n    #[test]\n    fn new() {}\n}\n\n\
                    async fn renew() {}\n#[test] fn new_one() {}\n";
        let items = "#[test]\nfn new() {}\n";
        let sources = [
            (PathBuf::from("/w/tests/api.rs"), main.to_owned()),
            (PathBuf::from("/w/tests/items.rs"), items.to_owned()),
        ];
        let place = find(&sources, name)?;
        let file = Path::new(&place.source).file_name()?.to_str()?;
        Some(format!("{file}:{}:{}", place.line, place.column))
    }

    #[test]
    fn the_function_of_the_module_is_found() {
        for (name, place) in [
            ("orders::new", Some("api.rs:5:8")),
            ("items::new", Some("items.rs:2:4")),
            ("new_one", Some("api.rs:9:12")),
            ("renew", Some("api.rs:8:10")),
            ("none", None),
        ] {
            assert_eq!(found(name).as_deref(), place, "{name}");
        }
    }
}
