//! TCP sockets that listen, and the processes that own them.
//!
//! One question to the kernel (`sock_diag`) returns all listening sockets of
//! this network namespace in microseconds, and needs no privilege. Only Linux
//! has it.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};

pub use crate::host::net::listener::Listener;
use crate::host::process::orphans;

#[cfg(target_os = "linux")]
pub use linux::Sockets;
#[cfg(not(target_os = "linux"))]
pub use other::Sockets;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
    };

    use super::Listener;
    use crate::host::net::own_network::{Kind, Network};
    use crate::host::net::sock_diag::{V4, V6, request, take};

    /// Length of an answer's part; the kernel fills at most this much at once.
    const PART: usize = 32 * 1024;

    /// A connection to the kernel that lists listening sockets.
    #[derive(Debug)]
    pub struct Sockets {
        socket: OwnedFd,
        part: Vec<u8>,
    }

    impl Sockets {
        /// Opens a connection to the network of this process.
        pub fn open() -> io::Result<Self> {
            let socket = socket_with(
                AddressFamily::NETLINK,
                SocketType::DGRAM,
                SocketFlags::CLOEXEC,
                Some(netlink::SOCK_DIAG),
            )?;
            Ok(Self::of(socket))
        }

        /// Opens a connection to another network.
        pub fn open_in(network: &Network) -> io::Result<Self> {
            network.socket(Kind::Diagnosis).map(Self::of)
        }

        fn of(socket: OwnedFd) -> Self {
            Self {
                socket,
                part: vec![0; PART],
            }
        }

        /// Returns all TCP sockets that listen in the network.
        pub fn listeners(&mut self) -> io::Result<Vec<Listener>> {
            let mut listeners = Vec::new();
            self.dump(V4, &mut listeners)?;
            match self.dump(V6, &mut listeners) {
                // The kernel was built without IPv6.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
            Ok(listeners)
        }

        fn dump(&mut self, family: u8, listeners: &mut Vec<Listener>) -> io::Result<()> {
            send(&self.socket, &request(family), SendFlags::empty())?;
            loop {
                let (_, length) = recv(&self.socket, &mut *self.part, RecvFlags::empty())?;
                if take(&self.part[..length.min(PART)], listeners)? {
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;

    use super::Listener;
    use crate::host::net::own_network::Network;

    /// A connection to the kernel that lists listening sockets; this platform
    /// has none.
    #[derive(Debug)]
    pub struct Sockets {}

    impl Sockets {
        /// Returns an error of the kind [`Unsupported`](io::ErrorKind).
        pub fn open() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Returns an error of the kind [`Unsupported`](io::ErrorKind).
        pub fn open_in(_: &Network) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Returns an error of the kind [`Unsupported`](io::ErrorKind).
        pub fn listeners(&mut self) -> io::Result<Vec<Listener>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

/// Returns the inodes of the sockets that a process has open. Processes of
/// other users cannot be read.
pub fn inodes_of(pid: u32) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        // The process closes some meanwhile.
        let target = entry.and_then(|entry| std::fs::read_link(entry.path()));
        let Ok(target) = target else { continue };
        let inode = target.to_str().and_then(|target| {
            let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse::<u64>().ok()
        });
        inodes.extend(inode);
    }
    Ok(inodes)
}

/// Returns the descendants of a process, without those whose parents have
/// exited.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        let children = children(parent);
        found.extend(&children);
        next.extend(children);
    }
    found
}

/// Returns the children of all threads of a process.
fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| {
        let children = std::fs::read_to_string(thread.path().join("children"));
        children.ok()
    });
    let mut pids = Vec::new();
    for list in lists {
        let list = list.split_ascii_whitespace();
        pids.extend(list.filter_map(|pid| pid.parse::<u32>().ok()));
    }
    pids
}

/// A process, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The process id.
    pub pid: u32,
    /// The name of its program, as the kernel shortens it.
    pub name: String,
}

/// Returns a process that has a socket open. Looks at every process, so it is
/// slow; returns `None` if the owner belongs to another user.
pub fn owner_of(inode: u64) -> Option<Owner> {
    let owns = |pid: &u32| inodes_of(*pid).is_ok_and(|inodes| inodes.contains(&inode));
    let pid = orphans::all().into_iter().find(owns)?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = name.trim_end_matches('\n').to_owned();
    Some(Owner { pid, name })
}

