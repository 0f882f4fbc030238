//! A tree of processes that call each other, compared with as many processes
//! without calls.

use std::time::Duration;

use crate::bare;
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, run};

/// Number of processes in the tree: 121 managers with three duties each, of
/// which the factorial calls five more.
const PROCESSES: usize = 121 * (1 + 3 + 5);
/// Sleep that is part of the tree, at no cost of its own.
const SNOOZE: Duration = Duration::from_secs(2);
/// Limit of processes that run at once in the baseline: both ends of their
/// pipes are open.
const AT_ONCE: usize = 363;
/// Pairs of measurements; each takes seconds.
const PAIRS: usize = 10;

/// The test role is needed because a test run creates the home.
const ROLES: &str = r#"
role.test-noop.executable = "noop"
role.noop-0.executable = "noop"
role.snooze-0.executable = "snooze"
role.factorial-0.executable = "factorial"

[workspace.metadata.ansar.role.busy-0]
executable = "busy"
input = { duties = ["noop", "snooze", "factorial"], management_levels = 5, managers = 3 }
"#;

/// The tree, less its sleep, compared with as many bare processes.
pub(crate) fn tree(world: &World) -> Judged {
    let home = world.make_home("tree", ROLES);
    let ours = || {
        let time = timed(|| run(world.ansar(&home).args(["run", "busy-0"])));
        time.saturating_sub(SNOOZE)
    };
    let bare = || {
        timed(|| {
            for _ in 0..PROCESSES / AT_ONCE {
                bare::finish(bare::start_all(world, &home, "noop", AT_ONCE));
            }
        })
    };
    interleaved(PAIRS, 1.5, ours, bare)
}
