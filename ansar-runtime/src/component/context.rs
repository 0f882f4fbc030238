//! The context of a component's function: log, checks, stop, folders.

use std::fmt::{Debug, Display};
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
#[cfg(feature = "main")]
use std::time::Duration;

use ansar_contract::envelope::Envelope;
#[cfg(feature = "main")]
use ansar_contract::launch::Origin;
use ansar_contract::layout::Area;
use ansar_contract::lifecycle::Aborted;
#[cfg(feature = "main")]
use ansar_contract::line::Level;
use ansar_contract::line::Tag;
use ansar_contract::test::TestReport;
use serde::{Serialize, de::DeserializeOwned};

use super::identity::{Identity, decode};
use super::stop::Stop;
#[cfg(feature = "main")]
use super::sub_role::SubRoles;
use crate::check::{self, Checks};
use crate::host::clock;
use crate::host::files::{self, FileError, Source};
use crate::log::{Id, Log};

/// The context of a component's function: log, checks, stop, folders, calls.
///
/// A context belongs to one *object*: the main object, or a
/// [`child`](Self::child) with its own number and name in the log. It is cheap to
/// clone and can be sent to other threads. When its last clone is dropped, the
/// object is logged as destroyed.
#[derive(Clone)]
pub struct Context(Arc<Object>);

struct Object {
    id: Id,
    name: String,
    state: Mutex<Option<&'static str>>,
    process: Arc<Process>,
}

/// The data that all objects of a process share.
pub(crate) struct Process {
    pub(crate) log: Arc<Log>,
    pub(crate) stop: Stop,
    pub(crate) place: Identity,
    pub(crate) checks: Mutex<Checks>,
    /// The kind of parent; `None` by hand.
    #[cfg(feature = "main")]
    pub(crate) origin: Option<Origin>,
    /// The log level, if one was given.
    #[cfg(feature = "main")]
    pub(crate) level: Option<Level>,
    /// The names of its calls.
    #[cfg(feature = "main")]
    pub(crate) sub_roles: SubRoles,
}

impl Process {
    /// Returns the data of a process that was started by hand.
    pub(crate) fn new(log: Arc<Log>, stop: Stop, place: Identity) -> Self {
        Self {
            log,
            stop,
            place,
            checks: Mutex::default(),
            #[cfg(feature = "main")]
            origin: None,
            #[cfg(feature = "main")]
            level: None,
            #[cfg(feature = "main")]
            sub_roles: SubRoles::default(),
        }
    }
}

impl Context {
    /// Creates the first object of a process.
    pub(crate) fn first(process: Arc<Process>, name: &str) -> Self {
        Self::create(process, name, None, Id::ROOT)
    }

    fn create(process: Arc<Process>, name: &str, state: Option<&'static str>, parent: Id) -> Self {
        let context = Self(Arc::new(Object {
            id: process.log.number(),
            name: name.to_owned(),
            state: Mutex::new(state),
            process,
        }));
        context.log(Tag::Created, format_args!("Created by {parent}"));
        context
    }

