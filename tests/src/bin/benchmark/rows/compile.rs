//! The processor time that the library adds to the compilation of an application.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use tests::repository;

use crate::compare::{Judged, judge};
use crate::world::{World, run};

/// Time to compile the library for an application that wraps its own `main`, without
/// default features, compared with the library for a component.
pub(crate) fn row(world: &World) -> Judged {
    let folder = world.root().join("compile");
    let compile = |defaults: bool| {
        let manifest = format!(
            "[package]\nname = \"application\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [dependencies.ansar-runtime]\npath = \"{}\"\ndefault-features = {defaults}\n[workspace]\n",
            repository().join("ansar-runtime").display()
        );
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("src")).expect("the workspace is writable");
        fs::write(folder.join("Cargo.toml"), manifest).expect("it is writable");
        fs::write(folder.join("src/main.rs"), "fn main() {}\n").expect("it is writable");
        fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock")).expect("it is there");
        let before = of_children();
        let mut build = world.program(world.cargo());
        run(build.args(["build", "--quiet"]).current_dir(&folder));
        of_children().saturating_sub(before)
    };
    let (light, whole) = (compile(false), compile(true));
    let _ = fs::remove_dir_all(&folder);
    judge(&[light], &[whole], 0.5)
}

/// Returns the processor time of all children that have ended.
fn of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is known");
    [usage.user_time(), usage.system_time()]
        .map(|time| {
            Duration::from_micros(
                u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0),
            )
        })
        .into_iter()
        .sum()
}
