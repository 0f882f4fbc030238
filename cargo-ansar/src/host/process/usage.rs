//! Processor time and memory of process groups.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

use crate::host::process::orphans;
use crate::host::process::procfs::Stat;

/// Resource usage of a process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Number of processes.
    pub processes: usize,
    /// Processor time used so far.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub memory: u64,
}

/// Returns the usage of each group, by its leader; empty on platforms without
/// `/proc`.
pub fn by_group() -> BTreeMap<u32, Usage> {
    let mut groups: BTreeMap<u32, Usage> = BTreeMap::new();
    for stat in orphans::all().into_iter().filter_map(Stat::of) {
        let (Some(group), Some(ticks), Some(pages)) = (stat.group(), stat.ticks(), stat.pages())
        else {
            continue;
        };
        let usage = groups.entry(group).or_default();
        usage.processes += 1;
        usage.cpu += Duration::from_millis(1000 * ticks / clock_ticks_per_second());
        usage.memory += pages * page_size() as u64;
    }
    groups
}

/// Returns true if a process has used less processor time than `least` and is
/// running: on a busy machine, it has not had the time to get anywhere yet.
/// Returns false on platforms without `/proc`.
pub fn is_still_beginning(pid: u32, least: Duration) -> bool {
    let is_young = Stat::of(pid)
        .and_then(|stat| stat.ticks())
        .is_some_and(|ticks| {
            Duration::from_millis(1000 * ticks / clock_ticks_per_second()) < least
        });
    is_young && Stat::of_threads(pid).any(|thread| thread.is_at_work())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let group = nix::unistd::getpgrp().as_raw().unsigned_abs();
        let usage = by_group()[&group];
        assert!(usage.processes > 0 && usage.memory > 0);
    }
}