    /// Creates an object below this one, with its own number in the log.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self::create(self.0.process.clone(), name, None, self.0.id)
    }

    /// Creates a child with an initial state.
    #[cfg(feature = "main")]
    pub(crate) fn child_in(&self, name: &str, state: &'static str) -> Self {
        Self::create(self.0.process.clone(), name, Some(state), self.0.id)
    }

    /// Moves the object to a state, which the log shows as `name[STATE]`.
    pub fn enter(&self, state: &'static str) {
        *lock(&self.0.state) = Some(state);
    }

    /// Returns the data that the objects of this process share.
    #[cfg(feature = "main")]
    pub(crate) fn process(&self) -> &Process {
        &self.0.process
    }

    /// Returns the object as log lines name it.
    pub(crate) fn speaker(&self) -> String {
        self.0.to_string()
    }

    /// Returns the number of the object.
    #[cfg(feature = "main")]
    pub(crate) fn id(&self) -> Id {
        self.0.id
    }

    /// Returns the name of the object; the main object has that of the executable.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the role of the process, or `None` if it is run by hand.
    pub fn role(&self) -> Option<&str> {
        self.0.process.place.role()
    }

    /// Logs a failure (`!`).
    pub fn fault(&self, text: impl Display) {
        self.log(Tag::Fault, text);
    }

    /// Logs a warning (`?`).
    pub fn warning(&self, text: impl Display) {
        self.log(Tag::Warning, text);
    }

    /// Logs a message for the person at the console (`^`).
    pub fn console(&self, text: impl Display) {
        self.log(Tag::Console, text);
    }

    /// Logs something that was sent (`>`).
    pub fn sent(&self, text: impl Display) {
        self.log(Tag::Sent, text);
    }

    /// Logs something that was received (`<`).
    pub fn received(&self, text: impl Display) {
        self.log(Tag::Received, text);
    }

    /// Logs a step of the component or of the runtime (`~`).
    pub fn trace(&self, text: impl Display) {
        self.log(Tag::Trace, text);
    }

    /// Logs a message for the developer (`_`).
    pub fn debug(&self, text: impl Display) {
        self.log(Tag::Debug, text);
    }

    /// Logs a text under any tag. A text of several lines continues on lines with
    /// the tag `|`.
    pub fn log(&self, tag: Tag, text: impl Display) {
        self.0.log(tag, &text);
    }

    /// Checks that `condition` is true, and returns it.
    ///
    /// The check is counted in the [`report`](Self::report), with the file and the
    /// line of the caller. A failed check is also logged.
    #[track_caller]
    pub fn test(&self, condition: bool, text: impl Display) -> bool {
        self.check(condition, Location::caller(), || text.to_string())
    }

    fn check(&self, condition: bool, place: &Location<'_>, text: impl Fn() -> String) -> bool {
        if !condition {
            let file = Path::new(place.file()).file_name().unwrap_or_default();
            let file = file.to_string_lossy();
            self.log(Tag::Check, check::located(&text(), &file, place.line()));
        }
        lock(&self.0.process.checks).add(condition, || {
            check::detail(condition, place, self.name(), clock::check_stamp(), text())
        });
        condition
    }

    /// Returns the checks of all objects of this process so far.
    ///
    /// The counts are exact. At most 255 checks have details; if there are more,
    /// that is logged.
    pub fn report(&self) -> TestReport {
        let report = lock(&self.0.process.checks).report();
        if report.cut() > 0 {
            self.console(format_args!(
                "Kept the details of {} of {} checks",
                report.tested.len(),
                report.passed + report.failed
            ));
        }
        report
    }

    /// Returns the request to stop, to be awaited, polled, or passed to a thread.
    pub fn stop(&self) -> &Stop {
        &self.0.process.stop
    }

    /// Returns true if the component has been asked to stop.
    pub fn stopping(&self) -> bool {
        self.stop().requested()
    }

    /// Waits until the component is asked to stop.
    pub async fn stopped(&self) {
        self.stop().wait().await;
    }

    /// Sleeps for `time`.
    ///
    /// # Errors
    ///
    /// A request to stop ends the sleep with [`Aborted`], which `?` makes the
    /// result of the component.
    #[cfg(feature = "main")]
    pub async fn sleep(&self, time: Duration) -> Result<(), Aborted> {
        self.unless_stopped(tokio::time::sleep(time)).await
    }

    /// Awaits `work`, and drops it when the component is asked to stop.
    ///
    /// # Errors
    ///
    /// [`Aborted`] if the component was asked to stop first.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Aborted> {
        let mut stopped = std::pin::pin!(self.stop().wait());
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            if stopped.as_mut().poll(context).is_ready() {
                return std::task::Poll::Ready(Err(Aborted {}));
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// Returns the folder of read-only material that the roles of this executable
    /// share.
    pub fn resource(&self) -> Folder {
        self.folder(Area::Resource)
    }

    /// Returns a folder that was empty when the role started.
    pub fn tmp(&self) -> Folder {
        self.folder(Area::Tmp)
    }

    /// Returns the folder of the role's persistent data.
    pub fn model(&self) -> Folder {
        self.folder(Area::Model)
    }

    fn folder(&self, area: Area) -> Folder {
        let place = &self.0.process.place;
        let path = place.folder(area);
        // The folders of a role are made by the engine that starts it.
        if place.is_sub_role() && area != Area::Resource {
            files::make_private(&path);
        }
        Folder { path }
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident: $trait:ident $operator:tt;)*) => {
        impl Context {
            $($(#[$doc])*
            #[track_caller]
            pub fn $name<G: $trait<E> + Debug, E: Debug>(&self, got: G, expected: E) -> bool {
                self.check(got $operator expected, Location::caller(), || {
                    check::both_sides(stringify!($operator), &got, &expected)
                })
            })*
        }
    };
}

comparisons! {
    /// Checks that `got == expected`. The text of the check shows both values, long
    /// ones as a diff of their lines.
    test_eq: PartialEq ==;
    /// Checks that `got != expected`. The text of the check shows both values.
    test_ne: PartialEq !=;
    /// Checks that `got < expected`. The text of the check shows both values.
    test_lt: PartialOrd <;
    /// Checks that `got <= expected`. The text of the check shows both values.
    test_le: PartialOrd <=;
    /// Checks that `got > expected`. The text of the check shows both values.
    test_gt: PartialOrd >;
    /// Checks that `got >= expected`. The text of the check shows both values.
    test_ge: PartialOrd >=;
}

impl Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Context").field(&self.0.to_string()).finish()
    }
}

impl Object {
    fn log(&self, tag: Tag, text: &dyn Display) {
        self.process.log.write(tag, self, text);
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.id, self.name)?;
        match *lock(&self.state) {
            Some(state) => write!(f, "[{state}]"),
            None => Ok(()),
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.log(Tag::Destroyed, &"Destroyed");
    }
}

/// A folder of the component, and the values stored in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the value of the file `name`, which holds `{"value": BODY}`. Returns
    /// `None` if the file does not exist.
    ///
    /// # Errors
    ///
    /// A [`FileError`] if the file cannot be read, or holds another type.
    pub fn load<T: DeserializeOwned>(
        &self,
        name: impl AsRef<Path>,
    ) -> Result<Option<T>, FileError> {
        let envelope = decode::<Envelope<T>>(&self.path.join(name), Source::Own)?;
        Ok(envelope.map(|envelope| envelope.value))
    }

    /// Writes `value` to the file `name` as `{"value": BODY}`. Missing folders are
    /// created. The file is replaced atomically: after a crash it holds the old or
    /// the new value.
    ///
    /// # Errors
    ///
    /// A [`FileError`] if the file cannot be written, or the value not encoded.
    pub fn store<T: Serialize>(&self, name: impl AsRef<Path>, value: &T) -> Result<(), FileError> {
        let path = self.path.join(name);
        let mut text = serde_json::to_string_pretty(&Envelope::of(value)).map_err(|error| {
            FileError::Content {
                path: path.clone(),
                reason: format!(" {error}"),
            }
        })?;
        text.push('\n');
        files::replace(&path, &text)
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
