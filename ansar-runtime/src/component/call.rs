//! Calls: running another executable of the home as a function.

use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context as Waker, Poll};

use ansar_contract::envelope::Envelope;
use ansar_contract::launch::{self, CallSignature, Origin};
use ansar_contract::lifecycle::Aborted;
use ansar_contract::line::Tag;
use ansar_contract::marker;
use serde::Serialize;
use serde_json::Value;

use super::context::Context;
use super::fault::{Fault, FromReturned, judge};
use super::stop::Stop;
use crate::host::files;
use crate::host::process::{Ended, Process, Program};

/// A call in progress: a future of the result of the called component.
///
/// The process is started by the first poll. If the call is dropped before it is
/// complete, the process and everything that it called are asked to stop, and
/// killed if they do not within their grace time. [`Call::stopper`] stops a call
/// that is still awaited.
#[must_use = "a call is not made until it is awaited"]
pub struct Call<T> {
    ended: Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>,
    stop: Stop,
    result: PhantomData<fn() -> T>,
}

/// The exit of the process of a call.
struct Answer {
    role: String,
    pid: i32,
    ended: Ended,
}

/// A handle that stops a [`Call`], from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Stop);

impl Stopper {
    /// Asks the called component to stop. The call completes with what the
    /// component returns then, usually [`Aborted`]. A call that has not begun
    /// never begins. A second request has no effect.
    pub fn stop(&self) {
        self.0.request();
    }
}

impl<T> Call<T> {
    /// Returns a handle that stops the call.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }
}

impl<T: FromReturned> Future for Call<T> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Self::Output> {
        self.ended.as_mut().poll(waker).map(|ended| {
            let Answer { role, pid, ended } = ended?;
            judge(&role, pid, &ended)
        })
    }
}

impl<T> std::fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Calls another executable of this home: passes it `input` and returns its
    /// result. With `&()` it gets its default input.
    ///
    /// ```no_run
    /// # use ansar_runtime::{Context, Result, message};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Total { value: u64 }
    /// # message!(Total = "ledger.Total");
    /// # async fn sum(cx: Context) -> Result<u64> {
    /// let total: Total = cx.call("total", &["a", "b"]).await?;
    /// # Ok(total.value) }
    /// ```
    ///
    /// The executable is deployed in the home, or is in the folder of this
    /// executable; by hand, only the latter. Its process has the sub-role
    /// `PARENT.NAME` with its default settings and folders of its own, writes to
    /// the log of this role, and ends with this process. Any number of calls can
    /// run at the same time; further calls of one name get a number.
    ///
    /// # Errors
    ///
    /// A request to stop this component also reaches the components that it
    /// calls: the call returns [`Fault::Aborted`], or the result if there is one. A
    /// call that is made after that is aborted at once. A process that dies is a
    /// [`Fault::Faulted`] that names its role, its process id, and the signal or
    /// exit code.
    ///
    /// # Threads
    ///
    /// Poll the call on a thread that lives at least as long as the call: when
    /// the thread that started a process ends, the process is asked to stop.
    pub fn call<T: FromReturned>(
        &self,
        executable: &str,
        input: &(impl Serialize + ?Sized),
    ) -> Call<T> {
        let stop = Stop::default();
        let input = serde_json::to_value(input);
        let made = make(self.clone(), executable.to_owned(), input, stop.clone());
        Call {
            ended: Box::pin(made),
            stop,
            result: PhantomData,
        }
    }
}

