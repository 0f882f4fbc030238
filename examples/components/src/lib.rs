//! The messages that the components send each other.

use ansar_runtime::message;
use serde::{Deserialize, Serialize};

/// The input of `primes`: a number that all primes are less than.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Limit(pub u32);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

/// The result of `primes`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Primes {
    /// Number of primes.
    pub count: usize,
}

message!(Primes = "components.Primes");
