//! The loop of the terminal interface: passes events to the model, does what it
//! returns, and draws it.

use std::ffi::OsString;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::error::{Error, InputError};
use crate::host::clock;
use crate::host::process::Exit;
use crate::host::process::interrupts::Interrupt;
use crate::host::terminal::screen::{Happening, Screen};
use crate::host::terminal::{editor, screen};
use crate::model::input::Input;

use crate::ui::draw::draw;
use crate::ui::draw::theme::Theme;
use crate::ui::jobs::Jobs;
use crate::ui::model::{Action, Event, Model};
use crate::ui::source::Source;
use crate::workspace::Places;
use crate::workspace::roles::test_pattern;

/// Least time between two drawings of which the later one answers a key.
const KEY_FRAME: Duration = Duration::from_millis(33);
/// Least time between two drawings otherwise.
const FRAME: Duration = Duration::from_millis(100);
/// Interval of drawings in which only durations change.
const SECOND: Duration = Duration::from_secs(1);

/// Options of the terminal interface.
#[derive(Debug)]
pub struct Options {
    /// True if colours are used.
    pub colors: bool,
    /// Arguments of the command `watch` that runs below the interface, if any.
    pub watch: Option<Vec<OsString>>,
}

/// Shows the home until the user quits. Returns the interrupt that ended it, if
/// any.
pub async fn show(places: &Places, options: &Options) -> Result<Option<Interrupt>, Error> {
    if !screen::is_possible() {
        return Err(InputError::NoScreen.into());
    }
    let (home, workspace) = places.open()?;
    let tests = test_pattern(workspace.as_ref())?;
    let failed = |what| move |source| Error::System { what, source };
    let source = Source::attach(&home, tests).map_err(failed("start a thread"))?;
    let folder = workspace.map_or_else(|| places.folder.clone(), |it| it.root);
    let named = folder.file_name().unwrap_or(folder.as_os_str());
    let name = named.to_string_lossy().into_owned();
    let screen = Screen::enter().map_err(failed("use the terminal"))?;
    let size = screen.size().map_err(failed("use the terminal"))?;
    let (send, job_events) = mpsc::unbounded_channel();
    let mut model = Model::new(name, folder, size);
    model.has_editor = editor::is_chosen();
    let mut interface = Interface {
        model,
        source,
        screen,
        jobs: Jobs::new(places.clone(), &home, send),
        job_events,
        theme: Theme {
            colors: options.colors,
        },
        zone: clock::zone(),
    };
    if let Some(arguments) = &options.watch {
        let id = interface.model.watch();
        let started = interface.jobs.watch(id, arguments.clone());
        started.map_err(failed("start `watch`"))?;
    }
    let ended = interface.run().await.map_err(failed("use the terminal"));
    // The terminal is the user's again while commands end.
    drop(interface.screen);
    interface.jobs.finish().await;
    ended
}

/// The interface and all that it talks to.
struct Interface {
    model: Model,
    source: Source,
    screen: Screen,
    jobs: Jobs,
    job_events: UnboundedReceiver<Event>,
    theme: Theme,
    zone: TimeZone,
}

impl Interface {
    async fn run(&mut self) -> std::io::Result<Option<Interrupt>> {
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drawn = Instant::now();
        // When to draw what has changed since then.
        let mut due = Some(drawn);
        let (width, height) = self.model.size;
        self.handle(Event::Input(Input::Resize(width, height)))
            .await?;
        loop {
            let (event, pause) = tokio::select! {
                biased;
                happening = self.screen.next() => match happening? {
                    Happening::Input(input) => (Some(Event::Input(input)), KEY_FRAME),
                    Happening::End(interrupt) => return Ok(Some(interrupt)),
                    Happening::Suspend => {
                        self.screen.suspend()?;
                        (None, KEY_FRAME)
                    }
                    Happening::Continued | Happening::Resized => (None, KEY_FRAME),
                },
                () = sleep_until(due.unwrap_or(drawn)), if due.is_some() => {
                    self.draw().await?;
                    drawn = Instant::now();
                    due = None;
                    continue;
                }
                Some(event) = self.job_events.recv() => (Some(event), FRAME),
                update = self.source.next() => (Some(Event::Update(update)), FRAME),
                _ = seconds.tick() => (None, FRAME),
            };
            due = Some(due.map_or(drawn + pause, |due| due.min(drawn + pause)));
            if let Some(event) = event
                && self.handle(event).await?
            {
                return Ok(None);
            }
        }
    }

    /// Draws the model at the size that the terminal has now.
    async fn draw(&mut self) -> std::io::Result<()> {
        let (width, height) = self.screen.size()?;
        if self.model.size != (width, height) {
            let resized = Input::Resize(width, height);
            self.handle(Event::Input(resized)).await?;
        }
        let drawing = draw(&self.model, self.theme, clock::now(), &self.zone);
        self.screen.show(drawing)
    }

    /// Passes an event to the model, and does what it returns. Returns true if the
    /// user quits.
    async fn handle(&mut self, event: Event) -> std::io::Result<bool> {
        let mut actions = self.model.update(event);
        while !actions.is_empty() {
            let mut more = Vec::new();
            for action in actions {
                match action {
                    Action::Quit => return Ok(true),
                    action => {
                        if let Some(event) = self.act(action).await? {
                            more.extend(self.model.update(event));
                        }
                    }
                }
            }
            actions = more;
        }
        Ok(false)
    }

    /// Does something; returns the event of its failure.
    async fn act(&mut self, action: Action) -> std::io::Result<Option<Event>> {
        match action {
            Action::Logs(request) => self.source.show_logs(request),
            Action::Run {
                id,
                arguments,
                roles,
            } => {
                if let Err(error) = self.jobs.start(id, &arguments, &roles) {
                    return Ok(Some(Event::Failed(error.to_string())));
                }
            }
            Action::Press(key) => self.jobs.press(key),
            Action::Interrupt => self.jobs.interrupt(),
            Action::Edit { file, line } => {
                let exit = self.screen.edit(&file, line).await;
                return Ok(failure(exit).map(Event::Failed));
            }
            Action::Copy(text) => self.screen.copy(&text)?,
            Action::Redraw => self.screen.clear(),
            Action::Suspend => self.screen.suspend()?,
            Action::Quit => {}
        }
        Ok(None)
    }
}

/// Returns the reason why an editor failed.
fn failure(exit: std::io::Result<Exit>) -> Option<String> {
    Some(match exit {
        Ok(Exit::Code(0)) => return None,
        Ok(Exit::Code(127)) => "editor not found: set the variable `EDITOR`".to_owned(),
        Ok(Exit::Code(code)) => format!("editor ended with code {code}"),
        Ok(Exit::Signal(signal)) => format!("editor was killed by signal {signal}"),
        Err(error) => format!("cannot run the editor: {error}"),
    })
}
