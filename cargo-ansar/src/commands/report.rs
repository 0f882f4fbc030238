//! `cargo ansar report`: show the last run, or the merged results of several
//! machines.

use std::path::{Path, PathBuf};

use crate::error::{Error, RunError};
use crate::home::last_run::{FILE, FOLDER, LastRun};
use crate::home::loops::Loop;
use crate::host::fs;
use crate::model::merge;
use crate::model::merge::MergeError;
use crate::testing::killed_run;
use crate::workspace::Places;

/// Returns the last run of the home.
pub fn last(places: &Places) -> Result<LastRun, Error> {
    let (home, _) = places.open()?;
    let last = killed_run::last_run(&home)?;
    last.ok_or_else(|| Error::Run(RunError::NoRun(home.root().to_owned())))
}

/// Returns the merged results of the runs in `paths`. Each is a home, its folder
/// of the last run, or a file with events as lines of JSON.
pub fn merged(places: &Places, paths: &[PathBuf]) -> Result<LastRun, Error> {
    let mut runs = Vec::with_capacity(paths.len());
    for path in paths {
        runs.push((path.clone(), read(&places.folder.join(path))?));
    }
    let reports = runs.iter();
    let reports = reports.map(|(path, run)| (path.clone(), run.report.clone()));
    let report = merge::merge(reports.collect())?;
    let at = runs.iter().map(|(_, run)| run.at).max().unwrap_or_default();
    let events = runs.into_iter().flat_map(|(_, run)| run.events);
    let mut events: Vec<_> = events.collect();
    events.sort_by_key(|event| event.at);
    Ok(LastRun { events, at, report })
}

fn read(path: &Path) -> Result<LastRun, Error> {
    let file = if fs::is_folder(path) {
        let files = [path.join(FOLDER).join(FILE), path.join(FILE)];
        let found = files.into_iter().find(|file| fs::stat(file).is_ok());
        found.ok_or_else(|| MergeError::NoFile(path.to_owned()))?
    } else {
        path.to_owned()
    };
    let run = LastRun::of(&fs::read_argument(&file)?);
    Ok(run.ok_or(MergeError::NoVerdict(file))?)
}

/// Returns the last loops of `watch` in the home.
pub fn loops(places: &Places) -> Result<Vec<Loop>, Error> {
    let (home, _) = places.open()?;
    Ok(home.loops()?)
}
