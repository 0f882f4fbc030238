//! Folders of a snapshot and their allowed contents.
//!
//! Also decides which symlinks of a snapshot are followed. A snapshot may come
//! from another person, with a repository for example: a symlink is followed
//! only if it is relative and its target is inside the snapshot. Inside a
//! folder of materials, [`crate::sync::scan`] decides that.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ansar_contract::layout::Area;

use crate::error::{DeployError, Error};
use crate::home::Home;
use crate::home::role::{Entry, Origin};
use crate::host::fs;
use crate::host::fs::Kind;
use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, NameError, RoleName};

/// Models: one folder per role.
pub(crate) const MODELS: &str = "model-by-role";
/// Resources: one folder per executable.
pub(crate) const RESOURCES: &str = "resource-by-executable";
/// Settings: one file per role.
pub(crate) const SETTINGS: &str = "settings-by-role";
/// Inputs: one file per role.
pub(crate) const INPUTS: &str = "input-by-role";
/// Single settings: one folder per role and one file per setting.
pub(crate) const VALUES: &str = "setting-value-by-role";

const FOLDERS: [&str; 5] = [MODELS, RESOURCES, SETTINGS, INPUTS, VALUES];

/// Suffix of settings and input files.
const JSON: &str = ".json";

/// Maximum number of suggestions. Looking for one takes time proportional to
/// the number of roles.
const SUGGESTIONS: usize = 20;

/// Returns true if `folder` contains a folder of a snapshot.
pub(crate) fn is_snapshot(folder: &Path) -> bool {
    FOLDERS.iter().any(|name| fs::is_folder(&folder.join(name)))
}

/// Returns the reason for not using the path `parts` below `snapshot`, or
/// `None` if it is of the `expected` kind or does not exist.
pub(crate) fn refusal(
    snapshot: &Path,
    parts: &[&OsStr],
    expected: Kind,
) -> Result<Option<String>, Error> {
    let mut path = snapshot.to_owned();
    for (nth, part) in parts.iter().enumerate() {
        path.push(part);
        let expected = if nth + 1 == parts.len() {
            expected
        } else {
            Kind::Folder
        };
        let stat = match fs::stat(&path) {
            Err(error) if error.is_not_found() => return Ok(None),
            stat => stat?,
        };
        let kind = match stat.kind {
            Kind::Link => target(snapshot, &path),
            kind => Some(kind),
        };
        let why = match kind {
            None => "a symlink that does not stay inside of the snapshot".to_owned(),
            Some(kind) if kind != expected => format!("a {kind}, expected a {expected}"),
            Some(_) => continue,
        };
        return Ok(Some(why));
    }
    Ok(None)
}

/// Returns the kind of a symlink's target, or `None` if the target is missing
/// or outside the snapshot.
fn target(snapshot: &Path, link: &Path) -> Option<Kind> {
    if fs::read_link(link).ok()?.is_absolute() {
        return None;
    }
    let target = fs::resolve(link).ok()?;
    if !target.starts_with(fs::resolve(snapshot).ok()?) {
        return None;
    }
    Some(fs::stat(&target).ok()?.kind)
}

/// Checks that the snapshot is not inside the home: such a folder is no
/// snapshot, and a home cannot be deployed onto itself.
pub(crate) fn check_place(snapshot: &Path, home: &Home) -> Result<(), Error> {
    if fs::is_within(snapshot, home.root())? {
        return Err(Error::Deploy(DeployError::Nested {
            inner: snapshot.to_owned(),
            outer: home.root().to_owned(),
        }));
    }
    Ok(())
}

