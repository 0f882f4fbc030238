//! The progress of a command: a reader of events, whose state is one line.
//!
//! Reading an event costs a few lookups, since it happens where the event is
//! emitted. The text is made only when it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::events::{DeployEvent, Event, Kind, RoleEvent, RunEvent, SourceEvent, Until};
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome};
use crate::report::human::count;

/// Number of roles that are named.
const NAMES: usize = 8;

/// The state of a command.
#[derive(Debug, Default)]
pub(super) struct Progress {
    phase: Option<(Phase, Timestamp)>,
    /// Roles that run.
    running: BTreeMap<RoleName, Running>,
    /// The test roles of the run.
    tests: BTreeSet<RoleName>,
    /// Results of test roles.
    results: BTreeMap<RoleName, Results>,
    /// True if no test role has started yet.
    is_before_tests: bool,
}

/// The phase of a command that a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Cargo builds, and shows its own progress.
    Building,
    /// Another command has the lock of this home.
    Blocked(String),
    /// Agents are being placed on other machines.
    Placing { on: String, done: u64, total: u64 },
    /// Files are being copied.
    Copying { done: u64, total: u64 },
    /// Roles are becoming ready.
    Starting,
    /// Test roles run.
    Testing,
    /// The reports are being analyzed.
    Analyzing(String),
    /// Roles are being stopped.
    Stopping,
}

/// A role that runs.
#[derive(Debug)]
struct Running {
    since: Timestamp,
    /// The conditions under which it is ready, while it is not.
    awaits: Option<String>,
}

/// Results of a test role.
#[derive(Debug, Default, Clone, Copy)]
struct Results {
    passed: u64,
    failed: u64,
    has_ended: bool,
}

/// One line about the progress.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The beginning.
    pub(super) verb: &'static str,
    /// Time since the phase began.
    pub(super) elapsed: Duration,
    /// The part that is done, and the whole.
    pub(super) share: Option<(u64, u64)>,
    /// The rest.
    pub(super) text: String,
}

impl Progress {
    /// Reads an event. Returns true if the progress has something to show that
    /// it had not before.
    pub(super) fn read(&mut self, event: &Event) -> bool {
        let at = event.at;
        let before = self.since();
        match &event.kind {
            Kind::Log(_) => return false,
            Kind::Role(event) => self.read_role(event, at),
            Kind::Run(event) => self.read_run(event, at),
            Kind::Deploy(event) => self.read_deploy(event, at),
            Kind::Source(SourceEvent::Watching { .. }) => self.reset(),
            Kind::Source(_) => self.leave_preparation(),
        }
        self.since().is_some() && self.since() != before
    }

    fn read_role(&mut self, event: &RoleEvent, at: Timestamp) {
        match event {
            RoleEvent::Started { role, awaits, .. } => self.started(role, awaits.clone(), at),
            RoleEvent::Check { role, passed, .. } => self.check(role, *passed),
            RoleEvent::Ready { role } => self.ready(role),
            RoleEvent::Rerunning { role, .. } => {
                self.results.remove(role);
            }
            RoleEvent::Ended { role, outcome } => self.ended(role, outcome),
            RoleEvent::Unhealthy { .. }
            | RoleEvent::Healthy { .. }
            | RoleEvent::Retrying { .. }
            | RoleEvent::Slow { .. }
            | RoleEvent::Restarting { .. }
            | RoleEvent::Unkillable { .. }
            | RoleEvent::Unrecorded { .. } => self.leave_preparation(),
        }
    }

