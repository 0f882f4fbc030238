//! The thread that prints, and its queue.
//!
//! Emitting an event never waits for a terminal, so a stopped terminal blocks
//! no role. Log lines beyond a limit are dropped and counted; all other events
//! are queued.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot::{self, Receiver};

use crate::events::{Event, Events, Kind, LogEvent, json};
use crate::host::clock;
use crate::report::human;
use crate::report::meter::{Meter, Mode, Shared};
use crate::report::shell::{Form, Shell, Verbosity};

/// Maximum number of queued log lines.
const MOST_WAITING: usize = 10_000;

/// Handle of the printer thread.
#[derive(Debug)]
pub struct Printer {
    verbosity: Verbosity,
    form: Form,
    phases: bool,
    progress: Option<Shared>,
    queue: Sender<Item>,
    printed: Receiver<io::Result<()>>,
}

enum Item {
    Event(Box<Event>),
    Show(Box<dyn FnOnce(&mut Shell) + Send>),
    /// The progress has something to show.
    Progress,
    Finish,
}

impl Printer {
    /// Starts the printer thread. With `phases`, the events include the phases
    /// of commands.
    pub fn start(verbosity: Verbosity, form: Form, phases: bool, mode: Mode) -> io::Result<Self> {
        let (queue, items) = mpsc::channel();
        let (report, printed) = oneshot::channel();
        let progress = Shared::default();
        let meter = Meter::new(mode, progress.clone());
        let print = move || {
            let mut shell = Shell::new(verbosity, form);
            print(&mut shell, &items, verbosity, meter);
            // The command may have ended meanwhile.
            let _ = report.send(shell.finish());
        };
        std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(print)?;
        Ok(Self {
            verbosity,
            form,
            phases,
            progress: (mode != Mode::Never).then_some(progress),
            queue,
            printed,
        })
    }

    /// Returns a stream of events that are printed.
    pub fn events(&self) -> Events {
        let queue = Mutex::new(self.queue.clone());
        let gauge = Arc::new(Gauge::default());
        let (verbosity, form) = (self.verbosity, self.form);
        let progress = self.progress.clone();
        let events = Events::stamped(clock::now, move |event| {
            if progress.as_ref().is_some_and(|it| it.read(&event)) {
                if let Ok(queue) = queue.lock() {
                    // The printer may have ended.
                    let _ = queue.send(Item::Progress);
                }
            }
            // An event that is not shown need not wake the thread.
            if form != Form::Json && !human::is_told(&event.kind, verbosity) {
                return;
            }
            let waiting = match &event.kind {
                Kind::Log(LogEvent::Line { .. }) => match gauge.admit() {
                    Some(waiting) => Some(waiting),
                    None => return,
                },
                _ => None,
            };
            let event = Box::new(event);
            let Ok(queue) = queue.lock() else {
                return;
            };
            // The printer may have ended.
            let _ = match waiting {
                None => queue.send(Item::Event(event)),
                Some(waiting) => queue.send(Item::Show(Box::new(move |shell| {
                    let dropped = waiting.leave();
                    if dropped > 0 {
                        shell.warn(&format!("{dropped} log lines are not shown"));
                    }
                    tell(shell, &event, verbosity, false);
                }))),
            };
        });
        events.with_phases(self.phases)
    }

    /// Returns a function that prints a line of JSON as data. It can be called
    /// from any thread.
    pub fn lines(&self) -> impl Fn(String) + Send + Sync + 'static {
        let queue = self.queue.clone();
        move |line| {
            // The printer may have ended.
            let _ = queue.send(Item::Show(Box::new(move |shell| shell.json(&line))));
        }
    }

    /// Returns a function that prints the same thing each time it is called.
    pub fn shows(&self, show: fn(&mut Shell)) -> impl Fn() + Send + Sync + 'static {
        let queue = self.queue.clone();
        move || {
            // The printer may have ended.
            let _ = queue.send(Item::Show(Box::new(show)));
        }
    }

    /// Queues something to be printed.
    pub fn show(&self, show: impl FnOnce(&mut Shell) + Send + 'static) {
        let _ = self.queue.send(Item::Show(Box::new(show)));
    }

    /// Queues something to be printed, and waits for its result. Returns `None`
    /// if the printer has failed.
    pub async fn ask<T: Send + 'static>(
        &self,
        print: impl FnOnce(&mut Shell) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.show(move |shell| {
            // The caller may no longer wait.
            let _ = answer.send(print(shell));
        });
        answered.await.ok()
    }

    /// Waits until the queue is printed; dropping the future stops the wait.
    /// Returns the error of the first failed write to stdout, unless the reader
    /// closed it.
    pub async fn finish(self) -> io::Result<()> {
        let _ = self.queue.send(Item::Finish);
        let printed = self.printed.await;
        printed.unwrap_or_else(|_| Err(io::Error::other("the printing thread panicked")))
    }
}

/// Prints items until the last, and the progress in between.
fn print(shell: &mut Shell, items: &mpsc::Receiver<Item>, verbosity: Verbosity, mut meter: Meter) {
    loop {
        let item = match meter.wait() {
            None => items.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => items.recv_timeout(wait),
        };
        if !matches!(item, Ok(Item::Progress) | Err(RecvTimeoutError::Timeout)) {
            meter.erase();
        }
        match item {
            Ok(Item::Event(event)) => {
                let is_shown = meter.shows(&event.kind);
                tell(shell, &event, verbosity, is_shown);
            }
            Ok(Item::Show(show)) => show(shell),
            Ok(Item::Progress) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Item::Finish) | Err(RecvTimeoutError::Disconnected) => break,
        }
        meter.show(shell);
    }
}

/// Shows an event, as JSON, and as text unless the progress shows it.
fn tell(shell: &mut Shell, event: &Event, verbosity: Verbosity, is_shown: bool) {
    if shell.form() == Form::Json {
        shell.json(&json::line(event));
        shell.flush();
    }
    if !is_shown && human::is_told(&event.kind, verbosity) {
        human::event(shell, event);
    }
}

/// Number of queued and of dropped log lines.
#[derive(Debug, Default)]
struct Gauge {
    waiting: AtomicUsize,
    dropped: AtomicUsize,
}

/// Slot of a queued log line.
struct Waiting(Arc<Gauge>);

impl Gauge {
    fn admit(self: &Arc<Self>) -> Option<Waiting> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING {
            Some(Waiting(self.clone()))
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

impl Waiting {
    /// Frees the slot, and returns the number of lines dropped since the last
    /// call.
    fn leave(self) -> usize {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.dropped.swap(0, Ordering::Relaxed)
    }
}