/// Returns true if folders of the snapshot and of the home may be inside each
/// other: the home is inside the snapshot, or one of its areas was moved next
/// to it.
pub(crate) fn is_near(snapshot: &Path, home: &Home) -> Result<bool, Error> {
    let areas = [Area::Model, Area::Resource].map(|area| home.area(area));
    for place in areas.iter().map(PathBuf::as_path).chain([home.root()]) {
        if fs::is_within(place, snapshot)? || fs::is_within(snapshot, place)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns true if two paths are the same folder.
///
/// # Errors
///
/// Returns an error if one is inside the other: copying would never end.
pub(crate) fn is_one_place(source: &Path, target: &Path) -> Result<bool, Error> {
    let ways = [(source, target), (target, source)];
    let [inside, around] = ways.map(|(inner, outer)| fs::is_within(inner, outer));
    match (inside?, around?) {
        (false, false) => Ok(false),
        (true, true) => Ok(true),
        (is_inside, _) => {
            let (inner, outer) = if is_inside { ways[0] } else { ways[1] };
            Err(Error::Deploy(DeployError::Nested {
                inner: inner.to_owned(),
                outer: outer.to_owned(),
            }))
        }
    }
}

/// Returns everything in a snapshot that is not used, with the reason.
///
/// Names that begin with a dot are ignored: they belong to other programs, such
/// as version control.
pub(crate) fn unused_paths(
    snapshot: &Path,
    entries: &BTreeMap<RoleName, Entry>,
) -> Result<Vec<(PathBuf, String)>, Error> {
    let mut check = SnapshotCheck {
        snapshot,
        known: Known::of(entries),
        suggestions: SUGGESTIONS,
        found: Vec::new(),
    };
    for name in visible(snapshot)? {
        match FOLDERS.into_iter().find(|folder| *folder == name) {
            Some(folder) => {
                if !check.refused(&[&name], Kind::Folder)? {
                    check.folder(folder)?;
                }
            }
            None => check.unknown_folder(&name),
        }
    }
    Ok(check.found)
}

/// Returns the names in a folder that do not begin with a dot, sorted.
fn visible(folder: &Path) -> Result<BTreeSet<std::ffi::OsString>, Error> {
    let mut names: BTreeSet<_> = fs::names(folder)?.into_iter().collect();
    names.retain(|name| !name.as_bytes().starts_with(b"."));
    Ok(names)
}

/// Names that a snapshot may use.
struct Known<'a> {
    roles: BTreeSet<&'a str>,
    retired: BTreeSet<&'a str>,
    executables: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(entries: &'a BTreeMap<RoleName, Entry>) -> Self {
        let mut known = Self {
            roles: BTreeSet::new(),
            retired: BTreeSet::new(),
            executables: BTreeSet::new(),
        };
        for (role, entry) in entries {
            if entry.origin == Origin::Retired {
                known.retired.insert(role.as_str());
            } else {
                known.roles.insert(role.as_str());
                known.executables.insert(entry.executable.as_str());
            }
        }
        known
    }
}

struct SnapshotCheck<'a> {
    snapshot: &'a Path,
    known: Known<'a>,
    /// Number of suggestions that may still be made.
    suggestions: usize,
    found: Vec<(PathBuf, String)>,
}

