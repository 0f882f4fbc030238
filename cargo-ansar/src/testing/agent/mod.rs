//! The agent: runs the roles of one shard, as the launcher asks it to.
//!
//! Its stdin and stdout are the stream to the launcher. When the stream ends,
//! when nothing was heard for a lease, or when it is interrupted, it kills its
//! roles at once. It removes the folder of the run before it
//! exits; after a kill, its guardian or the next agent does.

mod folder;
mod lease;
mod run;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ansar_contract::layout::Area;
use tokio::sync::mpsc;

use crate::error::{Error, with_causes};
use crate::home::Home;
use crate::host::fs;
use crate::host::net;
use crate::host::process::Pipe;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::process::stream;
use crate::host::{clock, environment};
use crate::model::name::RoleName;
use crate::model::remote::RemoteError;
use crate::protocol::VERSION;
use crate::remote::conversation::{self, BEATS, Outbox, Pieces, WeakOutbox};
use crate::remote::frames::{Decoder, Frame, MOST_BYTES};
use crate::remote::messages::{FromAgent, ToAgent};
pub use crate::testing::agent::folder::clean_up_after_kill;
pub(crate) use crate::testing::agent::folder::{HOME, WORK};
use crate::testing::agent::folder::{RunFolder, store};
use crate::testing::agent::lease::Lease;
use crate::testing::driver_command::answer_within;

/// Time that the last messages get to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Time that an agent takes to give its place back, which it cannot do on a node that
/// is cut off: nothing is left there 4 s after the lease.
const CANCEL: Duration = Duration::from_secs(3);

/// Runs the agent in the folder `scratch`, until the launcher says good-bye or
/// is gone. `of_engine` are the interrupts of the engine that runs the roles;
/// they are not used, since an interrupted agent kills its roles.
pub async fn agent(
    scratch: &Path,
    interrupts: Interrupts,
    of_engine: &mut Interrupts,
) -> Result<(), Error> {
    let (input, output) = stream::own().map_err(|source| Error::System {
        what: "open the stream to the launcher",
        source,
    })?;
    let (outbox, outgoing) = conversation::outbox();
    let (inbox, arrived) = mpsc::unbounded_channel();
    let lease = Rc::new(Lease::new(clock::boot_time));
    tokio::task::spawn_local(read(input, inbox, lease.clone()));
    let writing = tokio::task::spawn_local(conversation::write(output, outgoing));
    tokio::task::spawn_local(beat(outbox.downgrade(), lease.clone()));
    let folder = match RunFolder::create(scratch) {
        Ok(folder) => folder,
        Err(error) => {
            let reason = with_causes(&error);
            outbox.send(&FromAgent::Refused { reason });
            drop(outbox);
            let _ = tokio::time::timeout(LAST_WORDS, writing).await;
            return Err(error);
        }
    };
    let mut agent = Agent {
        inbox: Inbox {
            arrived,
            lease,
            interrupts,
            interrupted: None,
        },
        outbox,
        folder,
        joined: None,
        cancel: Vec::new(),
    };
    let served = agent.serve(of_engine).await;
    if let Err(error) = &served {
        agent.refuse(&with_causes(error));
    }
    let removed = agent.folder.remove();
    drop(agent.outbox);
    // A launcher that was silent for a lease does not read them.
    if !agent.inbox.lease.is_over() {
        let _ = tokio::time::timeout(LAST_WORDS, writing).await;
    }
    // Last, since it ends this process as well.
    answer_within(CANCEL, &agent.cancel).await;
    served.and(removed)
}

/// Passes frames on as they arrive. Ends with the stream, or with the lease.
async fn read(input: Pipe, inbox: mpsc::UnboundedSender<Frame<ToAgent>>, lease: Rc<Lease>) {
    let mut decoder = Decoder::default();
    while let Ok(Some(frame)) = conversation::next(&input, &mut decoder, || lease.renew()).await {
        if lease.is_over() || inbox.send(frame).is_err() {
            return;
        }
    }
}

/// Interval at which the next sign of life is thought of: the lease may have become
/// shorter meanwhile.
const TICK: Duration = Duration::from_millis(200);

/// Sends signs of life, as long as the conversation lasts.
async fn beat(outbox: WeakOutbox, lease: Rc<Lease>) {
    let mut told = clock::boot_time();
    loop {
        tokio::time::sleep(TICK).await;
        let now = clock::boot_time();
        if now.saturating_sub(told) < lease.time() / BEATS {
            continue;
        }
        told = now;
        // A launcher that was silent for a lease has given this agent up.
        if lease.is_over() || !outbox.send(&FromAgent::Heartbeat) {
            return;
        }
    }
}

/// The messages of the launcher.
struct Inbox {
    arrived: mpsc::UnboundedReceiver<Frame<ToAgent>>,
    lease: Rc<Lease>,
    interrupts: Interrupts,
    interrupted: Option<Interrupt>,
}

