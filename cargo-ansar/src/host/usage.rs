//! What groups of processes use: processor time and memory.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

use super::strays;

/// What the processes of one group use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// How many processes there are.
    pub processes: usize,
    /// The processor time that they have used.
    pub cpu: Duration,
    /// The memory that they have in use, in bytes.
    pub memory: u64,
}

/// What each group uses, by its leader; nothing where the platform does not
/// tell.
pub fn by_group() -> BTreeMap<u32, Usage> {
    let mut groups: BTreeMap<u32, Usage> = BTreeMap::new();
    for pid in strays::all() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((group, ticks, pages)) = parse(&stat) else {
            continue;
        };
        let usage = groups.entry(group).or_default();
        usage.processes += 1;
        usage.cpu += Duration::from_millis(1000 * ticks / clock_ticks_per_second());
        usage.memory += pages * page_size() as u64;
    }
    groups
}

/// The group, the ticks of processor time and the pages of memory, of a line
/// of the kernel's about a process.
fn parse(stat: &str) -> Option<(u32, u64, u64)> {
    // The name before may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // The third field of all, the state, is the first behind the name.
    let field = |number: usize| {
        fields
            .get(number - 3)
            .and_then(|field| field.parse::<u64>().ok())
    };
    let group = u32::try_from(field(5)?).ok()?;
    Some((group, field(14)? + field(15)?, field(24)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_whatever_the_name() {
        let stat = "7 (a) b) (c) S 1 5 5 0 -1 4194304 100 0 0 0 20 3 0 0 20 0 1 0 99 2000 12 1";
        assert_eq!(parse(stat), Some((5, 23, 12)));
        assert_eq!(parse("7 (a) Z 1"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_process_uses_something() {
        let group = nix::unistd::getpgrp().as_raw().unsigned_abs();
        let usage = by_group()[&group];
        assert!(usage.processes > 0 && usage.memory > 0);
    }
}
