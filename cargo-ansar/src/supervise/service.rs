//! The socket of an engine: takes what others ask, and tells them what happens.
//!
//! Owns the conversations; what is to be done about an order is the engine's.
//! Somebody who does not read is waited for by nobody but their own
//! conversation.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;

use super::launch::Launch;
use crate::host::socket::{Connection, Listener};
use crate::protocol::{Ask, Host, Reply, Request, Start, VERSION};

/// What makes an engine reachable.
pub struct Service<'a> {
    /// Where it is reached.
    pub listener: Listener,
    /// Where it lives.
    pub host: Host,
    /// Whether the engine goes on without roles, until it is interrupted.
    pub lasting: bool,
    /// Turns roles that are to be started into launches, where this engine
    /// takes any.
    pub launcher: Option<Launcher<'a>>,
}

/// Turns roles into launches, all or none; the error says why.
pub type Launcher<'a> = Box<dyn FnMut(&Start) -> Result<Vec<Launch>, String> + 'a>;

/// Something that was asked, and whom to answer. Dropping it ends the
/// conversation.
#[derive(Debug)]
pub(super) struct Order {
    pub ask: Ask,
    pub tell: UnboundedSender<Reply>,
}

/// How long to leave a system alone that has no room for a conversation.
const NO_ROOM: Duration = Duration::from_millis(100);
/// How long those who are still being told something may take to read it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The conversations of an engine; inside of a `LocalSet` only.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    tasks: JoinSet<()>,
}

impl Conversations {
    /// Takes connections from now on.
    pub(super) fn begin(&mut self, listener: Listener, orders: UnboundedSender<Order>) {
        self.tasks.spawn_local(async move {
            let mut tasks = JoinSet::new();
            loop {
                tokio::select! {
                    connection = listener.accept() => match connection {
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
    pub(super) async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
    }
}

async fn converse(mut connection: Connection, orders: UnboundedSender<Order>) {
    let request = tokio::select! {
        request = connection.receive::<Request>() => request,
        () = orders.closed() => return,
    };
    let ask = match request {
        Ok(Some(request)) if request.version == VERSION => request.ask,
        Ok(Some(Request { version, .. })) => {
            return refuse(&mut connection, unknown(version)).await;
        }
        Ok(None) => return,
        Err(error) => return refuse(&mut connection, not_understood(&error)).await,
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    // An engine that has ended answers nobody.
    if orders.send(Order { ask, tell }).is_err() {
        return;
    }
    drop(orders);
    while let Some(reply) = told.recv().await {
        // Somebody who has left is told no more.
        if connection.send(&reply).await.is_err() {
            return;
        }
    }
}

async fn refuse(connection: &mut Connection, reason: String) {
    let _ = connection.send(&Reply::Refused { reason }).await;
}

fn unknown(version: u32) -> String {
    format!("version {version} of the protocol is asked for, and {VERSION} is spoken here")
}

fn not_understood(error: &io::Error) -> String {
    format!("the request is not understood: {error}")
}
