//! Commands of this tool as child processes.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::home::Home;
use crate::host::environment;
use crate::host::process::signal::{self, Signal};
use crate::host::process::{Exit, Process, Program, StderrMode};
use crate::model::stop::StopSignal;
use crate::ui::model::Event;
use crate::workspace::Places;

/// Time that commands get to end when the interface does.
const PATIENCE: Duration = Duration::from_secs(10);

/// The commands that run. Each is in a process group of its own, without the
/// terminal.
#[derive(Debug)]
pub(super) struct Jobs {
    places: Places,
    home: PathBuf,
    events: UnboundedSender<Event>,
    interrupt: watch::Sender<()>,
    running: JoinSet<()>,
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
            running: JoinSet::new(),
        }
    }

    /// Starts a command.
    pub(super) fn start(&mut self, id: usize, arguments: &[String]) -> io::Result<()> {
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
        let program = Program {
            path: environment::own_executable()?,
            arguments: all,
            environment: None,
            folder: Some(self.places.folder.clone()),
            stdin: None,
        };
        let (events, interrupts) = (self.events.clone(), self.interrupt.subscribe());
        self.running.spawn_local(async move {
            let ended = perform(id, &program, &events, interrupts).await;
            let is_success = ended.unwrap_or_else(|error| {
                let _ = events.send(Event::Printed(id, format!("error: {error}")));
                false
            });
            let _ = events.send(Event::Ended(id, is_success));
        });
        Ok(())
    }

    /// Sends SIGINT to all commands, as Control-C does.
    pub(super) fn interrupt(&self) {
        self.interrupt.send_replace(());
    }

    /// Interrupts the commands that run, and waits until they have ended.
    pub(super) async fn finish(mut self) {
        self.interrupt();
        let all = async { while self.running.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

/// Runs a command, and sends the lines that it prints. Returns true if it
/// succeeded.
async fn perform(
    id: usize,
    program: &Program,
    events: &UnboundedSender<Event>,
    mut interrupts: watch::Receiver<()>,
) -> io::Result<bool> {
    let mut process = Process::start(program, StderrMode::Joined).await?;
    let group = process.pid();
    let mut output = Vec::new();
    loop {
        let is_more = tokio::select! {
            more = process.stdout.read_more(&mut output) => more?,
            Ok(()) = interrupts.changed() => {
                // A group that is gone needs no signal.
                let _ = signal::send_to_group(group, Signal::Stop(StopSignal::INTERRUPT));
                true
            }
        };
        send_lines(id, &mut output, events, !is_more);
        if !is_more {
            return Ok(process.end().await? == Exit::Code(0));
        }
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
