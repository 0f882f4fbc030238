//! What a component's function works with: log, checks, Stop, folders.

use std::fmt::{Debug, Display};
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use ansar_contract::envelope::Envelope;
use ansar_contract::launch::Origin;
use ansar_contract::layout::Area;
use ansar_contract::lifecycle::Aborted;
use ansar_contract::line::{Level, Tag};
use ansar_contract::test::TestReport;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Notify;

use super::place::{Place, decode};
use super::sub_role::SubRoles;
use crate::check::{self, Checks};
use crate::host::clock;
use crate::host::files::{self, FileError, Source};
use crate::log::{Id, Log};

/// What a component's function works with.
///
/// A context belongs to one *object*: the main one, or a [`child`](Self::child)
/// with a number and a name of its own in the log. It is cheap to clone, and
/// may be sent to other threads; when its last clone is dropped the object is
/// logged as destroyed.
#[derive(Clone)]
pub struct Context(Arc<Object>);

struct Object {
    id: Id,
    name: String,
    state: Mutex<Option<&'static str>>,
    process: Arc<Process>,
}

/// What all objects of a process share.
pub(crate) struct Process {
    pub(crate) log: Arc<Log>,
    pub(crate) stop: Stop,
    pub(crate) place: Place,
    pub(crate) checks: Mutex<Checks>,
    /// Who started it; unset by hand.
    pub(crate) origin: Option<Origin>,
    /// How much is logged, where that was said.
    pub(crate) level: Option<Level>,
    /// The names of its calls.
    pub(crate) sub_roles: SubRoles,
}

impl Context {
    /// The first object of a process.
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

