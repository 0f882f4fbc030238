//! Attempts: calling the function, again and again under a retry policy.

use std::time::Duration;

use ansar_contract::envelope::Typed;
use ansar_contract::lifecycle::{Aborted, Cannot, Faulted, Maybe};
use ansar_contract::notice::Notice;
use ansar_contract::retry::Retry;

use super::context::Context;
use super::panics::Panics;
use super::parameter::{Component, Supply};
use crate::host::clock;
use crate::lifecycle::IntoReturned;
use crate::retry::Delays;

/// The data of an attempt.
pub(crate) struct Attempts<'a, C> {
    pub(crate) function: &'a C,
    pub(crate) name: &'a str,
    pub(crate) supply: Supply,
    pub(crate) panics: &'a Panics,
    /// The time in which a component may check for Stop after the request.
    pub(crate) patience: Duration,
}

impl<C> Attempts<'_, C> {
    /// Runs attempts until one is final. Without a `policy` there is one.
    pub(crate) async fn run<P>(&mut self, starter: &Context, policy: Option<Retry>) -> Typed
    where
        C: Component<P>,
    {
        let returned = match policy {
            None => {
                let (id, returned) = self.attempt(starter).await;
                starter.received(format_args!("Received Completed from {id}"));
                returned
            }
            Some(policy) => {
                let retry = starter.child_in("Retry", "INITIAL");
                let returned = self.repeat(&retry, Delays::new(policy)).await;
                let id = retry.id();
                drop(retry);
                starter.received(format_args!("Received Completed from {id}"));
                returned
            }
        };
        if starter.stop().is_made() && returned.is::<Maybe>() {
            return encoded(&Aborted {});
        }
        returned
    }

    async fn repeat<P>(&mut self, retry: &Context, mut delays: Delays) -> Typed
    where
        C: Component<P>,
    {
        for number in 1.. {
            retry.enter("ATTEMPTING");
            self.supply.notifier.try_send(Notice {
                attempt: Some(number),
                ..Notice::default()
            });
            let (id, returned) = self.attempt(retry).await;
            retry.received(format_args!("Received Completed from {id}"));
            if !returned.is::<Maybe>() || retry.stop().is_made() {
                return returned;
            }
            let Some(delay) = delays.next(clock::any_up_to) else {
                let exhausted = exhausted(number, returned);
                retry.fault(&exhausted);
                return encoded(&exhausted);
            };
            let seconds = delay.as_secs_f64();
            retry.console(format_args!("Pausing for {seconds:.6} seconds"));
            self.supply.notifier.try_send(Notice {
                retry_in: Some(seconds),
                ..Notice::default()
            });
            retry.enter("PAUSING");
            tokio::select! {
                () = retry.stop().made() => return encoded(&Aborted {}),
                () = tokio::time::sleep(delay) => {}
            }
        }
        unreachable!("the attempts of a process are fewer than its numbers")
    }

    /// Runs one attempt. Returns the number of its object, and its result.
    async fn attempt<P>(&mut self, parent: &Context) -> (crate::log::Id, Typed)
    where
        C: Component<P>,
    {
        let object = parent.child(self.name);
        let id = object.id();
        self.supply.context = object;
        let attempt = self.function.call(&self.supply);
        // The function owns the object now, which is destroyed with it.
        self.supply.context = parent.clone();
        let returned = match attempt {
            Err(faulted) => encoded(&faulted),
            Ok(attempt) => self.until_stopped(attempt, parent).await,
        };
        explain(parent, &returned);
        (id, returned)
    }

    /// Awaits the function. If it does not check for Stop, its future is dropped when
    /// the component is asked to stop, as a signal would have ended the process
    /// without this library.
    async fn until_stopped(
        &self,
        attempt: impl Future<Output: IntoReturned>,
        parent: &Context,
    ) -> Typed {
        let result = tokio::select! {
            biased;
            result = self.panics.catch(attempt) => result,
            () = parent.stop().ignored(self.patience) => {
                parent.trace("Dropped, as it does not check for Stop");
                return encoded(&Aborted {});
            }
        };
        match result {
            Err(faulted) => encoded(&faulted),
            Ok(result) => result.into_returned().unwrap_or_else(|error| {
                encoded(&Faulted::new(
                    "failed to encode the result",
                    error.to_string(),
                ))
            }),
        }
    }
}

/// Logs the reason for which an attempt was not successful.
fn explain(parent: &Context, returned: &Typed) {
    if let Some(Ok(faulted)) = returned.decode::<Faulted>() {
        parent.fault(faulted);
    } else if let Some(Ok(cannot)) = returned.decode::<Cannot>() {
        parent.warning(format_args!("Cannot: {cannot}"));
    } else if let Some(Ok(maybe)) = returned.decode::<Maybe>() {
        parent.trace(format_args!("Maybe: {maybe}"));
    }
}

fn exhausted(attempts: u32, last: Typed) -> Faulted {
    let reason = match last.decode::<Maybe>() {
        Some(Ok(maybe)) => maybe.reason,
        _ => String::new(),
    };
    let attempts_made = if attempts == 1 { "attempt" } else { "attempts" };
    let condition = format!("retries exhausted after {attempts} {attempts_made}");
    Faulted::new(condition, reason).after_attempts(attempts, last)
}

/// Encodes a built-in message, which cannot fail.
pub(crate) fn encoded<M: crate::Message>(message: &M) -> Typed {
    Typed::encode_as(M::NAME, message).unwrap_or_else(|_| Typed {
        name: M::NAME.to_owned(),
        body: serde_json::Value::Null,
    })
}
