//! The last loops of `watch`, for their trend.
//!
//! The file has a line of JSON for each loop, and is replaced as a whole. A line
//! that cannot be read, such as one of a later version, is dropped.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::last_run::FOLDER;
use crate::home::{Home, HomeError};
use crate::host::fs;

/// File with the last loops.
const FILE: &str = "loops.jsonl";
/// Number of loops that are kept.
const MOST: usize = 20;
/// Version of the lines.
pub const VERSION: u32 = 1;

/// A loop of `watch`. Durations are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loop {
    /// Version of the line.
    pub version: u32,
    /// Time of its end.
    pub at: Timestamp,
    /// Its end.
    pub verdict: LoopVerdict,
    /// Number of failed checks.
    #[serde(default)]
    pub failed: u64,
    /// Number of executables and materials that were deployed.
    #[serde(default)]
    pub deployed: u64,
    /// Duration of the build.
    #[serde(default)]
    pub build: f64,
    /// Duration of the deploy.
    #[serde(default)]
    pub deploy: f64,
    /// Time until the first test role started.
    #[serde(default)]
    pub start: f64,
    /// Duration of the tests, with the end of roles.
    #[serde(default)]
    pub test: f64,
}

/// The end of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoopVerdict {
    /// Every check passed.
    Passed,
    /// A check or a role failed.
    Failed,
    /// The loop ended with an error, such as a failed build.
    Error,
}

impl Home {
    /// Returns the last loops of `watch`, the newest last.
    pub fn loops(&self) -> Result<Vec<Loop>, HomeError> {
        let bytes = fs::read_if_exists(&self.loops_file())?;
        Ok(parse(&bytes.unwrap_or_default()))
    }

    /// Adds a loop, and drops the oldest if there are too many.
    pub fn add_loop(&self, added: Loop) -> Result<(), HomeError> {
        let mut loops = self.loops()?;
        loops.push(added);
        let first = loops.len().saturating_sub(MOST);
        // Encoding plain data cannot fail.
        let lines = loops[first..]
            .iter()
            .filter_map(|it| serde_json::to_string(it).ok());
        let text: String = lines.map(|line| line + "\n").collect();
        let file = self.loops_file();
        if let Some(folder) = file.parent() {
            fs::make_private_folders(folder)?;
        }
        Ok(fs::place(&file, text.as_bytes())?)
    }

    fn loops_file(&self) -> std::path::PathBuf {
        self.root.join(FOLDER).join(FILE)
    }
}

fn parse(bytes: &[u8]) -> Vec<Loop> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let loops = lines.filter_map(|line| serde_json::from_slice(line).ok());
    let mut loops: Vec<Loop> = loops.filter(|it: &Loop| it.version == VERSION).collect();
    loops.drain(..loops.len().saturating_sub(MOST));
    loops
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(failed: u64) -> Loop {
        Loop {
            version: VERSION,
            at: Timestamp::UNIX_EPOCH,
            verdict: LoopVerdict::Failed,
            failed,
            deployed: 2,
            build: 1.5,
            deploy: 0.25,
            start: 0.5,
            test: 3.0,
        }
    }

    #[test]
    fn the_last_loops_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        let home = Home::create(&root, None, &BTreeMap::new(), "id".to_owned()).unwrap();
        assert_eq!(home.loops().unwrap(), []);
        for failed in 0..30 {
            home.add_loop(of(failed)).unwrap();
        }
        let failed = home.loops().unwrap().into_iter().map(|it| it.failed);
        assert_eq!(failed.collect::<Vec<_>>(), (10..30).collect::<Vec<_>>());
    }

    #[test]
    fn torn_and_strange_lines_are_dropped() {
        let line = serde_json::to_string(&of(7)).unwrap();
        let later = line.replace("\"version\":1", "\"version\":2");
        let text = format!("\n\u{fffd}\n{line}\n[[[[\n{later}\n{}", &line[..40]);
        assert_eq!(parse(text.as_bytes()), [of(7)]);
        let least = r#"{"version":1,"at":"2026-11-22T10:00:00Z","verdict":"passed","more":0}"#;
        assert_eq!(parse(least.as_bytes()).len(), 1);
    }
}
