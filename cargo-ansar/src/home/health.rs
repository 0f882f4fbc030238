//! The state of a home on disk, as a decision about data.

use std::path::{Path, PathBuf};

use ansar_contract::VERSION;
use ansar_contract::layout::Area;
use ansar_contract::marker::Kind;

use crate::home::{EVERYTHING, GITIGNORE, Home, HomeError};
use crate::host::fs;
use crate::model::finding::{Finding, State};
use crate::model::name::ExecutableName;

/// Checks that a home can be opened: its owner, its permissions and its files.
pub fn opening(root: &Path, opened: &Result<Home, HomeError>) -> Finding {
    const CHECK: &str = "home";
    match opened {
        Ok(_) => Finding::ok(CHECK, format!("`{}`", root.display())),
        Err(HomeError::NotThere(_)) => {
            Finding::ok(CHECK, format!("`{}` is not created yet", root.display()))
        }
        Err(error) => Finding {
            check: CHECK,
            state: State::Error,
            text: error.to_string(),
            hint: error.hint(),
        },
    }
}

impl Home {
    /// Checks that Git ignores the home.
    pub fn check_ignored(&self) -> Finding {
        const CHECK: &str = "git";
        let path = self.root().join(GITIGNORE);
        let text = fs::read_if_exists(&path).ok().flatten();
        if text.is_some_and(|text| text.starts_with(EVERYTHING)) {
            return Finding::ok(CHECK, "the home is ignored by Git");
        }
        let path = path.display();
        Finding::new(
            CHECK,
            State::Warning,
            format!("the home is not ignored by Git: `{path}` does not contain `*`"),
            format!("write it with `echo '*' > {path}`"),
        )
    }

    /// Checks for changes and files that killed commands left.
    pub fn check_leftovers(&self) -> Finding {
        const CHECK: &str = "leftovers";
        let folders = Area::ALL.into_iter().map(|area| self.area(area));
        let folders = folders.chain([self.root().to_owned()]);
        let files = folders.filter_map(|folder| fs::leftovers(&folder).ok());
        let files: Vec<PathBuf> = files.flatten().collect();
        let (what, hint) = match files.first() {
            _ if Self::is_pending(self.root()) => (
                "a killed command has not completed a change".to_owned(),
                "complete it with `cargo ansar deploy`".to_owned(),
            ),
            Some(first) => (
                format!(
                    "{} of killed commands, such as `{}`",
                    files.len(),
                    first.display()
                ),
                format!(
                    "if no command runs, remove it with `rm -r {}`",
                    first.display()
                ),
            ),
            None => return Finding::ok(CHECK, "none of killed commands"),
        };
        Finding::new(CHECK, State::Warning, what, hint)
    }

    /// Checks that executables of the home follow this version of the contract.
    pub fn check_contract(&self) -> Finding {
        const CHECK: &str = "contract";
        let names = fs::names(&self.area(Area::Bin)).unwrap_or_default();
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let names = names.filter_map(|name| name.parse::<ExecutableName>().ok());
        let other = names.filter_map(|name| {
            let path = self.executable(&name);
            match fs::is_file(&path).then(|| fs::marker(&path).ok())?? {
                Kind::Component(version) | Kind::Wrapped { version, .. } if version != VERSION => {
                    Some((name, version))
                }
                _ => None,
            }
        });
        match other.into_iter().next() {
            None => Finding::ok(CHECK, format!("version {VERSION}")),
            Some((name, version)) => Finding::new(
                CHECK,
                State::Error,
                format!("`{name}` follows version {version}, this `cargo ansar` version {VERSION}"),
                "build it with the same version of `ansar-runtime`: `cargo update -p ansar-runtime`",
            ),
        }
    }
}
