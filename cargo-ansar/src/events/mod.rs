//! The stream of events, as plain data.
//!
//! Features and the engine emit events and never print; reports read events and
//! decide nothing. The clock is passed in by the creator of the stream.

mod deploy;
mod form;
pub mod json;
mod log;
mod role;
mod run;
mod source;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::events::deploy::{DeployEvent, Phase};
pub use crate::events::log::LogEvent;
pub use crate::events::role::RoleEvent;
pub use crate::events::run::{RunEvent, StopReason, Until};
pub use crate::events::source::{Author, SourceEvent};

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Time of the event.
    pub at: Timestamp,
    /// The event.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The kinds of events, in groups. The JSON form names the event alone, so that
/// groups may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kind {
    /// An event of the log of a role. The first, since most events that are read
    /// are lines.
    Log(LogEvent),
    /// An event of the life of a role.
    Role(RoleEvent),
    /// An event of a command that runs roles.
    Run(RunEvent),
    /// An event of the home, the build or the deploy.
    Deploy(DeployEvent),
    /// An event of watched sources.
    Source(SourceEvent),
}

impl From<DeployEvent> for Kind {
    fn from(event: DeployEvent) -> Self {
        Self::Deploy(event)
    }
}

impl From<RunEvent> for Kind {
    fn from(event: RunEvent) -> Self {
        Self::Run(event)
    }
}

impl From<RoleEvent> for Kind {
    fn from(event: RoleEvent) -> Self {
        Self::Role(event)
    }
}

impl From<LogEvent> for Kind {
    fn from(event: LogEvent) -> Self {
        Self::Log(event)
    }
}

impl From<SourceEvent> for Kind {
    fn from(event: SourceEvent) -> Self {
        Self::Source(event)
    }
}

/// The sending side of the stream of events; cheap to clone.
#[derive(Clone)]
pub struct Events {
    listener: Arc<dyn Fn(Event) + Send + Sync>,
    clock: fn() -> Timestamp,
    phases: bool,
}

impl Events {
    /// Creates a stream that passes each event to `listener`, without a time.
    pub fn new(listener: impl Fn(Kind) + Send + Sync + 'static) -> Self {
        Self::stamped(|| Timestamp::UNIX_EPOCH, move |event| listener(event.kind))
    }

    /// Creates a stream that passes each event with its time to `listener`.
    pub fn stamped(
        clock: fn() -> Timestamp,
        listener: impl Fn(Event) + Send + Sync + 'static,
    ) -> Self {
        Self {
            listener: Arc::new(listener),
            clock,
            phases: false,
        }
    }

    /// Returns the same stream, with phases of commands if `phases` is true.
    #[must_use]
    pub fn with_phases(self, phases: bool) -> Self {
        Self { phases, ..self }
    }

    /// Returns the same stream, whose events are first passed to `reader`.
    #[must_use]
    pub fn read_by(&self, reader: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let listener = self.listener.clone();
        Self::stamped(self.clock, move |event| {
            reader(&event);
            listener(event);
        })
        .with_phases(self.phases)
    }

    /// Returns a stream whose events are passed to `pass`, with the function
    /// that emits events to this stream.
    #[must_use]
    pub fn through(&self, pass: impl Fn(Event, &dyn Fn(Event)) + Send + Sync + 'static) -> Self {
        let listener = self.listener.clone();
        Self::stamped(self.clock, move |event| pass(event, &*listener)).with_phases(self.phases)
    }

    /// Emits the beginning of a phase, if the stream has phases.
    pub fn phase(&self, phase: Phase) {
        if self.phases {
            self.emit(DeployEvent::Phase { phase });
        }
    }

    /// Passes on an event that has a time already.
    pub fn pass(&self, event: Event) {
        (self.listener)(event);
    }

    /// Emits an event.
    pub fn emit(&self, event: impl Into<Kind>) {
        let (at, kind) = ((self.clock)(), event.into());
        (self.listener)(Event { at, kind });
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}
