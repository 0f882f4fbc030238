//! The listening sockets of roles: one list for all of them per look.

use std::io;
use std::net::SocketAddr;

use crate::host::net::sockets::{self, Listener, Sockets};

/// The listening sockets of the system, and of the network of the home, at one
/// time.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// Sorted by port.
    by_port: Vec<Listener>,
    /// Those in the network of the home, in the same order.
    in_network: Vec<Listener>,
}

/// The processes of a role, for a look at their sockets.
pub(crate) struct Processes<'a> {
    /// The main process.
    pub(crate) main: u32,
    /// True if the role is in the network of the home.
    pub(crate) in_network: bool,
    /// Returns the processes of the role that are not below the main process.
    pub(crate) others: &'a dyn Fn() -> Vec<u32>,
}

/// The sockets that listen on an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A process of the role has this one.
    Own(u64),
    /// Another process has this one.
    Other(u64),
    /// There are none.
    Nothing,
}

impl Listeners {
    /// Looks.
    pub(crate) fn now(sockets: &mut Sockets, in_network: Option<&mut Sockets>) -> io::Result<Self> {
        let list = |sockets: &mut Sockets| -> io::Result<_> {
            let mut listeners = sockets.listeners()?;
            listeners.sort_unstable_by_key(|listener| listener.address.port());
            Ok(listeners)
        };
        Ok(Self {
            by_port: list(sockets)?,
            in_network: in_network.map_or_else(|| Ok(Vec::new()), list)?,
        })
    }

    /// Returns the sockets of one of the networks.
    fn of(&self, in_network: bool) -> &[Listener] {
        if in_network {
            &self.in_network
        } else {
            &self.by_port
        }
    }

    fn at(&self, address: SocketAddr, in_network: bool) -> impl Iterator<Item = &Listener> {
        let port = address.port();
        let all = self.of(in_network);
        let first = all.partition_point(|it| it.address.port() < port);
        let same = all[first..].iter();
        let same = same.take_while(move |listener| listener.address.port() == port);
        same.filter(move |listener| listener.accepts(address))
    }

    /// Returns true if the socket `inode` listens on an address.
    pub(crate) fn has(&self, address: SocketAddr, in_network: bool, inode: u64) -> bool {
        let mut listeners = self.at(address, in_network);
        listeners.any(|listener| listener.inode == inode)
    }

    /// Finds the sockets that listen on an address, and asks if one belongs to
    /// a role.
    pub(crate) fn find(&self, address: SocketAddr, processes: &Processes<'_>) -> Found {
        let inodes: Vec<u64> = self
            .at(address, processes.in_network)
            .map(|listener| listener.inode)
            .collect();
        let Some(&first) = inodes.first() else {
            return Found::Nothing;
        };
        let own = inodes.iter().find(|inode| processes.own(**inode));
        own.map_or(Found::Other(first), |inode| Found::Own(*inode))
    }

    /// Returns the reason why no process of a role listens on an address, as
    /// one line.
    pub(crate) fn explain(&self, address: SocketAddr, processes: &Processes<'_>) -> String {
        let misplaced = self.misplaced(address, processes);
        misplaced.unwrap_or_else(|| format!("nothing listens on {address}"))
    }

    /// Returns one line about another process that listens on an address, or
    /// about other addresses on which the role listens.
    pub(crate) fn misplaced(
        &self,
        address: SocketAddr,
        processes: &Processes<'_>,
    ) -> Option<String> {
        if let Found::Other(inode) = self.find(address, processes) {
            return Some(match sockets::owner_of(inode) {
                Some(owner) => format!(
                    "{address} belongs to another process, {} <{}>",
                    owner.name, owner.pid
                ),
                None => format!("{address} belongs to a process of another user"),
            });
        }
        let mut own: Vec<SocketAddr> = processes
            .all()
            .filter_map(|pid| sockets::inodes_of(pid).ok())
            .flat_map(|inodes| {
                let own = self
                    .of(processes.in_network)
                    .iter()
                    .filter(move |it| inodes.contains(&it.inode));
                own.map(|listener| listener.address)
            })
            .collect();
        own.sort_unstable();
        own.dedup();
        if own.is_empty() || own.contains(&address) {
            return None;
        }
        let own: Vec<String> = own.iter().map(ToString::to_string).collect();
        Some(format!(
            "listens on {}, expected {address}; pass the port, for example `env = {{ PORT = \"{{port}}\" }}`",
            own.join(", ")
        ))
    }
}

impl Processes<'_> {
    /// Returns all processes, the main one first. The others are found only
    /// when they are needed.
    fn all(&self) -> impl Iterator<Item = u32> {
        let below = std::iter::once_with(|| sockets::descendants(self.main));
        let others = std::iter::once_with(|| (self.others)());
        let others = others.flat_map(|pids| {
            let below: Vec<u32> = pids
                .iter()
                .flat_map(|pid| sockets::descendants(*pid))
                .collect();
            pids.into_iter().chain(below)
        });
        std::iter::once(self.main)
            .chain(below.flatten())
            .chain(others)
    }

    /// Returns true if a process has the socket `inode` open. A process whose
    /// sockets may not be read, such as one with capabilities of its own,
    /// counts as its owner.
    fn own(&self, inode: u64) -> bool {
        self.all().any(|pid| match sockets::inodes_of(pid) {
            Ok(inodes) => inodes.contains(&inode),
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        })
    }
}
