//! The fd store: read ends of pipes that the guardian keeps for its engine, so
//! that unread bytes survive the engine.
//!
//! The engine sends the guardian a duplicate of each pipe with a note about its
//! use, and withdraws it when the pipe is drained. The guardian does not read
//! these messages until there are many or the engine has died: until then they
//! wait in the socket, which survives the engine too. On platforms without
//! descriptor passing nothing is stored.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::Signal;

/// This process's end of the socket.
static END: Mutex<Option<End>> = Mutex::new(None);

/// Number of messages after which the guardian is asked to receive them; also
/// the maximum number of descriptors in flight.
const WAITING: u64 = 32;
/// Signal that asks the guardian to receive messages. Its default action is to
/// be ignored, in case the guardian is gone and its id was reused.
pub(crate) const POKE: Signal = Signal::SIGURG;
/// Maximum length of a message, in bytes.
const LONGEST: usize = 8 << 10;

#[derive(Debug)]
enum End {
    Engine {
        socket: OwnedFd,
        guardian: i32,
    },
    Guardian {
        socket: OwnedFd,
        kept: BTreeMap<u64, UnreadPipe>,
    },
}

/// A pipe of an engine that has died.
#[derive(Debug)]
pub struct UnreadPipe {
    /// The note that the engine sent with it.
    pub note: Vec<u8>,
    pipe: OwnedFd,
}

/// A pipe in the store; dropping this removes it.
#[derive(Debug)]
pub struct StoredPipe(u64);

/// The socket between engine and guardian, before the fork.
#[derive(Debug)]
pub(crate) struct Between(Option<(OwnedFd, OwnedFd)>);

impl Between {
    pub(crate) fn new() -> Self {
        Self(pair().ok())
    }

    pub(crate) fn become_engine(self, guardian: i32) {
        set(self.0.map(|(socket, _)| End::Engine { socket, guardian }));
    }

    pub(crate) fn become_guardian(self) {
        set(self.0.map(|(_, socket)| End::Guardian {
            socket,
            kept: BTreeMap::new(),
        }));
    }
}

fn set(end: Option<End>) {
    *END.lock().unwrap_or_else(PoisonError::into_inner) = end;
}

#[cfg(target_os = "linux")]
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    // Keeps message boundaries and order.
    let kind = SocketType::SEQPACKET;
    let pair = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok(pair)
}

#[cfg(not(target_os = "linux"))]
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Stores a duplicate of a pipe with the guardian. Returns `None` if there is
/// no guardian, or it does not accept the pipe.
pub fn store(pipe: impl AsFd, note: &[u8]) -> Option<StoredPipe> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let message = [&number.to_ne_bytes(), note].concat();
    let sent = message.len() <= LONGEST && send(&message, Some(pipe.as_fd()));
    sent.then_some(StoredPipe(number))
}

impl Drop for StoredPipe {
    fn drop(&mut self) {
        send(&self.0.to_ne_bytes(), None);
    }
}

/// Receives the pending messages. Called in the guardian.
pub(crate) fn take() {
    let mut end = END.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(End::Guardian { socket, kept }) = end.as_mut() {
        receive(socket, kept);
    }
}

/// Returns the pipes that a dead engine left in the store. Called in the
/// guardian.
pub fn unread_pipes() -> Vec<UnreadPipe> {
    take();
    let mut end = END.lock().unwrap_or_else(PoisonError::into_inner);
    match end.take() {
        Some(End::Guardian { kept, .. }) => kept.into_values().collect(),
        _ => Vec::new(),
    }
}

impl UnreadPipe {
    /// Reads the pipe until it is empty or closed.
    pub fn drain(&self) -> Vec<u8> {
        // Larger than any pipe, in case a process keeps writing.
        const MOST: usize = 4 << 20;
        let mut all = Vec::new();
        let mut piece = vec![0; 64 << 10];
        // After an error nothing more can be saved.
        while all.len() < MOST {
            let Ok(length @ 1..) = nix::unistd::read(&self.pipe, &mut piece) else {
                break;
            };
            all.extend_from_slice(&piece[..length]);
        }
        all
    }
}

#[cfg(target_os = "linux")]
fn send(message: &[u8], pipe: Option<BorrowedFd<'_>>) -> bool {
    use std::mem::MaybeUninit;

    use nix::sys::signal::kill;
    use nix::unistd::{Pid, getppid};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    static SENT: AtomicU64 = AtomicU64::new(0);
    const PATIENCE: Timespec = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let end = END.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(End::Engine { socket, guardian }) = end.as_ref() else {
        return false;
    };
    let poke = || {
        let guardian = Pid::from_raw(*guardian);
        if getppid() == guardian {
            let _ = kill(guardian, POKE);
        }
    };
    let once = || {
        let pipes: &[BorrowedFd<'_>] = pipe.as_slice();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !pipes.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(pipes));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(socket, &[io::IoSlice::new(message)], &mut control, flags)
    };
    let mut sent = once();
    if matches!(sent, Err(Errno::AGAIN | Errno::TOOMANYREFS)) {
        // The guardian gets a second to receive; after that, give up.
        poke();
        let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&PATIENCE));
        sent = once();
    }
    if SENT.fetch_add(1, Ordering::Relaxed) % WAITING == WAITING - 1 {
        poke();
    }
    sent.is_ok()
}

#[cfg(target_os = "linux")]
fn receive(socket: &OwnedFd, kept: &mut BTreeMap<u64, UnreadPipe>) {
    use std::mem::MaybeUninit;

    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    // As many as the engine may have; this process starts no other.
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        if soft < hard {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        }
    }
    let mut message = vec![0; LONGEST];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(
            socket,
            &mut [io::IoSliceMut::new(&mut message)],
            &mut control,
            flags,
        );
        let Ok(received) = received else {
            return;
        };
        let pipe = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut pipes) => pipes.next(),
            _ => None,
        });
        let Some((number, note)) = message[..received.bytes].split_first_chunk() else {
            // The engine is gone, and its messages are all received.
            return;
        };
        let number = u64::from_ne_bytes(*number);
        match pipe {
            Some(pipe) => {
                let note = note.to_vec();
                kept.insert(number, UnreadPipe { note, pipe });
            }
            None => drop(kept.remove(&number)),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn send(_: &[u8], _: Option<BorrowedFd<'_>>) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn receive(_: &OwnedFd, _: &mut BTreeMap<u64, UnreadPipe>) {}