impl Inbox {
    /// Waits for the next frame. Returns `None` when the launcher is gone or was
    /// silent for a lease, and when this agent was interrupted. Cancel safe.
    async fn next(&mut self) -> Option<Frame<ToAgent>> {
        loop {
            let beat = self.lease.time() / BEATS;
            tokio::select! {
                biased;
                interrupt = self.interrupts.next() => {
                    self.interrupted = Some(interrupt);
                    return None;
                }
                frame = self.arrived.recv() => {
                    return frame.filter(|_| !self.lease.is_over());
                }
                () = tokio::time::sleep(beat) => {
                    if self.lease.is_over() {
                        return None;
                    }
                }
            }
        }
    }
}

/// The conversation that the launcher has named.
#[derive(Clone)]
struct Joined {
    run: String,
    shard: usize,
    epoch: u64,
}

struct Agent {
    inbox: Inbox,
    outbox: Outbox,
    folder: RunFolder,
    joined: Option<Joined>,
    /// Words of the command that gives the place of this agent back, unless the
    /// launcher does.
    cancel: Vec<String>,
}

impl Agent {
    fn refuse(&self, reason: &str) {
        let reason = reason.to_owned();
        self.outbox.send(&FromAgent::Refused { reason });
    }

    async fn serve(&mut self, of_engine: &mut Interrupts) -> Result<(), Error> {
        let mut home = None;
        while let Some(Frame { message, .. }) = self.inbox.next().await {
            match (message, &home) {
                (
                    ToAgent::Join {
                        run,
                        shard,
                        epoch,
                        lease,
                        cancel,
                        needs_address,
                        ..
                    },
                    _,
                ) => {
                    self.cancel = cancel;
                    self.inbox.lease.set_time(lease);
                    self.join(Joined { run, shard, epoch }, needs_address).await;
                }
                (
                    ToAgent::Manifest {
                        home: id,
                        files,
                        folders,
                        links,
                    },
                    None,
                ) => {
                    let store = store(&self.folder)?;
                    if !self.receive(&store, &files).await? {
                        break;
                    }
                    home = Some(
                        self.folder
                            .home(id, &store, &files, &folders, &links)
                            .await?,
                    );
                    self.outbox.send(&FromAgent::Placed);
                }
                (ToAgent::Start(start), Some(home)) => {
                    let has_ended = self.run(home, *start, of_engine).await?;
                    if !has_ended {
                        break;
                    }
                }
                (ToAgent::Log { role, has_lines }, Some(home)) => {
                    self.log(home, &role, has_lines).await;
                }
                (ToAgent::Stop { .. }, _) => self.outbox.send(&FromAgent::Done),
                (ToAgent::Bye, _) => {
                    self.cancel.clear();
                    return Ok(());
                }
                _ => {}
            }
        }
        if self.inbox.interrupted.is_some() {
            self.refuse("its agent was interrupted");
        }
        Ok(())
    }

    async fn join(&mut self, joined: Joined, needs_address: bool) {
        self.joined = Some(joined);
        let address = if needs_address {
            net::own_address().await
        } else {
            None
        };
        self.outbox.send(&FromAgent::Joined {
            version: VERSION,
            host: environment::host_name(),
            address,
            pid: environment::pid(),
            home: self.folder.home_path(),
            clock: Some(clock::now()),
        });
    }

    /// Sends the log of a role if it is wanted, and the results of its tests. What
    /// cannot be read is left out.
    async fn log(&mut self, home: &Home, role: &RoleName, has_lines: bool) {
        let folder = home.folder(Area::Logs, role);
        let mut names = fs::names(&folder).unwrap_or_default();
        names.retain(|_| has_lines);
        // Those of segments are in order of time.
        names.sort();
        let logs = names.iter().filter_map(|name| {
            let file = Some(name.to_str()?.to_owned());
            let role = role.clone();
            Some((folder.join(name), FromAgent::Log { role, file }))
        });
        let results = FromAgent::Results { role: role.clone() };
        let all = logs.chain([(home.test_results(role), results)]);
        let pieces = self.outbox.pieces();
        let lease = self.inbox.lease.clone();
        let sending = async {
            for (path, message) in all {
                if !send_file(&pieces, &path, &message).await {
                    return;
                }
            }
            let (role, file) = (role.clone(), None);
            pieces.send(&FromAgent::Log { role, file }, &[]).await;
        };
        tokio::select! {
            () = sending => {}
            () = lease.ends() => {}
        }
    }
}

/// Sends a file in pieces. Returns false if the stream has ended.
async fn send_file(pieces: &Pieces, path: &Path, message: &FromAgent) -> bool {
    let Ok(Some(file)) = fs::Reading::open(path) else {
        return true;
    };
    let (mut offset, mut piece) = (0, vec![0; MOST_BYTES]);
    while let Ok(length @ 1..) = file.read_at(&mut piece, offset) {
        if !pieces.send(message, &piece[..length]).await {
            return false;
        }
        offset += length as u64;
    }
    true
}

fn refused(error: impl std::fmt::Display) -> Error {
    RemoteError::Agent(error.to_string()).into()
}
