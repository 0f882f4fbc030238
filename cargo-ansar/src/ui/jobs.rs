//! Commands of this tool as child processes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::home::Home;
use crate::host::environment;
use crate::host::process::signal::{self, Signal};
use crate::host::process::{Exit, Process, Program, StderrMode};
use crate::host::terminal::keys::Typist;
use crate::model::name::RoleName;
use crate::model::stop::StopSignal;
use crate::ui::model::Event;
use crate::workspace::Places;

/// Time that commands get to end when the interface does.
const PATIENCE: Duration = Duration::from_secs(10);

/// The commands that run. Each is in a process group of its own, without the
/// terminal.
///
/// Of the commands that start and stop the same role, one runs at a time, in the
/// order of the keys; a later one ends an earlier one if it includes all of its roles.
#[derive(Debug)]
pub(super) struct Jobs {
    places: Places,
    home: PathBuf,
    events: UnboundedSender<Event>,
    /// Interrupts commands, without `watch`.
    interrupt: watch::Sender<()>,
    /// Interrupts all commands.
    end: watch::Sender<()>,
    running: JoinSet<()>,
    /// Commands that start and stop roles.
    changes: Vec<Change>,
    /// Types keys for `watch`, if that runs.
    typist: Option<Typist>,
}

/// A command that starts or stops roles.
#[derive(Debug)]
struct Change {
    roles: BTreeSet<RoleName>,
    supersede: watch::Sender<bool>,
    /// Closed once it has ended.
    ended: watch::Receiver<()>,
}

impl Jobs {
    /// Returns no commands yet; `events` receives what they print, and their
    /// ends.
    pub(super) fn new(places: Places, home: &Home, events: UnboundedSender<Event>) -> Self {
        Self {
            places,
            home: home.root().to_owned(),
            events,
            interrupt: watch::Sender::new(()),
            end: watch::Sender::new(()),
            changes: Vec::new(),
            typist: None,
            running: JoinSet::new(),
        }
    }

    /// Starts a command. `roles` are those that it starts or stops.
    pub(super) fn start(
        &mut self,
        id: usize,
        arguments: &[String],
        roles: &[RoleName],
    ) -> io::Result<()> {
        let (former, superseded, is_running) = self.succeed(roles.iter().cloned().collect());
        let mut all = vec![
            "ansar".into(),
            "--home-path".into(),
            self.home.clone().into(),
        ];
        if let Some(manifest) = &self.places.manifest_path {
            all.extend(["--manifest-path".into(), manifest.into()]);
        }
        all.extend(["--color".into(), "never".into()]);
        all.extend(arguments.iter().map(Into::into));
        if !former.is_empty() && arguments.first().is_some_and(|it| it == "stop") {
            // What it ended may have stopped the roles, or not started them.
            all.push("--force".into());
        }
        let program = self.program(all)?;
        let mut job = Job {
            id,
            events: self.events.clone(),
            interrupts: self.interrupt.subscribe(),
            ends: self.end.subscribe(),
            superseded,
        };
        self.running.spawn_local(async move {
            for mut ended in former {
                while ended.changed().await.is_ok() {}
            }
            job.run(&program).await;
            drop(is_running);
        });
        Ok(())
    }

    /// Starts `watch`, with all its arguments. It ends with this process.
    pub(super) fn watch(&mut self, id: usize, arguments: Vec<OsString>) -> io::Result<()> {
        let (stdin, typist) = Typist::new()?;
        self.typist = Some(typist);
        let program = Program {
            stdin: Some(Arc::new(stdin)),
            ..self.program(arguments)?
        };
        let mut job = Job {
            id,
            events: self.events.clone(),
            interrupts: self.end.subscribe(),
            ends: self.end.subscribe(),
            superseded: watch::channel(false).1,
        };
        self.running
            .spawn_local(async move { job.run(&program).await });
        Ok(())
    }

    /// Presses a key of `watch`.
    pub(super) fn press(&mut self, key: char) {
        if let Some(typist) = &mut self.typist {
            typist.press(key);
        }
    }

    fn program(&self, arguments: Vec<OsString>) -> io::Result<Program> {
        Ok(Program {
            path: environment::own_executable()?,
            arguments,
            environment: None,
            folder: Some(self.places.folder.clone()),
            stdin: None,
        })
    }

