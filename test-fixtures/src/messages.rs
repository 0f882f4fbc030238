//! The messages that fixtures send each other.

use ansar_runtime::message;
use serde::{Deserialize, Serialize};

/// The input of `factorial`: a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factorial(pub u64);

impl Default for Factorial {
    fn default() -> Self {
        Self(5)
    }
}

/// The result of `factorial`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorialReturned {
    /// The product.
    pub value: u64,
}

/// The input of `busy`: a tree of managers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The executables that every manager calls.
    pub duties: Vec<String>,
    /// The number of levels of managers, the first one included.
    pub management_levels: u32,
    /// The number of managers below each manager, except on the last level.
    pub managers: u32,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            duties: vec!["noop".to_owned(), "factorial".to_owned()],
            management_levels: 2,
            managers: 2,
        }
    }
}

impl Job {
    /// Returns the number of processes: managers and their duties, without the
    /// processes that duties call.
    pub fn processes(&self) -> u64 {
        let mut level = 1;
        let mut managers = 0;
        for _ in 0..self.management_levels {
            managers += level;
            level *= u64::from(self.managers);
        }
        managers * (1 + self.duties.len() as u64)
    }
}

/// The result of `busy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReturned {
    /// The number of processes that did the job.
    pub processes: u64,
}

message!(
    FactorialReturned = "lib.factorial_if.FactorialReturned",
    JobReturned = "lib.job_if.JobReturned",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_the_guide_has_484_processes() {
        let job = Job {
            duties: ["noop", "snooze", "factorial"].map(str::to_owned).into(),
            management_levels: 5,
            managers: 3,
        };
        assert_eq!(job.processes(), 484);
        assert_eq!(Job::default().processes(), 9);
    }
}
