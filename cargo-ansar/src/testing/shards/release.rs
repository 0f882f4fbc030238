//! Allocations that a driver has taken for a run, and that are to be given back.
//!
//! They are written down before anything is placed, and forgotten once the driver
//! lists none of them any more. What could not be released, because the driver did
//! not answer for instance, the next run tries again.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::home::{Home, REMOTE, read_json, write_json};
use crate::host::fs;
use crate::remote::driver::Driver;
use crate::testing::driver_command::answer_of;

/// Number of times that a driver is asked for what is left, and the pause between
/// two of them.
const ROUNDS: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Number of rounds after which places that do not end by themselves are released.
/// This is repeated, because a driver that has just come back may have missed it.
const PATIENCE: usize = 4;

/// The places of a run.
pub(super) struct Allocations {
    path: PathBuf,
    commands: Commands,
}

/// The commands of a driver about the places of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Commands {
    driver: String,
    release: Vec<String>,
    look: Vec<String>,
    /// True if none of the places ends by itself.
    #[serde(default)]
    is_needed: bool,
}

impl Allocations {
    /// Writes down that a run is about to take places of these names; `None` if the
    /// driver keeps none.
    pub(super) fn note(
        home: &Home,
        run: &str,
        driver: &Driver,
        names: &[String],
    ) -> Result<Option<Self>, Error> {
        let Some(commands) = driver.release(names) else {
            return Ok(None);
        };
        let folder = home.root().join(REMOTE);
        fs::make_private_folders(&folder)?;
        let places = Self {
            path: folder.join(format!("{run}.json")),
            commands: Commands {
                driver: driver.name().to_string(),
                release: commands.release,
                look: commands.look,
                is_needed: commands.is_needed,
            },
        };
        write_json(&places.path, &places.commands)?;
        Ok(Some(places))
    }

    /// Returns the places that earlier runs could not release.
    pub(super) fn left(home: &Home) -> Vec<Self> {
        let folder = home.root().join(REMOTE);
        let names = fs::names(&folder).unwrap_or_default();
        let paths = names.into_iter().map(|name| folder.join(name));
        let left = paths.filter_map(|path| {
            // Other files have another content.
            let commands = read_json(&path).ok()??;
            Some(Self { path, commands })
        });
        left.collect()
    }

    /// Waits until the places are free, and releases those that are not. Forgets
    /// them once they are.
    pub(super) async fn release(self) {
        for round in 0..ROUNDS {
            match answer_of(&self.commands.look).await {
                Some(listed) if listed.is_empty() => {
                    let _ = fs::remove_file(&self.path);
                    return;
                }
                Some(_) => {}
                // The driver does not answer: the next run tries again.
                None => return,
            }
            let is_due = round % PATIENCE == PATIENCE - 1;
            if is_due || (round == 0 && self.commands.is_needed) {
                answer_of(&self.commands.release).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