    /// Registers a command that starts or stops roles. Returns three ends
    /// of channels: receivers that close when the earlier commands on the same roles
    /// have ended, one that turns true when this command is superseded, and a sender
    /// to drop when it has ended.
    fn succeed(
        &mut self,
        roles: BTreeSet<RoleName>,
    ) -> (
        Vec<watch::Receiver<()>>,
        watch::Receiver<bool>,
        watch::Sender<()>,
    ) {
        self.changes.retain(|it| it.ended.has_changed().is_ok());
        let mut former = Vec::new();
        for change in self
            .changes
            .iter()
            .filter(|it| !it.roles.is_disjoint(&roles))
        {
            if change.roles.is_subset(&roles) {
                change.supersede.send_replace(true);
            }
            former.push(change.ended.clone());
        }
        let (supersede, superseded) = watch::channel(false);
        let (is_running, ended) = watch::channel(());
        self.changes.push(Change {
            roles,
            supersede,
            ended,
        });
        (former, superseded, is_running)
    }

    /// Sends SIGINT to all commands, as Control-C does, but not to `watch`.
    pub(super) fn interrupt(&self) {
        self.interrupt.send_replace(());
    }

    /// Interrupts the commands that run, and waits until they have ended.
    pub(super) async fn finish(mut self) {
        self.end.send_replace(());
        let all = async { while self.running.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

/// A command.
#[derive(Debug)]
struct Job {
    id: usize,
    events: UnboundedSender<Event>,
    interrupts: watch::Receiver<()>,
    ends: watch::Receiver<()>,
    superseded: watch::Receiver<bool>,
}

impl Job {
    /// Runs the command, and sends the lines that it prints, and its end. One that
    /// is superseded counts as a success.
    async fn run(&mut self, program: &Program) {
        let done = if *self.superseded.borrow() {
            Ok(true)
        } else {
            self.perform(program).await
        };
        let is_success = done.unwrap_or_else(|error| {
            self.print(format!("error: {error}"));
            false
        });
        let is_superseded = *self.superseded.borrow();
        if is_superseded {
            self.print("superseded by a later command".to_owned());
        }
        let ended = Event::Ended(self.id, is_success || is_superseded);
        // There is no receiver when the interface ends.
        let _ = self.events.send(ended);
    }

    fn print(&self, line: String) {
        let _ = self.events.send(Event::Printed(self.id, line));
    }

    /// Runs the command to its end. Returns true if it succeeded.
    async fn perform(&mut self, program: &Program) -> io::Result<bool> {
        let mut process = Process::start(program, StderrMode::Joined).await?;
        let group = process.pid();
        let mut output = Vec::new();
        loop {
            let is_more = tokio::select! {
                more = process.stdout.read_more(&mut output) => more?,
                () = told(&mut self.interrupts, &mut self.ends, &mut self.superseded) => {
                    // A group that is gone needs no signal.
                    let _ = signal::send_to_group(group, Signal::Stop(StopSignal::INTERRUPT));
                    true
                }
            };
            send_lines(self.id, &mut output, &self.events, !is_more);
            if !is_more {
                return Ok(process.end().await? == Exit::Code(0));
            }
        }
    }
}

/// Waits for a reason to interrupt a command. Cancel safe.
async fn told(
    interrupts: &mut watch::Receiver<()>,
    ends: &mut watch::Receiver<()>,
    superseded: &mut watch::Receiver<bool>,
) {
    tokio::select! {
        Ok(()) = interrupts.changed() => {}
        Ok(()) = ends.changed() => {}
        Ok(()) = superseded.changed() => {}
        else => std::future::pending().await,
    }
}

/// Sends the whole lines of some output and removes them; at the end also the
/// rest.
fn send_lines(id: usize, output: &mut Vec<u8>, events: &UnboundedSender<Event>, is_over: bool) {
    let whole = memchr::memrchr(b'\n', output).map_or(0, |end| end + 1);
    let length = if is_over { output.len() } else { whole };
    let text: Vec<u8> = output.drain(..length).collect();
    for line in String::from_utf8_lossy(&text).lines() {
        let _ = events.send(Event::Printed(id, line.to_owned()));
    }
}
