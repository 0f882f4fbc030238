//! Serves the socket of an engine: receives requests and sends replies.
//!
//! Manages the connections; the engine executes the requests. A client that
//! does not read blocks only its own connection.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::host::socket::{Connection, Listener};
use crate::model::name::RoleName;
use crate::protocol::{Host, Refusal, Reply, Request, RequestKind, Start, VERSION};
use crate::supervisor::launch::Launch;
use crate::supervisor::scheduler::Input;

/// The settings of an engine that concern its clients.
pub struct Service<'a> {
    /// The listening socket.
    pub listener: Listener,
    /// The kind of process that hosts the engine.
    pub host: Host,
    /// True if the engine keeps running without roles until it is interrupted.
    pub is_persistent: bool,
    /// Creates launches for roles to start; unset if the engine accepts no new
    /// roles.
    pub launcher: Option<Launcher<'a>>,
    /// Control from another machine; unset if the engine decides itself.
    pub control: Option<Control>,
}

/// Control of an engine whose tests are held.
#[derive(Debug)]
pub struct Control {
    /// Orders to it.
    pub orders: UnboundedReceiver<RemoteOrder>,
    /// Told once all tests have ended.
    pub tested: UnboundedSender<()>,
}

/// An order from another machine.
#[derive(Debug, Clone)]
pub enum RemoteOrder {
    /// An input of the scheduler.
    Feed(Input),
    /// The roles that this one waits for elsewhere are ready.
    Admit(RoleName),
}

/// Creates launches for all requested roles; the second argument is the number
/// of running roles. Returns an error if one cannot be started.
pub type Launcher<'a> = Box<dyn FnMut(&Start, usize) -> Result<Vec<Launch>, Refusal> + 'a>;

/// A request and the channel for its replies. Dropping it ends the
/// conversation.
#[derive(Debug)]
pub(crate) struct Order {
    pub ask: RequestKind,
    pub replies: Sender<Reply>,
}

/// Maximum number of unread replies. A client that exceeds it gets no more
/// replies.
const UNREAD: usize = 1 << 14;

/// Maximum number of concurrent conversations. Further connections wait.
const CONVERSATIONS: usize = 128;
/// Time in which a request must be complete.
const COMPLETE_IN: Duration = Duration::from_secs(5);
/// Time in which a client must read a reply.
const READ_IN: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted.
const NO_ROOM: Duration = Duration::from_millis(100);
/// Time in which clients must read the last replies.
const LAST_REPLIES_IN: Duration = Duration::from_secs(1);

/// The conversations of an engine. Must be used inside a `LocalSet`.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    tasks: JoinSet<()>,
}

impl Conversations {
    /// Starts to accept connections.
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
            // Accept no more connections.
            drop(listener);
            while tasks.join_next().await.is_some() {}
        });
    }

    /// Waits briefly until all replies are sent. Call this after the receiver
    /// of orders has been closed.
    pub(crate) async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_REPLIES_IN, all).await;
    }
}

async fn converse(mut connection: Connection, orders: UnboundedSender<Order>) {
    let request = tokio::select! {
        request = timeout(COMPLETE_IN, connection.receive::<Value>()) => request,
        () = orders.closed() => return,
    };
    let request = request.unwrap_or_else(|_| {
        let limit = COMPLETE_IN.as_secs();
        Err(io::Error::other(format!("incomplete after {limit} s")))
    });
    let ask = match request.map(|request| request.map(parse)) {
        Ok(Some(Ok(ask))) => ask,
        Ok(Some(Err(reason))) => return refuse(&mut connection, reason).await,
        Ok(None) => return,
        Err(error) => return refuse(&mut connection, invalid(&error)).await,
    };
    let (replies, mut outgoing) = mpsc::channel(UNREAD);
    // The engine has ended.
    if orders.send(Order { ask, replies }).is_err() {
        return;
    }
    drop(orders);
    loop {
        let reply = tokio::select! {
            // A request counts even if the client disconnects at once.
            biased;
            reply = outgoing.recv() => reply,
            () = connection.gone() => return,
        };
        let Some(reply) = reply else {
            return;
        };
        // The client has disconnected or does not read.
        if !send_in_time(&mut connection, &reply).await {
            return;
        }
    }
}

async fn send_in_time(connection: &mut Connection, reply: &Reply) -> bool {
    let sent = timeout(READ_IN, connection.send(reply)).await;
    matches!(sent, Ok(Ok(())))
}

/// Parses a request and checks its protocol version.
fn parse(request: Value) -> Result<RequestKind, String> {
    match request.get("version").map(Value::as_u64) {
        Some(Some(version)) if version == u64::from(VERSION) => {}
        Some(Some(version)) => return Err(unsupported(version)),
        _ => return Err(invalid(&"no version")),
    }
    let request: Request = serde_json::from_value(request).map_err(|e| invalid(&e))?;
    Ok(request.ask)
}

async fn refuse(connection: &mut Connection, reason: String) {
    let _ = send_in_time(connection, &Reply::Refused(reason.into())).await;
}

fn unsupported(version: u64) -> String {
    format!("protocol version {version} is not supported: this engine speaks version {VERSION}")
}

fn invalid(error: &dyn Display) -> String {
    format!("invalid request: {error}")
}
