//! What was found: the verdict over all roles of a run, and where in the
//! source each failure is.
//!
//! Reads what became of roles; knows neither how they were run nor how the
//! verdict is shown.

pub mod source;
pub mod verdict;
