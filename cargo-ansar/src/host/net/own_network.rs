//! A network for the roles of one home, apart from that of the system. Linux
//! only.
//!
//! A child of the engine, the keeper, enters a new network and IPC namespace,
//! or that of another engine of the home, and stays there until the engine
//! ends. A role is started by this program, which enters the namespaces of the
//! keeper and replaces itself by the role. The engine stays outside, where
//! Cargo and the user are; for its probes the keeper gives it sockets.

use std::ffi::OsString;
use std::io;

use crate::host::process::Program;

/// First argument of this program that makes it the keeper.
const KEEP: &str = "keep-network";
/// First argument of this program that makes it enter the namespaces of a
/// process, and run another program there.
const ENTER: &str = "in-network";

/// A kind of socket that the keeper opens, by the byte that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// TCP over IPv4.
    V4 = b'4',
    /// TCP over IPv6.
    V6 = b'6',
    /// The list of sockets.
    Diagnosis = b'd',
}

/// Returns a program that runs `program` in the network of the process
/// `keeper`: this program, which replaces itself.
fn wrap(keeper: u32, program: Program) -> io::Result<Program> {
    let path = crate::host::environment::own_executable()?;
    let arguments = [
        ENTER.into(),
        keeper.to_string().into(),
        program.path.into_os_string(),
    ];
    Ok(Program {
        path,
        arguments: arguments.into_iter().chain(program.arguments).collect(),
        ..program
    })
}

/// Returns a program that runs `program` in a network; without one, itself.
pub fn in_network(program: Program, network: Option<&Network>) -> io::Result<Program> {
    match network {
        Some(network) => wrap(network.keeper(), program),
        None => Ok(program),
    }
}

/// If the arguments of this process ask for it, keeps a network, or runs another
/// program in one. Returns only if neither is asked for, or with the result.
///
/// Must be called before a second thread exists.
pub fn run_if_asked(mut arguments: impl Iterator<Item = OsString>) -> Option<io::Result<()>> {
    let word = arguments.nth(1)?;
    if word == KEEP {
        let joined = arguments.next();
        let joined = joined.and_then(|pid| pid.to_str()?.parse().ok());
        return Some(platform::keep(joined));
    }
    if word != ENTER {
        return None;
    }
    let keeper = arguments.next()?.to_str()?.parse().ok()?;
    let program = arguments.next()?;
    Some(Err(platform::replace(keeper, &program, arguments)))
}

pub use platform::Network;

#[cfg(target_os = "linux")]
mod platform {
    use std::ffi::OsString;
    use std::fs::File;
    use std::io::{self, IoSlice, IoSliceMut};
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    use std::sync::Arc;
    use std::time::Duration;

