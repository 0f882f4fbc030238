//! A save that breaks the API of `examples/orders`: from the save to the line of
//! the failing test, compared with `cargo test` against roles that run.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tests::{Workspace, server};

use super::save::{DEBOUNCE, Watch};
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, run};

/// Pairs of saves.
const SAVES: usize = 5;

const SOURCE: &str = "api/src/orders.rs";
const CORRECT: &str = "1..=1_000_000";
const WRONG: &str = "0..=1_000_000";
/// The test that finds it.
const TEST: &str = "an_order_of_nothing_is_refused";

/// A copy of the example.
struct Orders<'w> {
    world: &'w World,
    copy: Workspace,
}

impl<'w> Orders<'w> {
    fn new(world: &'w World) -> Self {
        let copy = Workspace::orders();
        Self { world, copy }
    }

    fn home(&self) -> PathBuf {
        self.copy.path().join(".ansar-home")
    }

    fn ansar(&self, words: &[&str]) -> Command {
        let mut command = self.world.ansar(&self.home());
        command.args(words).current_dir(self.copy.path());
        command
    }

    /// Returns the variables that the tests find their roles by.
    fn variables(&self) -> Vec<(String, String)> {
        let output = self.ansar(&["with", "-q", "--", "env"]).output();
        let output = output.expect("the tool starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let variables = text.lines().filter_map(|line| line.split_once('='));
        let variables = variables.filter(|(name, _)| name.starts_with("ANSAR_"));
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        owned.collect()
    }
}

/// The budget limits the ratio of our time, less the debounce.
pub(crate) fn row(world: &World) -> Option<Judged> {
    for name in ["postgres", "redis-server", "curl"] {
        server(name)?;
    }
    let orders = Orders::new(world);
    let mut watch = Watch::start(&mut orders.ansar(&["watch", "test-api"]));
    watch.wait_for("Watching");
    let ours = || {
        let time = timed(|| {
            orders.copy.edit(SOURCE, CORRECT, WRONG);
            watch.wait_for(TEST);
        });
        watch.wait_for("Watching");
        orders.copy.edit(SOURCE, WRONG, CORRECT);
        watch.wait_for("      Passed ");
        watch.wait_for("Watching");
        time.saturating_sub(DEBOUNCE)
    };

    // In a copy of its own, whose API stays as it is.
    let other = Orders::new(world);
    run(&mut other.ansar(&["start"]));
    let variables = other.variables();
    let cargo_test = || {
        let mut command = world.program(world.cargo());
        command
            .args(["test", "-q", "--test", "api"])
            .envs(variables.iter().cloned())
            .current_dir(other.copy.path());
        run(&mut command);
    };
    cargo_test();
    let bare = || -> Duration {
        let time = timed(|| {
            other.copy.edit(SOURCE, CORRECT, WRONG);
            cargo_test();
        });
        other.copy.edit(SOURCE, WRONG, CORRECT);
        cargo_test();
        time
    };
    let mut judged = interleaved(SAVES, 1.10, ours, bare);
    judged.ours += DEBOUNCE.as_secs_f64() * 1e3;
    run(&mut other.ansar(&["stop"]));
    Some(judged)
}
