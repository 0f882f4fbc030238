//! Updates of the source, as plain data.

use jiff::Timestamp;

use crate::logs::window::Page;
use crate::model::run_report::RunReport;
use crate::ui::snapshot::Snapshot;

/// Something new to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// The roles.
    Roles(Snapshot),
    /// The last run, if there was one.
    LastRun(Option<Box<LastRun>>),
    /// A page of logs.
    Page(Page),
    /// Something cannot be read.
    Trouble(String),
}

/// The last run of a home.
#[derive(Debug, Clone, PartialEq)]
pub struct LastRun {
    /// Time of its end.
    pub at: Timestamp,
    /// Its report.
    pub report: RunReport,
}
