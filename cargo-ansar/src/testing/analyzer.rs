//! Running an analyzer: a component that evaluates the test reports and whose
//! result is the result of the run.
//!
//! It runs like any other role. This module chooses that role, runs it and
//! interprets its exit.

use std::collections::BTreeMap;

use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::layout::Area;
use ansar_contract::test::TestSuite;

use crate::error::{DeployError, Error};
use crate::events::{Events, Kind, RunEvent};
use crate::home::Home;
use crate::home::role::{Entry, Origin};
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::{clock, environment, fs};
use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::name_template::TemplateError;
use crate::model::outcome::{RoleOutcome, Success};
use crate::supervisor::executable_kind::recognize;
use crate::supervisor::judge;
use crate::supervisor::scheduler::RoleKind;
use crate::testing::runner::Runner;

/// Outcome of an analysis.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Value that the analyzer returned, or a description of its exit.
    pub result: Typed,
    /// Exit code of its fault, if it failed.
    pub fault: Option<u8>,
    /// Interrupt that ended it, if any.
    pub interrupted: Option<Interrupt>,
}

/// Checks that the home has the analyzer, before anything is run.
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
    Err(Error::Deploy(DeployError::NoExecutable {
        name: name.clone(),
        meant: did_you_mean(name.as_str(), names).map(str::to_owned),
    }))
}

impl Analysis {
    /// Converts the outcome of the analyzer's role.
    fn of(outcome: RoleOutcome, interrupted: Option<Interrupt>) -> Self {
        Self {
            fault: (outcome.success() == Success::No).then(|| exit_code(&outcome)),
            result: outcome.result,
            interrupted,
        }
    }
}

/// Returns the exit code of a failed analyzer, which is never 0.
fn exit_code(outcome: &RoleOutcome) -> u8 {
    let fault = outcome.fault();
    let code = fault.and_then(|fault| fault.exit_code);
    code.filter(|code| *code != 0).unwrap_or(1)
}

/// Runs an analyzer as a role, with the suite on its stdin, after the run of
/// `tests`.
pub async fn analyze(
    tests: &Runner<'_>,
    executable: &ExecutableName,
    suite: &TestSuite,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Analysis, Error> {
    // A suite consists of text and numbers, which always encode.
    let given = serde_json::to_vec(&Envelope::of(suite)).unwrap_or_default();
    let begun = Kind::Run(RunEvent::Analyzing {
        reports: suite.report.len(),
        executable: executable.clone(),
    });
    let runner = Runner {
        given: Some(&given),
        shown: tests.shown,
        begun: Some(&begun),
        ..Runner::new(tests.home, tests.workspace, tests.kind)
    };
    let roles = BTreeMap::from([role_of(tests.home, executable)?]);
    let kind_of = |_: &RoleName| RoleKind::Operational;
    let ran = runner
        .run(&roles, kind_of, None, interrupts, events)
        .await?;
    let outcome = ran.ended.into_iter().next().map(|ended| ended.outcome);
    let outcome = outcome.unwrap_or_else(judge::skipped);
    Ok(Analysis::of(outcome, ran.interrupted))
}

/// Returns the role of an analyzer: named like its executable, or numbered if
/// another role of the home has that name.
fn role_of(home: &Home, executable: &ExecutableName) -> Result<(RoleName, Entry), Error> {
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