    /// An object below this one, with a number of its own in the log.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self::create(self.0.process.clone(), name, None, self.0.id)
    }

    /// A child that has a state from the start.
    pub(crate) fn child_in(&self, name: &str, state: &'static str) -> Self {
        Self::create(self.0.process.clone(), name, Some(state), self.0.id)
    }

    /// Moves the object to a state, which the log shows as `name[STATE]`.
    pub fn enter(&self, state: &'static str) {
        *lock(&self.0.state) = Some(state);
    }

    /// What the objects of this process share.
    pub(crate) fn process(&self) -> &Process {
        &self.0.process
    }

    /// The object as log lines name it.
    pub(crate) fn speaker(&self) -> String {
        self.0.to_string()
    }

    /// The object's number.
    pub(crate) fn id(&self) -> Id {
        self.0.id
    }

    /// The object's name: the executable's for the main object.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The role that the process plays; none when it is run by hand.
    pub fn role(&self) -> Option<&str> {
        self.0.process.place.role()
    }

    /// Writes a line to the log: `!`, something broke.
    pub fn fault(&self, text: impl Display) {
        self.log(Tag::Fault, text);
    }

    /// Writes a line to the log: `?`, something is not as it should be.
    pub fn warning(&self, text: impl Display) {
        self.log(Tag::Warning, text);
    }

    /// Writes a line to the log: `^`, for the person at the console.
    pub fn console(&self, text: impl Display) {
        self.log(Tag::Console, text);
    }

    /// Writes a line to the log: `>`, something was sent.
    pub fn sent(&self, text: impl Display) {
        self.log(Tag::Sent, text);
    }

    /// Writes a line to the log: `<`, something was received.
    pub fn received(&self, text: impl Display) {
        self.log(Tag::Received, text);
    }

    /// Writes a line to the log: `~`, what is going on.
    pub fn trace(&self, text: impl Display) {
        self.log(Tag::Trace, text);
    }

    /// Writes a line to the log: `_`, for the developer.
    pub fn debug(&self, text: impl Display) {
        self.log(Tag::Debug, text);
    }

    /// Writes a line to the log under any tag. A text of several lines goes on
    /// in lines tagged `|`.
    pub fn log(&self, tag: Tag, text: impl Display) {
        self.0.log(tag, &text);
    }

    /// Checks that `condition` holds and returns it. A failure is logged; both
    /// are counted, with the caller's file and line, in the
    /// [`report`](Self::report).
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

    /// The checks of this process so far, of all its objects. Where there are
    /// more than are kept in detail, the log says so; the counts are exact.
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

    /// Stop, to be awaited, polled, or handed to a thread.
    pub fn stop(&self) -> &Stop {
        &self.0.process.stop
    }

    /// Whether the component has been asked to stop.
    pub fn stopping(&self) -> bool {
        self.stop().requested()
    }

    /// Waits until the component is asked to stop.
    pub async fn stopped(&self) {
        self.stop().wait().await;
    }

    /// Sleeps for `time`; Stop ends the sleep with [`Aborted`], which `?`
    /// makes the component's result.
    pub async fn sleep(&self, time: Duration) -> Result<(), Aborted> {
        self.unless_stopped(tokio::time::sleep(time)).await
    }

    /// Awaits `work` unless Stop comes first, which drops it.
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

    /// Read-only material, shared by the roles of this executable.
    pub fn resource(&self) -> Folder {
        self.folder(Area::Resource)
    }

    /// Space that was empty when the role started.
    pub fn tmp(&self) -> Folder {
        self.folder(Area::Tmp)
    }

    /// The role's own persistent data.
    pub fn model(&self) -> Folder {
        self.folder(Area::Model)
    }

    fn folder(&self, area: Area) -> Folder {
        let place = &self.0.process.place;
        let path = place.folder(area);
        // Those of a role are made by whoever starts it.
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
    /// Checks that `got == expected`; the text says both sides, long ones as a
    /// difference of lines.
    test_eq: PartialEq ==;
    /// Checks that `got != expected`; the text says both sides.
    test_ne: PartialEq !=;
    /// Checks that `got < expected`; the text says both sides.
    test_lt: PartialOrd <;
    /// Checks that `got <= expected`; the text says both sides.
    test_le: PartialOrd <=;
    /// Checks that `got > expected`; the text says both sides.
    test_gt: PartialOrd >;
    /// Checks that `got >= expected`; the text says both sides.
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

/// The request to end gracefully.
///
/// Once made it is never taken back. Clones are the same request, on any
/// thread.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Request>);

#[derive(Debug, Default)]
struct Request {
    made: Mutex<bool>,
    threads: Condvar,
    tasks: Notify,
}

impl Stop {
    /// Makes the request. A second one changes nothing.
    pub(crate) fn request(&self) {
        *lock(&self.0.made) = true;
        self.0.threads.notify_all();
        self.0.tasks.notify_waiters();
    }

    /// Whether it has been made; for code that looks up from its work now and
    /// then.
    pub fn requested(&self) -> bool {
        *lock(&self.0.made)
    }

    /// Waits until it is made.
    pub async fn wait(&self) {
        let mut told = std::pin::pin!(self.0.tasks.notified());
        // Listening before looking: a request in between is not missed.
        told.as_mut().enable();
        if !self.requested() {
            told.await;
        }
    }

    /// Blocks the thread until it is made, for `time` at most; whether it has
    /// been made.
    pub fn wait_blocking(&self, time: Duration) -> bool {
        let made = lock(&self.0.made);
        let waited = self
            .0
            .threads
            .wait_timeout_while(made, time, |made| !*made)
            .unwrap_or_else(PoisonError::into_inner);
        *waited.0
    }
}

/// A folder of the component's own, and the messages in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `{"value": BODY}` from the file `name`; `None` where there is no
    /// such file.
    pub fn load<T: DeserializeOwned>(
        &self,
        name: impl AsRef<Path>,
    ) -> Result<Option<T>, FileError> {
        let envelope = decode::<Envelope<T>>(&self.path.join(name), Source::Own)?;
        Ok(envelope.map(|envelope| envelope.value))
    }

    /// Replaces the file `name` by `{"value": BODY}`: whatever happens, it
    /// holds the old value or the new one. Folders are made where missing.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_reaches_threads_and_tasks_whether_they_wait_before_or_after() {
        let stop = Stop::default();
        let thread = {
            let stop = stop.clone();
            std::thread::spawn(move || stop.wait_blocking(Duration::from_mins(1)))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut before = Box::pin(stop.wait());
            assert!(
                std::future::poll_fn(|cx| std::task::Poll::Ready(before.as_mut().poll(cx)))
                    .await
                    .is_pending()
            );
            assert!(!stop.requested());
            stop.request();
            before.await;
            stop.wait().await;
        });
        assert!(thread.join().unwrap());
        assert!(stop.wait_blocking(Duration::ZERO));
    }
}
