//! The exits of commands, of which some depend on features above `error`.

pub use crate::error::Exit;
use crate::testing::analyzer::Analysis;

impl Exit {
    /// Maps the fault of an analyzer, if one ran, to its code.
    pub fn of_analysis(analysis: Option<&Analysis>) -> Self {
        match analysis.and_then(|analysis| analysis.fault) {
            None => Self::Success,
            Some(1) => Self::RoleFailed,
            Some(code) => Self::Command(code),
        }
    }
}
