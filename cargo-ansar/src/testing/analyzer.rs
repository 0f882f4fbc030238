//! The step after a run: a component that analyzes what the tests found, and
//! whose result is the result of the run.
//!
//! Owns which role it plays and what is made of its end; it is run like any
//! other role.

use ansar_contract::envelope::Typed;
use ansar_contract::layout::Area;

use crate::error::Error;
use crate::home::Home;
use crate::home::role::{Entry, Origin};
use crate::host::process::interrupts::Interrupt;
use crate::host::{clock, environment, fs};
use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::name_template::TemplateError;
use crate::model::outcome::{RoleOutcome, Success};
use crate::supervisor::component_check::recognize;

/// What came of an analysis.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// What the analyzer returned, or what is to be said of its end.
    pub result: Typed,
    /// The exit code of its fault, where it failed.
    pub fault: Option<u8>,
    /// What ended it from outside, where something did.
    pub interrupted: Option<Interrupt>,
}

/// Refuses an analyzer that the home does not have, before anything is run.
pub fn check(home: &Home, analyzer: Option<&ExecutableName>) -> Result<(), Error> {
    let Some(name) = analyzer else {
        return Ok(());
    };
    let path = home.executable(name);
    if fs::is_file(&path) {
        return recognize("analyzer: ".to_owned(), name, &path);
    }
    let names = fs::names(&home.area(Area::Bin))?;
    let names: Vec<_> = names.iter().filter_map(|name| name.to_str()).collect();
    Err(Error::NoExecutable {
        name: name.clone(),
        meant: did_you_mean(name.as_str(), names).map(str::to_owned),
    })
}

impl Analysis {
    /// What is to be said of an analyzer that ended so.
    pub fn of(outcome: RoleOutcome, interrupted: Option<Interrupt>) -> Self {
        Self {
            fault: (outcome.success() == Success::No).then(|| exit_code(&outcome)),
            result: outcome.result,
            interrupted,
        }
    }
}

/// The exit code of one that failed: that of its fault, which is not 0.
fn exit_code(outcome: &RoleOutcome) -> u8 {
    let fault = outcome.fault();
    let code = fault.and_then(|fault| fault.exit_code);
    code.filter(|code| *code != 0).unwrap_or(1)
}

/// The role of an analyzer: named like its executable, where no role of the
/// home that runs something else has that name.
pub fn role_of(home: &Home, executable: &ExecutableName) -> Result<(RoleName, Entry), Error> {
    let numbered = (1u32..).map(|number| format!("{executable}-{number}"));
    for name in std::iter::once(executable.to_string()).chain(numbered) {
        let role: RoleName = name.parse().map_err(TemplateError::Name)?;
        match home.entry(&role)? {
            Some(entry) if entry.executable == *executable => return Ok((role, entry)),
            Some(_) => {}
            None => {
                let (id, now) = (environment::unique(), clock::now());
                let entry = Entry::new(id, now, executable.clone(), Origin::Hand);
                return Ok((role, entry));
            }
        }
    }
    unreachable!("a home has fewer roles than there are numbers")
}
