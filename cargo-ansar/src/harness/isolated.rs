//! Runs each test in a process of its own.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::rc::Rc;

use ansar_contract::lifecycle::Faulted;
use ansar_contract::notice::Notice;
use tokio::task::JoinSet;

use crate::harness::output::Output;
use crate::harness::program::{Limits, UNREAD};
use crate::harness::{Session, cannot, program, verdict};
use crate::host::clock;
use crate::host::fs;
use crate::host::fs::lock::{Attempt, Lock, lock, try_lock};
use crate::host::process::sd_notify;

/// Runs the selected tests, several at once. `ignored` are those that run only
/// when that is asked for.
pub(super) async fn run(session: &Rc<Session>, ignored: BTreeSet<String>) -> Result<(), Faulted> {
    let names = session.state.borrow().selected.clone();
    let workers = session.run.jobs.clamp(1, names.len().max(1));
    let (names, ignored, next) = (Rc::new(names), Rc::new(ignored), Rc::new(Cell::new(0)));
    fs::make_private_folders(&session.run.slots).map_err(|error| {
        Faulted::new(
            "failed to share the number of tests at once",
            error.to_string(),
        )
    })?;
    let mut tasks = JoinSet::new();
    for worker in 0..workers {
        let session = session.clone();
        let (names, ignored, next) = (names.clone(), ignored.clone(), next.clone());
        tasks.spawn_local(async move {
            while let Some(name) = names.get(next.replace(next.get() + 1)) {
                let slot = slot(&session.run.slots, session.run.jobs, worker).await;
                let _slot = slot.map_err(|error| cannot("wait for other tests", &error))?;
                let done = run_test(&session, name, ignored.contains(name)).await;
                done.map_err(|error| cannot("run the test executable", &error))?;
            }
            Ok::<(), Faulted>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(done) => done?,
            Err(error) => return Err(cannot("run the tests", &io::Error::other(error))),
        }
    }
    Ok(())
}

async fn run_test(session: &Rc<Session>, name: &str, is_ignored: bool) -> io::Result<()> {
    let mut arguments: Vec<OsString> = ["--exact", name, "--nocapture", "--color=never"]
        .map(OsString::from)
        .to_vec();
    // With one thread, the thread of a test would not have its name.
    arguments.push("--test-threads=2".into());
    if is_ignored {
        arguments.push("--include-ignored".into());
    }
    session.state.borrow_mut().running.insert(name.to_owned());
    let mut output = Output::default();
    let limits = Limits {
        most: session.run.limit(),
        output_counts: false,
        unread: UNREAD,
    };
    let program = session.program(arguments);
    let mut slow_at = session.run.slow().map(|after| clock::instant() + after);
    let slow = |now| {
        if slow_at.take_if(|at| *at <= now).is_some() {
            session.tell_slow(name);
        }
        slow_at
    };
    let ended = program::run(&program, limits, |line| output.line(line), slow).await?;
    let judged = verdict::of_test(name, ended, &output, limits.most);
    session.finished(name, Some(ended.elapsed), judged, Some(&output));
    Ok(())
}

impl Session {
    /// Notifies the engine of a slow test.
    pub(super) fn tell_slow(&self, name: &str) {
        let slow = self.run.slow().unwrap_or_default();
        sd_notify::send(&Notice {
            role: self.role.clone(),
            slow: Some((slow.as_secs_f64(), name.to_owned())),
            ..Notice::default()
        });
    }
}

/// Waits until fewer than `count` tests of all targets run, and counts one more.
async fn slot(folder: &Path, count: usize, worker: usize) -> io::Result<Lock> {
    let path = |number: usize| folder.join(number.to_string());
    for number in 0..count {
        let number = (worker + number) % count;
        if let Attempt::Held(lock) = try_lock(&path(number), "")? {
            return Ok(lock);
        }
    }
    let path = path(worker % count);
    let waiting = tokio::task::spawn_blocking(move || lock(&path, ""));
    waiting.await.map_err(io::Error::other)?
}