    fn read_run(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::Testing { roles, .. } => {
                self.reset();
                self.tests = roles.iter().cloned().collect();
                self.is_before_tests = true;
                self.begin(Phase::Testing, at);
            }
            RunEvent::Placing { on, shards } => {
                let (on, done, total) = (on.clone(), 0, *shards as u64);
                self.begin(Phase::Placing { on, done, total }, at);
            }
            RunEvent::Placed { .. } => {
                if let Some((Phase::Placing { done, .. }, _)) = &mut self.phase {
                    *done += 1;
                }
            }
            RunEvent::Awaiting { role, why } => {
                self.started(role, Some(why.clone().unwrap_or_default()), at);
            }
            RunEvent::Waiting { roles, until, .. } => self.wait(roles, *until, at),
            RunEvent::Analyzing { executable, .. } => {
                self.begin(Phase::Analyzing(executable.to_string()), at);
            }
            RunEvent::Stopping { .. } => self.begin(Phase::Stopping, at),
            RunEvent::Running { .. } | RunEvent::Verdict(_) | RunEvent::Result { .. } => {
                self.reset();
            }
            RunEvent::ShardLost { .. }
            | RunEvent::Orphans { .. }
            | RunEvent::CleanedUp { .. }
            | RunEvent::Unkept { .. } => self.leave_preparation(),
        }
    }

    fn read_deploy(&mut self, event: &DeployEvent, at: Timestamp) {
        match event {
            DeployEvent::Building {} => self.begin(Phase::Building, at),
            DeployEvent::Blocked { home } => {
                self.begin(Phase::Blocked(home.display().to_string()), at);
            }
            DeployEvent::Transferring { done, total } => {
                let (done, total) = (*done, *total);
                let is_over = done >= total;
                self.begin(Phase::Copying { done, total }, at);
                self.phase.take_if(|_| is_over);
            }
            DeployEvent::Suspending { roles } => self.suspend(roles, at),
            DeployEvent::HomeCreated { .. }
            | DeployEvent::Phase { .. }
            | DeployEvent::Built {}
            | DeployEvent::Retired { .. }
            | DeployEvent::PortMoved { .. }
            | DeployEvent::Conflict { .. }
            | DeployEvent::Passed { .. }
            | DeployEvent::Hidden { .. }
            | DeployEvent::Deployed { .. }
            | DeployEvent::Restored { .. }
            | DeployEvent::Unrestored { .. } => self.leave_preparation(),
        }
    }

    /// Returns the beginning of the phase that is shown.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let (phase, since) = self.phase.as_ref()?;
        (*phase != Phase::Building).then_some(*since)
    }

    /// Returns the line that is shown now.
    pub(super) fn line(&self, now: Timestamp) -> Option<Line> {
        let (phase, since) = self.phase.as_ref()?;
        let line = |verb, share, text| Line {
            verb,
            elapsed: elapsed(*since, now),
            share,
            text,
        };
        Some(match phase {
            Phase::Building => return None,
            Phase::Blocked(home) => {
                let text = format!("waiting for another command in `{home}`");
                line("Blocking", None, text)
            }
            Phase::Placing { on, done, total } => {
                let text = format!("{done} of {total} shards on {on}");
                line("Placing", Some((*done, *total)), text)
            }
            Phase::Copying { done, total } => {
                let text = format!("{} of {}", Bytes(*done), Bytes(*total));
                line("Deploying", Some((*done, *total)), text)
            }
            Phase::Testing if self.is_before_tests && self.awaited().next().is_some() => {
                line("Waiting", None, self.awaited_text(now))
            }
            Phase::Starting => line("Waiting", None, self.awaited_text(now)),
            Phase::Testing => {
                let done = self.results.values().filter(|it| it.has_ended).count() as u64;
                let all = (self.tests.len() as u64).max(done);
                line(
                    "Testing",
                    Some((done, all)),
                    self.tests_text(now, done, all),
                )
            }
            Phase::Analyzing(executable) => line("Analyzing", None, format!("with `{executable}`")),
            Phase::Stopping => {
                let roles = count(self.running.len(), "role");
                let text = format!("{roles}{}", self.names(|_, _| true, now));
                line("Stopping", None, text)
            }
        })
    }

    fn begin(&mut self, phase: Phase, at: Timestamp) {
        let is_same = |old: &Phase| std::mem::discriminant(old) == std::mem::discriminant(&phase);
        let since = match &self.phase {
            Some((old, since)) if is_same(old) => *since,
            _ => at,
        };
        self.phase = Some((phase, since));
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    /// Ends a phase before the start of roles.
    fn leave_preparation(&mut self) {
        self.phase.take_if(|(phase, _)| {
            matches!(
                phase,
                Phase::Building | Phase::Blocked(_) | Phase::Placing { .. } | Phase::Copying { .. }
            )
        });
    }

    fn suspend(&mut self, roles: &[RoleName], at: Timestamp) {
        self.reset();
        for role in roles {
            self.run(role, None, at);
        }
        self.begin(Phase::Stopping, at);
    }

    fn run(&mut self, role: &RoleName, awaits: Option<String>, at: Timestamp) {
        let running = Running { since: at, awaits };
        self.running.insert(role.clone(), running);
    }

    fn started(&mut self, role: &RoleName, awaits: Option<String>, at: Timestamp) {
        if matches!(self.phase, Some((Phase::Stopping, _))) && awaits.is_some() {
            // A deploy starts the roles again that it has stopped.
            self.reset();
        }
        self.leave_preparation();
        self.is_before_tests &= !self.tests.contains(role);
        if self.phase.is_none() && awaits.is_some() {
            self.begin(Phase::Starting, at);
        }
        self.run(role, awaits, at);
    }

    /// Counts a check before the role has ended; its report has all of them.
    fn check(&mut self, role: &RoleName, passed: bool) {
        if self.tests.contains(role) {
            let results = self.results.entry(role.clone()).or_default();
            if !results.has_ended {
                results.passed += u64::from(passed);
                results.failed += u64::from(!passed);
            }
        }
    }

    fn ready(&mut self, role: &RoleName) {
        if let Some(running) = self.running.get_mut(role) {
            running.awaits = None;
        }
        self.leave_starting();
    }

    /// Ends the start of roles once all of them are ready.
    fn leave_starting(&mut self) {
        if self.awaited().next().is_none() {
            self.phase.take_if(|(phase, _)| *phase == Phase::Starting);
        }
    }

    fn wait(&mut self, roles: &[RoleName], until: Until, at: Timestamp) {
        let awaits = (until == Until::Ready).then(String::new);
        for role in roles {
            if !self.running.contains_key(role) {
                self.run(role, awaits.clone(), at);
            }
        }
        if self.phase.is_none() {
            self.begin(
                match until {
                    Until::Ready => Phase::Starting,
                    Until::Stopped => Phase::Stopping,
                },
                at,
            );
        }
    }

    fn ended(&mut self, role: &RoleName, outcome: &RoleOutcome) {
        self.running.remove(role);
        if self.tests.contains(role) {
            let results = self.results.entry(role.clone()).or_default();
            let is_skipped = matches!(outcome.cause, Cause::Stopped | Cause::NeverStarted);
            let report = outcome.report();
            let counted = report.map(|report| (report.passed, report.failed));
            let alone = (results.passed, results.failed.max(u64::from(!is_skipped)));
            (results.passed, results.failed) = counted.unwrap_or(alone);
            results.has_ended = true;
        }
        self.leave_starting();
        let is_empty = self.running.is_empty();
        self.phase
            .take_if(|(phase, _)| *phase == Phase::Stopping && is_empty);
    }

    /// Returns the roles that are not ready.
    fn awaited(&self) -> impl Iterator<Item = (&RoleName, &Running)> {
        self.running.iter().filter(|(_, it)| it.awaits.is_some())
    }

    fn awaited_text(&self, now: Timestamp) -> String {
        let mut awaited: Vec<_> = self.awaited().collect();
        awaited.sort_by_key(|(_, running)| running.since);
        let named = awaited.iter().take(NAMES).map(|(role, running)| {
            let seconds = elapsed(running.since, now).as_secs();
            match running.awaits.as_deref().unwrap_or_default() {
                "" => format!("{role} ({seconds} s)"),
                awaits => format!("{role} ({seconds} s): {awaits}"),
            }
        });
        let mut text = format!("for {}", named.collect::<Vec<_>>().join("; "));
        if awaited.len() > NAMES {
            let _ = write!(text, " and {} more", awaited.len() - NAMES);
        }
        text
    }

    fn tests_text(&self, now: Timestamp, done: u64, all: u64) -> String {
        let mut text = format!("{done}/{all} roles");
        let results = self.results.values();
        let (passed, failed) = results.fold((0, 0), |(passed, failed), it| {
            (passed + it.passed, failed + it.failed)
        });
        if passed > 0 {
            let _ = write!(text, ", {} passed", count(passed, "check"));
        }
        if failed > 0 {
            let _ = write!(text, ", {failed} failed");
        }
        text + &self.names(|role, _| self.tests.contains(role), now)
    }

    /// Names the roles that run, the first ones first, after a colon.
    fn names(&self, is_wanted: impl Fn(&RoleName, &Running) -> bool, now: Timestamp) -> String {
        let running = self.running.iter();
        let mut running: Vec<_> = running.filter(|(role, it)| is_wanted(role, it)).collect();
        running.sort_by_key(|(_, running)| running.since);
        let named = running.iter().take(NAMES);
        let named = named.map(|(role, running)| {
            let seconds = elapsed(running.since, now).as_secs();
            format!("{role} ({seconds} s)")
        });
        let named: Vec<_> = named.collect();
        match (named.is_empty(), running.len().saturating_sub(NAMES)) {
            (true, _) => String::new(),
            (false, 0) => format!(": {}", named.join(", ")),
            (false, more) => format!(": {} and {more} more", named.join(", ")),
        }
    }
}

