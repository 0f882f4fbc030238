//! `cargo ansar create`: make a home.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ansar_contract::layout::Area;

use crate::error::Error;
use crate::home::Home;
use crate::host::{environment, fs};
use crate::workspace::Places;

/// Makes a home where the places say, with the areas in `redirect` elsewhere:
/// a `bin` is used as it is; of every other folder, a sub-folder of the home's
/// own, so that homes and areas may share one. Where that fails, nothing is
/// left of it.
pub fn create(places: &Places, redirect: &BTreeMap<Area, PathBuf>) -> Result<Home, Error> {
    let workspace = places.workspace()?;
    let root = places.home(workspace.as_ref());
    let id = environment::unique();
    let redirect = redirect
        .iter()
        .map(|(area, path)| {
            let path = fs::without_parents(&places.folder.join(path));
            let own = match area {
                Area::Bin => path,
                _ => path.join(format!("{}-{id}", area.name())),
            };
            (*area, own)
        })
        .collect();
    let workspace = workspace.map(|workspace| workspace.root);
    Ok(Home::create(&root, workspace.as_deref(), &redirect, id)?)
}