/// Returns a process that listens on an address, if it is known.
pub fn listener_on(address: SocketAddrV4) -> Option<Owner> {
    let listeners = Sockets::open().ok()?.listeners().ok()?;
    let address = SocketAddr::from(address);
    let mut listeners = listeners.iter().filter(|it| it.accepts(address));
    listeners.find_map(|listener| owner_of(listener.inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, is_v6_only: bool) -> Listener {
        Listener {
            address: address.parse().unwrap(),
            is_v6_only,
            inode: 1,
        }
    }

    #[test]
    fn listener_accepts_its_address() {
        for (own, is_v6_only, address, expected) in [
            ("127.0.0.1:80", false, "127.0.0.1:80", true),
            ("127.0.0.1:80", false, "127.0.0.1:81", false),
            ("127.0.0.1:80", false, "127.0.0.2:80", false),
            ("0.0.0.0:80", false, "127.0.0.2:80", true),
            ("0.0.0.0:80", false, "[::1]:80", false),
            ("[::]:80", false, "127.0.0.2:80", true),
            ("[::]:80", true, "127.0.0.2:80", false),
            ("[::]:80", true, "[::1]:80", true),
            ("[::1]:80", false, "127.0.0.1:80", false),
            ("[::ffff:127.0.0.1]:80", false, "127.0.0.1:80", true),
        ] {
            let listener = listener(own, is_v6_only);
            let address = address.parse().unwrap();
            assert_eq!(listener.accepts(address), expected, "{own} {address}");
        }
    }

    #[cfg(target_os = "linux")]
    mod linux {
        use std::net::TcpListener;

        use super::super::*;

        fn listener_at(address: SocketAddr) -> Option<Listener> {
            let listeners = Sockets::open().unwrap().listeners().unwrap();
            listeners.into_iter().find(|it| it.address == address)
        }

        #[test]
        fn listener_and_its_owner_are_found() {
            for address in ["127.41.4.1:0", "[::1]:0", "[::]:0"] {
                let Ok(server) = TcpListener::bind(address) else {
                    assert!(address.starts_with('['), "IPv6 may be missing, IPv4 not");
                    continue;
                };
                let address = server.local_addr().unwrap();
                let found = listener_at(address).unwrap();
                assert!(found.accepts(address));
                if address.ip().is_unspecified() {
                    let v4 = SocketAddr::from(([127, 41, 4, 1], address.port()));
                    assert!(found.accepts(v4));
                }
                let own = std::process::id();
                assert!(inodes_of(own).unwrap().contains(&found.inode));
                assert_eq!(owner_of(found.inode).unwrap().pid, own);
                drop(server);
                assert_eq!(listener_at(address), None);
            }
        }

        #[test]
        fn a_socket_without_ipv4_is_known() {
            use rustix::net::{self, AddressFamily, SocketType, sockopt};
            let socket = net::socket(AddressFamily::INET6, SocketType::STREAM, None);
            // The system may have no IPv6.
            let Ok(socket) = socket else { return };
            sockopt::set_ipv6_v6only(&socket, true).unwrap();
            let any: SocketAddr = "[::]:0".parse().unwrap();
            net::bind(&socket, &any).unwrap();
            net::listen(&socket, 1).unwrap();
            let server = TcpListener::from(socket);
            let found = listener_at(server.local_addr().unwrap()).unwrap();
            let v4 = SocketAddr::from(([127, 41, 4, 1], found.address.port()));
            assert!(found.is_v6_only && !found.accepts(v4));
        }

        #[test]
        fn all_of_many_listeners_are_found() {
            // Several parts of an answer.
            let servers: Vec<_> = (0..600)
                .map(|_| TcpListener::bind("127.41.4.2:0").unwrap())
                .collect();
            let listeners = Sockets::open().unwrap().listeners().unwrap();
            for server in servers {
                let address = server.local_addr().unwrap();
                assert!(listeners.iter().any(|it| it.address == address));
            }
        }

        #[test]
        #[expect(clippy::disallowed_methods, reason = "a real process tree is searched")]
        fn descendants_are_found() {
            let mut shell = std::process::Command::new("sh");
            let piped = std::process::Stdio::piped;
            shell.args(["-c", "(echo begun; exec cat); :"]);
            let mut child = shell.stdin(piped()).stdout(piped()).spawn().unwrap();
            let mut line = String::new();
            let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
            std::io::BufRead::read_line(&mut output, &mut line).unwrap();
            let found = descendants(std::process::id());
            assert!(found.contains(&child.id()));
            assert!(!descendants(child.id()).is_empty());
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}
