//! The thread that prints, and the queue before it.
//!
//! Whoever emits an event never waits for a terminal: a stopped one stalls
//! nobody. Log lines beyond a bound are dropped and counted; everything else
//! is kept.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot::{self, Receiver};

use crate::events::{Event, Events, Kind, json};
use crate::host::clock;
use crate::report::human;
use crate::report::shell::{Form, Shell, Verbosity};

/// How many log lines may wait to be shown.
const MOST_WAITING: usize = 10_000;

/// Where everything is printed.
#[derive(Debug)]
pub struct Printer {
    verbosity: Verbosity,
    form: Form,
    phases: bool,
    queue: Sender<Item>,
    printed: Receiver<io::Result<()>>,
}

enum Item {
    Event(Box<Event>),
    Show(Box<dyn FnOnce(&mut Shell) + Send>),
    Finish,
}

impl Printer {
    /// Starts the thread that prints; the phases of commands, too, if `phases`
    /// says so.
    pub fn start(verbosity: Verbosity, form: Form, phases: bool) -> io::Result<Self> {
        let (queue, items) = mpsc::channel();
        let (report, printed) = oneshot::channel();
        let print = move || {
            let mut shell = Shell::new(verbosity, form);
            for item in items {
                match item {
                    Item::Event(event) => tell(&mut shell, &event, verbosity),
                    Item::Show(show) => show(&mut shell),
                    Item::Finish => break,
                }
            }
            // Nobody waits any more where the command has ended meanwhile.
            let _ = report.send(shell.finish());
        };
        std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(print)?;
        Ok(Self {
            verbosity,
            form,
            phases,
            queue,
            printed,
        })
    }

    /// A stream of events that are printed.
    pub fn events(&self) -> Events {
        let queue = Mutex::new(self.queue.clone());
        let gauge = Arc::new(Gauge::default());
        let (verbosity, form) = (self.verbosity, self.form);
        let events = Events::stamped(clock::now, move |event| {
            // What is not told need not wake the thread that tells.
            if form != Form::Json && !human::is_told(&event.kind, verbosity) {
                return;
            }
            let waiting = match &event.kind {
                Kind::Line { .. } => match gauge.admit() {
                    Some(waiting) => Some(waiting),
                    None => return,
                },
                _ => None,
            };
            let event = Box::new(event);
            let Ok(queue) = queue.lock() else {
                return;
            };
            // A printer that is gone has nothing more to say.
            let _ = match waiting {
                None => queue.send(Item::Event(event)),
                Some(waiting) => queue.send(Item::Show(Box::new(move |shell| {
                    let dropped = waiting.leave();
                    if dropped > 0 {
                        shell.warn(&format!("{dropped} log lines are not shown"));
                    }
                    tell(shell, &event, verbosity);
                }))),
            };
        });
        events.with_phases(self.phases)
    }

    /// Prints lines of JSON as data, from wherever they come.
    pub fn lines(&self) -> impl Fn(String) + Send + Sync + 'static {
        let queue = self.queue.clone();
        move |line| {
            // A printer that is gone has nothing more to say.
            let _ = queue.send(Item::Show(Box::new(move |shell| shell.json(&line))));
        }
    }

    /// What has one thing printed, as often as it is asked for.
    pub fn shows(&self, show: fn(&mut Shell)) -> impl Fn() + Send + Sync + 'static {
        let queue = self.queue.clone();
        move || {
            // A printer that is gone has nothing more to say.
            let _ = queue.send(Item::Show(Box::new(show)));
        }
    }

    /// Has something printed, after everything before it.
    pub fn show(&self, show: impl FnOnce(&mut Shell) + Send + 'static) {
        let _ = self.queue.send(Item::Show(Box::new(show)));
    }

    /// Has something printed, after everything before it, and waits for what
    /// comes of it; nothing does where the printer has failed.
    pub async fn ask<T: Send + 'static>(
        &self,
        print: impl FnOnce(&mut Shell) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.show(move |shell| {
            // Whoever asked may have gone.
            let _ = answer.send(print(shell));
        });
        answered.await.ok()
    }

    /// Prints what is left. Dropped in the middle, it is not waited for. The
    /// error is that of the first write to stdout that failed, other than for
    /// a reader that has left.
    pub async fn finish(self) -> io::Result<()> {
        let _ = self.queue.send(Item::Finish);
        let printed = self.printed.await;
        printed.unwrap_or_else(|_| Err(io::Error::other("the printing thread panicked")))
    }
}

/// Tells what happened, to programs and to people.
fn tell(shell: &mut Shell, event: &Event, verbosity: Verbosity) {
    if shell.form() == Form::Json {
        shell.json(&json::line(event));
        shell.flush();
    }
    if human::is_told(&event.kind, verbosity) {
        human::event(shell, event);
    }
}

/// How many log lines wait, and how many were dropped.
#[derive(Debug, Default)]
struct Gauge {
    waiting: AtomicUsize,
    dropped: AtomicUsize,
}

/// A place among those that wait.
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
    /// Makes room; how many were dropped since this was last asked.
    fn leave(self) -> usize {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.dropped.swap(0, Ordering::Relaxed)
    }
}
