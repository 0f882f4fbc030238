//! `cargo ansar create`: create a home.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ansar_contract::layout::Area;

use crate::error::Error;
use crate::home::Home;
use crate::host::{environment, fs};
use crate::workspace::Places;

/// Creates a home, with the areas in `redirect` at other places. A redirected
/// `bin` is used directly. In every other redirected folder, the home uses a
/// sub-folder of its own, so that homes and areas can share a folder. On
/// failure, everything is removed again.
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