async fn make(
    cx: Context,
    executable: String,
    input: serde_json::Result<Value>,
    own: Stop,
) -> Result<Answer, Fault> {
    if cx.stopping() || own.requested() {
        return Err(Fault::Aborted(Aborted {}));
    }
    let input = input.map_err(|error| {
        let condition = format!("the input of `{executable}` cannot be encoded");
        Fault::new(condition, error.to_string())
    })?;
    let path = find(&cx, &executable)?;
    recognize(&executable, &path)?;
    // Held until the process has exited.
    let sub_role = cx.process().sub_roles.take(&executable);
    let role = sub_role.below(cx.role());
    let program = program(&cx, path, &role, &input);
    let broken = |what: &str, error: std::io::Error| {
        Fault::new(format!("`{role}` {what}"), error.to_string())
    };
    let process = Process::start(program).await;
    let mut process = process.map_err(|error| broken("could not be started", error))?;
    let pid = process.pid();
    cx.log(
        Tag::Started,
        format_args!("Started process ({pid}) of \"{executable}\" as {role}"),
    );
    let stop = async {
        tokio::select! {
            () = cx.stopped() => {}
            () = own.wait() => {}
        }
    };
    let ended = process.end(stop).await;
    let ended = ended.map_err(|error| broken("was lost track of", error))?;
    cx.log(Tag::Ended, format_args!("Ended process ({pid}) {role}"));
    Ok(Answer { role, pid, ended })
}

/// Finds the file of an executable.
fn find(cx: &Context, name: &str) -> Result<PathBuf, Fault> {
    let plain = |c: char| c.is_alphanumeric() || "-_".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Fault::new(
            format!("`{name}` is not a name of an executable"),
            "expected letters, digits, `-` and `_`",
        ));
    }
    let folders = cx.process().place.executables();
    let paths = folders.iter().map(|folder| folder.join(name));
    let mut there = paths.filter(|path| files::is_file(path));
    there.next().ok_or_else(|| {
        let folders: Vec<_> = folders
            .iter()
            .map(|folder| format!("`{}`", folder.display()))
            .collect();
        Fault::new(
            format!("executable `{name}` not found"),
            format!("it is not in {}", folders.join(" or ")),
        )
    })
}

/// Refuses a file that is not a component of this version of the contract. Such a
/// file is never run.
fn recognize(name: &str, path: &Path) -> Result<(), Fault> {
    let kind = files::marker(path).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        Fault::new(error.to_string(), cause.unwrap_or_default())
    })?;
    match kind {
        marker::Kind::Component(ansar_contract::VERSION) => Ok(()),
        marker::Kind::Component(version) => Err(Fault::new(
            format!("executable `{name}` was built for contract version {version}"),
            format!("this component supports {}", ansar_contract::VERSION),
        )),
        marker::Kind::Wrapped { .. } => Err(Fault::new(
            format!("`{name}` wraps a `main` of its own"),
            "only components that call `ansar_runtime::main` can be called",
        )),
        marker::Kind::Script | marker::Kind::Other => Err(Fault::new(
            format!("`{name}` does not link ansar-runtime"),
            "only components can be called: call `ansar_runtime::main` in its `main`",
        )),
    }
}

fn program(cx: &Context, path: PathBuf, role: &str, input: &Value) -> Program {
    let process = cx.process();
    let input = (!input.is_null()).then(|| Envelope::of(input));
    // A value of JSON always has a text.
    let input = input.map(|input| serde_json::to_string(&input).unwrap_or_default());
    let signature = CallSignature {
        input: input.is_some(),
        output: true,
    };
    let origin = process.origin.unwrap_or(Origin::Run).of_calls();
    let mut arguments: Vec<OsString> = vec![
        format!("--{}={signature}", launch::CALL_SIGNATURE).into(),
        format!("--{}={origin}", launch::POINT_OF_ORIGIN).into(),
    ];
    if let Some(home) = process.place.home() {
        let mut flag = OsString::from(format!("--{}=", launch::HOME_PATH));
        flag.push(home);
        arguments.push(flag);
        arguments.push(format!("--{}={role}", launch::ROLE_NAME).into());
    }
    if let Some(level) = process.level {
        arguments.push(format!("--{}={}", launch::DEBUG_LEVEL, level.name()).into());
    }
    Program {
        path,
        arguments,
        input,
    }
}
