//! A TCP socket that listens.

use std::net::SocketAddr;

/// A TCP socket that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// The address it is bound to.
    pub address: SocketAddr,
    /// True if it has an IPv6 address and accepts no IPv4 connections.
    pub is_v6_only: bool,
    /// The number of its inode, by which its owners are found.
    pub inode: u64,
}

impl Listener {
    /// Returns true if it accepts connections to an address.
    pub fn accepts(&self, address: SocketAddr) -> bool {
        let own = self.address.ip().to_canonical();
        let is_same = own == address.ip().to_canonical();
        let is_any = own.is_unspecified()
            && match self.address {
                SocketAddr::V4(_) => address.is_ipv4(),
                SocketAddr::V6(_) => address.is_ipv6() || !self.is_v6_only,
            };
        self.address.port() == address.port() && (is_same || is_any)
    }
}
