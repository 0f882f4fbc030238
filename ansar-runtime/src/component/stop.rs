//! The request to stop.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// The request to stop gracefully.
///
/// Once made, it is never withdrawn. All clones, on all threads, are the same
/// request. It needs no runtime.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Request>);

type AtFirst = Box<dyn Fn(&Stop) + Send + Sync>;

#[derive(Default)]
struct Request {
    state: Mutex<State>,
    threads: Condvar,
    /// True once the component has asked for it: it ends by itself then.
    asked: AtomicBool,
    /// Called when the component asks for the first time.
    at_first: Option<AtFirst>,
}

#[derive(Default)]
struct State {
    made: bool,
    /// The number of the next task that waits.
    next: u64,
    tasks: BTreeMap<u64, Waker>,
}

/// A task that waits, from its first poll until it is dropped.
struct Waiting<'a> {
    request: &'a Request,
    number: Option<u64>,
}

impl Request {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("made", &self.state().made)
            .finish_non_exhaustive()
    }
}

impl Waiting<'_> {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = self.request.state();
        if state.made {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state.tasks.insert(number, waker.clone());
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.request.state().tasks.remove(&number);
        }
    }
}

impl Stop {
    /// Creates a request that calls `at_first` when it is asked for the first time.
    pub(crate) fn listening(at_first: impl Fn(&Self) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Request {
            at_first: Some(Box::new(at_first)),
            ..Request::default()
        }))
    }

    /// Makes the request. A second call has no effect.
    pub(crate) fn request(&self) {
        let tasks = {
            let mut state = self.0.state();
            state.made = true;
            std::mem::take(&mut state.tasks)
        };
        self.0.threads.notify_all();
        tasks.into_values().for_each(Waker::wake);
    }

    /// Returns true if the request has been made. For code that polls between
    /// steps of its work.
    pub fn requested(&self) -> bool {
        self.ask();
        self.is_made()
    }

    /// Waits until the request is made.
    pub async fn wait(&self) {
        self.ask();
        self.made().await;
    }

    /// Blocks the thread until the request is made, for at most `time`. Returns
    /// true if it has been made.
    pub fn wait_blocking(&self, time: Duration) -> bool {
        self.ask();
        let waited = self
            .0
            .threads
            .wait_timeout_while(self.0.state(), time, |state| !state.made)
            .unwrap_or_else(PoisonError::into_inner);
        waited.0.made
    }

    /// Records that the component asks for the request.
    fn ask(&self) {
        if !self.0.asked.swap(true, Ordering::Relaxed) {
            if let Some(at_first) = &self.0.at_first {
                at_first(self);
            }
        }
    }

    /// Returns true if the request has been made. Does not count as asking for it.
    pub(crate) fn is_made(&self) -> bool {
        self.0.state().made
    }

    /// Waits until the request is made. Does not count as asking for it.
    pub(crate) async fn made(&self) {
        let mut waiting = Waiting {
            request: &self.0,
            number: None,
        };
        std::future::poll_fn(|context| waiting.poll(context.waker())).await;
    }

    /// Waits until the request has been made, and the component has not asked for it
    /// until `patience` after that. Never ends for a component that has asked.
    #[cfg(feature = "main")]
    pub(crate) async fn ignored(&self, patience: Duration) {
        self.made().await;
        if !patience.is_zero() {
            tokio::time::sleep(patience).await;
        }
        if self.0.asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(all(test, feature = "main"))]
mod tests {
    use super::*;

    #[test]
    fn stop_reaches_threads_and_tasks_whether_they_wait_before_or_after() {
        let stop = Stop::default();
        let thread = {
            let stop = stop.clone();
            std::thread::spawn(move || stop.wait_blocking(Duration::from_secs(60)))
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
            assert!(stop.0.state().tasks.is_empty());
            stop.wait().await;
        });
        assert!(thread.join().unwrap());
        assert!(stop.wait_blocking(Duration::ZERO));
    }
}
