//! Plain data of the domain: names, role searches, durations, outcomes.
//!
//! Nothing here accesses files, the clock, the environment, processes or homes.

pub mod did_you_mean;
pub mod duration;
pub mod finding;
pub mod input;
pub mod instance;
pub mod merge;
pub mod name;
pub mod name_template;
pub mod outcome;
pub mod partition;
pub mod placeholder;
pub mod quoted;
pub mod readiness;
pub mod remote;
pub mod restart_policy;
pub mod role_properties;
pub mod role_search;
pub mod run_report;
pub mod start_order;
pub mod stop;
pub mod test_target;
pub mod text;