impl SnapshotCheck<'_> {
    /// Records the reason for not using a path. Returns true if it is not used.
    fn refused(&mut self, parts: &[&OsStr], expected: Kind) -> Result<bool, Error> {
        let why = refusal(self.snapshot, parts, expected)?;
        let is_refused = why.is_some();
        self.found.extend(why.map(|why| (self.path(parts), why)));
        Ok(is_refused)
    }

    fn note(&mut self, parts: &[&OsStr], why: String) {
        let path = self.path(parts);
        self.found.push((path, why));
    }

    fn path(&self, parts: &[&OsStr]) -> PathBuf {
        let mut path = self.snapshot.to_owned();
        path.extend(parts);
        path
    }

    /// Records a name at the top level that is not a folder of a snapshot.
    fn unknown_folder(&mut self, name: &OsStr) {
        let name_text = name.to_string_lossy();
        // `models` suggests `model-by-role`, too.
        let first = |folder: &'static str| folder.split("-by-").next().unwrap_or(folder);
        let meant = did_you_mean(&name_text, FOLDERS).or_else(|| {
            let firsts = FOLDERS.map(first);
            let near = did_you_mean(&name_text, firsts)?;
            FOLDERS.into_iter().find(|folder| first(folder) == near)
        });
        let why = with_suggestion("no part of a snapshot".to_owned(), meant);
        self.note(&[name], why);
    }

    fn folder(&mut self, folder: &'static str) -> Result<(), Error> {
        let at = OsStr::new(folder);
        for name in visible(&self.snapshot.join(folder))? {
            let parts = [at, name.as_os_str()];
            let why = match folder {
                RESOURCES => self.unknown_executable(&name),
                SETTINGS | INPUTS => self.unknown_file(&name),
                _ => self.unknown_role(&name, ""),
            };
            let expected = match folder {
                SETTINGS | INPUTS => Kind::File,
                _ => Kind::Folder,
            };
            if let Some(why) = why {
                self.note(&parts, why);
            } else if !self.refused(&parts, expected)? && folder == VALUES {
                self.values(&name)?;
            }
        }
        Ok(())
    }

    /// Checks the single settings of a role.
    fn values(&mut self, role: &OsStr) -> Result<(), Error> {
        for name in visible(&self.snapshot.join(VALUES).join(role))? {
            let parts = [OsStr::new(VALUES), role, name.as_os_str()];
            if name.as_bytes().ends_with(JSON.as_bytes()) {
                self.refused(&parts, Kind::File)?;
            } else {
                self.note(
                    &parts,
                    format!("expected the name of a setting and `{JSON}`"),
                );
            }
        }
        Ok(())
    }

    /// Returns the reason why a name is not that of a role. A suggestion ends
    /// with `ending`.
    fn unknown_role(&mut self, name: &OsStr, ending: &str) -> Option<String> {
        let Some(text) = name.to_str() else {
            return Some("no name of a role: not UTF-8".to_owned());
        };
        if self.known.roles.contains(text) {
            return None;
        }
        if self.known.retired.contains(text) {
            return Some(format!("role `{text}` is retired"));
        }
        let why =
            invalid_name::<RoleName>(text).unwrap_or_else(|| "no role of this name".to_owned());
        let meant = self.suggestion(text, |known| &known.roles);
        let meant = meant.map(|role| format!("{role}{ending}"));
        Some(with_suggestion(why, meant.as_deref()))
    }

    fn unknown_executable(&mut self, name: &OsStr) -> Option<String> {
        let Some(text) = name.to_str() else {
            return Some("no name of an executable: not UTF-8".to_owned());
        };
        if self.known.executables.contains(text) {
            return None;
        }
        let why = invalid_name::<ExecutableName>(text)
            .unwrap_or_else(|| "no executable of this name that a role runs".to_owned());
        let meant = self.suggestion(text, |known| &known.executables);
        Some(with_suggestion(why, meant.as_deref()))
    }

    /// Returns the reason why a file is not named after a role.
    fn unknown_file(&mut self, name: &OsStr) -> Option<String> {
        let stem = Path::new(name).file_stem().unwrap_or(name);
        if name.as_bytes().ends_with(JSON.as_bytes()) {
            return self.unknown_role(stem, JSON);
        }
        let text = stem.to_string_lossy();
        let role = if self.known.roles.contains(&*text) {
            Some(text.to_string())
        } else {
            self.suggestion(&text, |known| &known.roles)
        };
        let meant = role.map(|role| format!("{role}{JSON}"));
        let why = format!("expected the name of a role and `{JSON}`");
        Some(with_suggestion(why, meant.as_deref()))
    }

    fn suggestion(
        &mut self,
        text: &str,
        among: impl for<'k> Fn(&'k Known<'_>) -> &'k BTreeSet<&'k str>,
    ) -> Option<String> {
        self.suggestions = self.suggestions.checked_sub(1)?;
        did_you_mean(text, among(&self.known).iter().copied()).map(str::to_owned)
    }
}

/// Returns the reason why a text is not a valid name.
fn invalid_name<N: std::str::FromStr<Err = NameError>>(text: &str) -> Option<String> {
    text.parse::<N>().err().map(|error| error.to_string())
}

fn with_suggestion(why: String, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("{why}; did you mean `{meant}`?"),
        None => why,
    }
}