/// Returns the time between two events; zero if the clock was set back.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).try_into().unwrap_or_default()
}

/// A number of bytes, in megabytes.
struct Bytes(u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MEGA: u64 = 1_000_000;
        match self.0 / MEGA {
            megabytes @ 0..1000 => write!(f, "{megabytes} MB"),
            megabytes => write!(f, "{}.{} GB", megabytes / 1000, megabytes % 1000 / 100),
        }
    }
}

impl Line {
    /// Returns the line after its verb, without a bar.
    pub(super) fn plain(&self) -> String {
        format!("{} {}", clock(self.elapsed), self.text)
    }

    /// Returns the line after its verb with a bar, in at most `columns`
    /// columns.
    pub(super) fn bar(&self, columns: usize) -> String {
        let bar = match self.share {
            Some((done, all)) if columns >= NARROW => bar(done, all, columns / 5) + " ",
            _ => String::new(),
        };
        let mut line = format!("{} {bar}{}", clock(self.elapsed), self.text);
        cut(&mut line, columns);
        line
    }
}

/// Number of columns below which there is no room for a bar.
const NARROW: usize = 40;

fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("[{hours:02}:{minutes:02}:{:02}]", seconds % 60)
}

/// Draws a bar in at most `width` and 20 columns.
fn bar(done: u64, all: u64, width: usize) -> String {
    let width = width.min(20);
    let filled = (width as u64).saturating_mul(done) / all.max(1);
    let filled = usize::try_from(filled).map_or(width, |filled| filled.min(width));
    format!("{}{}", "█".repeat(filled), "▒".repeat(width - filled))
}

/// Cuts a line to a number of columns.
fn cut(line: &mut String, columns: usize) {
    use unicode_width::UnicodeWidthChar;

    let mut used = 0;
    let mut end = 0;
    for (at, c) in line.char_indices() {
        let width = c.width().unwrap_or(0);
        if used + width > columns {
            line.truncate(end);
            line.push('…');
            return;
        }
        used += width;
        if used < columns {
            end = at + c.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests;