    use nix::sched::{CloneFlags, setns, unshare};
    use rustix::io::Errno;
    use rustix::net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, netlink, recv, recvmsg, send,
        sendmsg, socket_with, socketpair, sockopt,
    };
    use tokio::net::{TcpSocket, TcpStream, lookup_host};

    use super::{KEEP, Kind};
    use crate::host::process::{End, Program};

    /// Time that the keeper gets to answer.
    const ANSWER_LIMIT: Duration = Duration::from_secs(10);
    /// Longest message, in bytes.
    const LONGEST: usize = 1024;

    /// A network, as an engine uses it. Dropping it ends the keeper; the network
    /// ends with its last process.
    #[derive(Debug)]
    pub struct Network {
        socket: OwnedFd,
        keeper: End,
    }

    impl Network {
        /// Starts a keeper, in a new network or in that of the process `joined`.
        /// Must be called within the runtime.
        ///
        /// # Errors
        ///
        /// The text names the setting of the system that forbids it, if one
        /// does.
        pub fn start(joined: Option<u32>) -> io::Result<Self> {
            let kind = SocketType::SEQPACKET;
            let (socket, other) =
                socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(ANSWER_LIMIT))?;
            let program = Program {
                path: crate::host::environment::own_executable()?,
                arguments: std::iter::once(KEEP.into())
                    .chain(joined.map(|pid| pid.to_string().into()))
                    .collect(),
                environment: None,
                folder: Some("/".into()),
                stdin: Some(Arc::new(File::from(other))),
            };
            let network = Self {
                keeper: End::start_silent(&program)?,
                socket,
            };
            drop(program);
            match network.answer()? {
                (answer, _) if answer.is_empty() => Err(io::Error::other("its keeper has ended")),
                (answer, _) if answer == READY => Ok(network),
                (answer, _) => Err(io::Error::other(
                    String::from_utf8_lossy(&answer).into_owned(),
                )),
            }
        }

        /// Returns the process id of the keeper.
        pub fn keeper(&self) -> u32 {
            self.keeper.pid()
        }

        /// Connects to `HOST:PORT` in this network.
        pub async fn connect(&self, address: &str) -> io::Result<TcpStream> {
            let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for address in lookup_host(address).await? {
                let kind = if address.is_ipv4() {
                    Kind::V4
                } else {
                    Kind::V6
                };
                let socket = std::net::TcpStream::from(self.socket(kind)?);
                socket.set_nonblocking(true)?;
                match TcpSocket::from_std_stream(socket).connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }

        /// Opens a socket in this network.
        pub(in crate::host::net) fn socket(&self, kind: Kind) -> io::Result<OwnedFd> {
            send(&self.socket, &[kind as u8], SendFlags::NOSIGNAL)?;
            let (answer, socket) = self.answer()?;
            let refused = || io::Error::other(String::from_utf8_lossy(&answer).into_owned());
            socket.ok_or_else(refused)
        }

        fn answer(&self) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
            let mut message = [0; LONGEST];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received = loop {
                let flags = RecvFlags::CMSG_CLOEXEC;
                let mut parts = [IoSliceMut::new(&mut message)];
                match recvmsg(&self.socket, &mut parts, &mut control, flags) {
                    Err(Errno::INTR) => {}
                    other => break other?,
                }
            };
            let socket = control.drain().find_map(|part| match part {
                RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
                _ => None,
            });
            Ok((message[..received.bytes].to_vec(), socket))
        }
    }

    /// First message of a keeper that has entered its network.
    const READY: &[u8] = b"ready";

    /// Enters a network and opens sockets in it, as asked on stdin, until that
    /// is closed.
    pub(super) fn keep(joined: Option<u32>) -> io::Result<()> {
        let stdin = io::stdin();
        let entered = match joined {
            Some(keeper) => enter(keeper),
            None => create(),
        };
        // An engine that has ended reads no answer.
        if let Err(error) = entered {
            let text = explain(&error);
            let text = &text.as_bytes()[..text.len().min(LONGEST)];
            let _ = send(&stdin, text, SendFlags::NOSIGNAL);
            return Ok(());
        }
        let _ = send(&stdin, READY, SendFlags::NOSIGNAL);
        let mut asked = [0];
        loop {
            match recv(&stdin, &mut asked, RecvFlags::empty()) {
                Ok((_, 1)) => {}
                Err(Errno::INTR) => continue,
                _ => return Ok(()),
            }
            let answered = match open(asked[0]) {
                Ok(socket) => send_socket(stdin.as_fd(), socket.as_fd()),
                Err(error) => {
                    let text = error.to_string();
                    send(&stdin, text.as_bytes(), SendFlags::NOSIGNAL).map(drop)
                }
            };
            if answered.is_err() {
                return Ok(());
            }
        }
    }

    fn open(asked: u8) -> io::Result<OwnedFd> {
        let (family, kind, protocol) = match asked {
            it if it == Kind::V4 as u8 => (AddressFamily::INET, SocketType::STREAM, None),
            it if it == Kind::V6 as u8 => (AddressFamily::INET6, SocketType::STREAM, None),
            _ => (
                AddressFamily::NETLINK,
                SocketType::DGRAM,
                Some(netlink::SOCK_DIAG),
            ),
        };
        Ok(socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
    }

    fn send_socket(to: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sockets = [socket];
        control.push(SendAncillaryMessage::ScmRights(&sockets));
        let parts = [IoSlice::new(b"ok")];
        sendmsg(to, &parts, &mut control, SendFlags::NOSIGNAL).map(drop)
    }

    /// Enters a new network and IPC namespace, in a user namespace with the same
    /// user if this user may not enter one otherwise.
    fn create() -> io::Result<()> {
        let own = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
        if unshare(own).is_err() {
            let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
            unshare(CloneFlags::CLONE_NEWUSER | own)?;
            // The group can be mapped only by a process that cannot change its
            // groups.
            std::fs::write("/proc/self/setgroups", "deny")?;
            std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
            std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
        }
        raise_loopback()
    }

    /// Sets the flag `IFF_UP` of the first interface, which is `lo`, with one
    /// message of rtnetlink(7).
    fn raise_loopback() -> io::Result<()> {
        const RTM_NEWLINK: u16 = 16;
        const REQUEST_AND_ACK: u16 = 1 | 4;
        const LENGTH: u32 = 32;
        const INDEX: i32 = 1;
        const UP: u32 = 1;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            // `NETLINK_ROUTE`.
            None,
        )?;
        // `nlmsghdr`: length, type, flags, sequence number, port.
        let mut message = Vec::with_capacity(32);
        message.extend(LENGTH.to_ne_bytes());
        message.extend(RTM_NEWLINK.to_ne_bytes());
        message.extend(REQUEST_AND_ACK.to_ne_bytes());
        message.extend([0; 8]);
        // `ifinfomsg`: family and type, index, flags, mask of changed flags.
        message.extend([0; 4]);
        message.extend(INDEX.to_ne_bytes());
        message.extend(UP.to_ne_bytes());
        message.extend(UP.to_ne_bytes());
        send(&socket, &message, SendFlags::empty())?;
        let mut answer = [0; LONGEST];
        recv(&socket, &mut answer, RecvFlags::empty())?;
        // `nlmsgerr` behind the head: a negative error number, or 0.
        match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(-error)),
        }
    }

    /// Enters the namespaces of a process.
    fn enter(keeper: u32) -> io::Result<()> {
        let of = |name: &str| File::open(format!("/proc/{keeper}/ns/{name}"));
        let (user, network, ipc) = (of("user")?, of("net")?, of("ipc")?);
        // A process cannot enter the user namespace that it is in.
        let own = std::fs::metadata("/proc/self/ns/user")?;
        if user.metadata()?.ino() != own.ino() {
            setns(user, CloneFlags::CLONE_NEWUSER)?;
        }
        setns(network, CloneFlags::CLONE_NEWNET)?;
        setns(ipc, CloneFlags::CLONE_NEWIPC)?;
        Ok(())
    }

    /// Runs a program in the network of `keeper`, in place of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this process becomes the program"
    )]
    pub(super) fn replace(
        keeper: u32,
        program: &OsString,
        arguments: impl Iterator<Item = OsString>,
    ) -> io::Error {
        if let Err(error) = enter(keeper) {
            let text = format!("failed to enter the network of the home: {error}");
            return io::Error::new(error.kind(), text);
        }
        let error = std::process::Command::new(program).args(arguments).exec();
        let program = program.to_string_lossy();
        io::Error::new(error.kind(), format!("{program}: {error}"))
    }

    /// Returns the setting that forbids a new network, or the error.
    fn explain(error: &io::Error) -> String {
        let limits = [
            ("user/max_user_namespaces", "0"),
            ("user/max_net_namespaces", "0"),
            ("user/max_ipc_namespaces", "0"),
            ("kernel/unprivileged_userns_clone", "0"),
            ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ];
        let forbidding = limits.into_iter().find(|(setting, value)| {
            let found = std::fs::read_to_string(format!("/proc/sys/{setting}"));
            found.is_ok_and(|found| found.trim() == *value)
        });
        if let Some((setting, value)) = forbidding {
            return format!("`{}` is {value}", setting.replace('/', "."));
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let is_filtered = status
            .lines()
            .filter_map(|line| line.strip_prefix("Seccomp:"))
            .any(|mode| mode.trim() == "2");
        if is_filtered {
            format!("a seccomp filter, such as Docker's default profile: {error}")
        } else {
            error.to_string()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::ffi::OsString;
    use std::io;

    use tokio::net::TcpStream;

    /// A network, which this platform does not have.
    #[derive(Debug)]
    pub enum Network {}

    impl Network {
        /// Returns an error of the kind [`Unsupported`](io::ErrorKind).
        pub fn start(_: Option<u32>) -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "it needs Linux"))
        }

        /// Returns the process id of the keeper.
        pub fn keeper(&self) -> u32 {
            match *self {}
        }

        /// Connects to `HOST:PORT` in this network.
        pub async fn connect(&self, _: &str) -> io::Result<TcpStream> {
            match *self {}
        }
    }

    pub(super) fn keep(_: Option<u32>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn replace(_: u32, _: &OsString, _: impl Iterator<Item = OsString>) -> io::Error {
        io::ErrorKind::Unsupported.into()
    }
}
