//! The socket of an engine: takes what others ask, and tells them what happens.
//!
//! Owns the conversations; what is to be done about an order is the engine's.
//! Somebody who does not read is waited for by nobody but their own
//! conversation.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{self, Sender, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::host::socket::{Connection, Listener};
use crate::protocol::{Ask, Host, Refusal, Reply, Request, Start, VERSION};
use crate::supervisor::launch::Launch;

/// What makes an engine reachable.
pub struct Service<'a> {
    /// Where it is reached.
    pub listener: Listener,
    /// Where it lives.
    pub host: Host,
    /// Whether the engine goes on without roles, until it is interrupted.
    pub is_persistent: bool,
    /// Turns roles that are to be started into launches, where this engine
    /// takes any.
    pub launcher: Option<Launcher<'a>>,
}

/// Turns roles into launches beside as many that run, all or none; the error
/// says why.
pub type Launcher<'a> = Box<dyn FnMut(&Start, usize) -> Result<Vec<Launch>, Refusal> + 'a>;

/// Something that was asked, and whom to answer. Dropping it ends the
/// conversation.
#[derive(Debug)]
pub(crate) struct Order {
    pub ask: Ask,
    pub tell: Sender<Reply>,
}

/// How many replies wait for somebody who does not read: whoever misses more
/// is told no more at all.
const UNREAD: usize = 1 << 14;

/// The conversations at one time. Others wait until one of these is over.
const CONVERSATIONS: usize = 128;
/// Time in which a request must be complete.
const COMPLETE_IN: Duration = Duration::from_secs(5);
/// Time in which somebody who is told something must have read it.
const READ_IN: Duration = Duration::from_secs(10);
/// How long to leave a system alone that has no room for a conversation.
const NO_ROOM: Duration = Duration::from_millis(100);
/// How long those who are still being told something may take to read it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The conversations of an engine; inside of a `LocalSet` only.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    tasks: JoinSet<()>,
}

impl Conversations {
    /// Takes connections from now on.
    pub(crate) fn begin(&mut self, listener: Listener, orders: UnboundedSender<Order>) {
        self.tasks.spawn_local(async move {
            let mut tasks = JoinSet::new();
            loop {
                tokio::select! {
                    connection = listener.accept(), if tasks.len() < CONVERSATIONS => match connection {
                        Ok(connection) => {
                            tasks.spawn_local(converse(connection, orders.clone()));
                        }
                        Err(_) => tokio::time::sleep(NO_ROOM).await,
                    },
                    Some(_) = tasks.join_next() => {}
                    () = orders.closed() => break,
                }
            }
            // Nobody new from here on.
            drop(listener);
            while tasks.join_next().await.is_some() {}
        });
    }

    /// Lets those finish who are being told something. To be called when
    /// nobody takes orders any more.
    pub(crate) async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
    }
}

async fn converse(mut connection: Connection, orders: UnboundedSender<Order>) {
    let request = tokio::select! {
        request = timeout(COMPLETE_IN, connection.receive::<Value>()) => request,
        () = orders.closed() => return,
    };
    let request = request.unwrap_or_else(|_| {
        let limit = COMPLETE_IN.as_secs();
        Err(io::Error::other(format!(
            "it is not complete after {limit} s"
        )))
    });
    let ask = match request.map(|request| request.map(understood)) {
        Ok(Some(Ok(ask))) => ask,
        Ok(Some(Err(reason))) => return refuse(&mut connection, reason).await,
        Ok(None) => return,
        Err(error) => return refuse(&mut connection, not_understood(&error)).await,
    };
    let (tell, mut told) = mpsc::channel(UNREAD);
    // An engine that has ended answers nobody.
    if orders.send(Order { ask, tell }).is_err() {
        return;
    }
    drop(orders);
    loop {
        let reply = tokio::select! {
            // Somebody who asked and left at once has asked all the same.
            biased;
            reply = told.recv() => reply,
            () = connection.gone() => return,
        };
        let Some(reply) = reply else {
            return;
        };
        // Somebody who has left, or does not read, is told no more.
        if !tell_in_time(&mut connection, &reply).await {
            return;
        }
    }
}

async fn tell_in_time(connection: &mut Connection, reply: &Reply) -> bool {
    let sent = timeout(READ_IN, connection.send(reply)).await;
    matches!(sent, Ok(Ok(())))
}

/// What is asked, in the version that is spoken here; or why not.
fn understood(request: Value) -> Result<Ask, String> {
    match request.get("version").map(Value::as_u64) {
        Some(Some(version)) if version == u64::from(VERSION) => {}
        Some(Some(version)) => return Err(unknown(version)),
        _ => return Err(not_understood(&"it says no version")),
    }
    let request: Request = serde_json::from_value(request).map_err(|e| not_understood(&e))?;
    Ok(request.ask)
}

async fn refuse(connection: &mut Connection, reason: String) {
    let _ = tell_in_time(connection, &Reply::Refused(reason.into())).await;
}

fn unknown(version: u64) -> String {
    format!("version {version} of the protocol is asked for, and {VERSION} is spoken here")
}

fn not_understood(error: &dyn Display) -> String {
    format!("the request is not understood: {error}")
}
