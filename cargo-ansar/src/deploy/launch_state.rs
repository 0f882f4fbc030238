//! Everything that a role is started with, besides its executable and its
//! settings, in a form that is compared with the last deploy.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::error::Error;
use crate::home::Home;
use crate::home::deploy_state::{LaunchState, ProgramFile};
use crate::home::ports::Ports;
use crate::home::program::base;
use crate::home::restart_reason::ChangeCause;
use crate::home::role::Entry;
use crate::home::role_values::RoleValues;
use crate::host::fs;
use crate::host::fs::Hash;
use crate::manifest::properties::of_process;
use crate::model::name::RoleName;
use crate::supervisor::executable_kind::path_of;
use crate::supervisor::role_environment::own;

/// Returns the launch state of a role. `before` is that of the last deploy: a
/// program with the same fingerprint is not read again.
pub(crate) fn launch_state(
    home: &Home,
    role: &RoleName,
    entry: &Entry,
    ports: &Ports,
    environment: &[(OsString, OsString)],
    before: Option<&LaunchState>,
) -> Result<LaunchState, Error> {
    let values = RoleValues {
        home,
        role,
        executable: &entry.executable,
        ports,
    };
    let variables = own(entry, &values)?;
    let properties = &entry.properties;
    let mut words = Vec::new();
    for text in properties.args.iter().chain(&properties.cwd) {
        words.push(values.resolve(text)?);
    }
    let known = before.and_then(|before| before.program.as_ref());
    let program = if properties.is_program() {
        let path = path_of(home, role, entry, environment)?;
        let file = fs::resolve(&path)?;
        let stat = fs::stat(&file)?;
        let known = known.filter(|it| it.path == path && it.fingerprint == stat.fingerprint);
        Some(match known {
            Some(known) => known.clone(),
            None => ProgramFile {
                hash: fs::hash(&file)?.0,
                fingerprint: stat.fingerprint,
                path,
            },
        })
    } else {
        None
    };
    let mut watched = BTreeMap::new();
    let base = base(home);
    for path in properties
        .watch
        .iter()
        .flat_map(|it| fs::matching(base, it))
    {
        if fs::is_file(&path) {
            let name = path.strip_prefix(base).unwrap_or(&path);
            let name = name.display().to_string();
            watched.insert(name, fs::hash(&fs::resolve(&path)?)?.0);
        }
    }
    Ok(LaunchState {
        environment: (!variables.is_empty()).then(|| hash(&variables)),
        words: (!words.is_empty()).then(|| hash(&words)),
        properties: of_process(entry),
        program,
        watched,
    })
}

/// Returns the differences to the launch state of the last deploy.
pub(crate) fn changes(before: &LaunchState, now: &LaunchState) -> Vec<ChangeCause> {
    let mut causes = Vec::new();
    if before.environment != now.environment {
        causes.push(ChangeCause::Environment);
    }
    if before.words != now.words {
        causes.push(ChangeCause::Arguments);
    }
    let names: Vec<String> = before
        .properties
        .symmetric_difference(&now.properties)
        .cloned()
        .collect();
    if !names.is_empty() {
        causes.push(ChangeCause::Properties { names });
    }
    match (&before.program, &now.program) {
        (was, Some(program))
            if was
                .as_ref()
                .is_none_or(|was| was.path != program.path || was.hash != program.hash) =>
        {
            let path = program.path.clone();
            causes.push(ChangeCause::Program { path });
        }
        _ => {}
    }
    let paths = before.watched.keys().chain(now.watched.keys());
    let mut paths: Vec<String> = paths
        .filter(|path| before.watched.get(*path) != now.watched.get(*path))
        .cloned()
        .collect();
    paths.sort();
    paths.dedup();
    if !paths.is_empty() {
        causes.push(ChangeCause::Watched { paths });
    }
    causes
}

fn hash<T: serde::Serialize>(value: &T) -> Hash {
    // Texts can always be written as JSON.
    Hash::of(&serde_json::to_vec(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_causes() {
        let state = |words: &str, watched: &[(&str, &str)]| LaunchState {
            words: Some(hash(&words)),
            watched: watched
                .iter()
                .map(|(path, text)| ((*path).to_owned(), Hash::of(text.as_bytes())))
                .collect(),
            ..LaunchState::default()
        };
        let before = state("-p 1", &[("a.sql", "1"), ("b.sql", "1")]);
        assert_eq!(changes(&before, &before), []);
        let now = state("-p 2", &[("a.sql", "1"), ("b.sql", "2"), ("c.sql", "")]);
        let paths = vec!["b.sql".to_owned(), "c.sql".to_owned()];
        assert_eq!(
            changes(&before, &now),
            [ChangeCause::Arguments, ChangeCause::Watched { paths }]
        );
    }

    #[test]
    fn a_property_that_is_set_or_removed_is_a_cause() {
        let state = |names: &[&str]| LaunchState {
            properties: names.iter().map(|name| (*name).to_owned()).collect(),
            ..LaunchState::default()
        };
        let (without, with) = (state(&[]), state(&["network", "unprivileged"]));
        let names = vec!["network".to_owned(), "unprivileged".to_owned()];
        let causes = [ChangeCause::Properties { names }];
        assert_eq!(changes(&without, &with), causes);
        assert_eq!(changes(&with, &without), causes);
        assert_eq!(changes(&with, &with), []);
    }
}
