//! Holding a TCP port for a program that is about to listen on it.

use std::io;
use std::net::SocketAddrV4;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, sockopt};
use thiserror::Error;

/// First port that the kernel gives to outgoing connections, if it does not
/// say.
const FIRST_EPHEMERAL_PORT: u16 = 32_768;

/// A port that no other holder can bind, and that the kernel gives to no
/// connection. Dropping it releases the port; so does the end of this process.
///
/// On Linux, a program that sets `SO_REUSEADDR`, as servers do, binds and
/// listens on it all the same. Elsewhere it could not, so the port is only
/// checked, not held.
#[derive(Debug)]
pub struct HeldPort {
    address: SocketAddrV4,
    #[cfg(target_os = "linux")]
    _socket: OwnedFd,
}

/// The reason why a port is not held.
#[derive(Debug, Error)]
pub enum HoldError {
    /// A socket has the port already.
    #[error("address already in use")]
    InUse,
    /// The system refuses.
    #[error(transparent)]
    System(io::Error),
}

impl HeldPort {
    /// Holds a port; `port` 0 holds any free one.
    pub fn hold(address: SocketAddrV4) -> Result<Self, HoldError> {
        let socket = bound(address).map_err(|error| match error {
            rustix::io::Errno::ADDRINUSE => HoldError::InUse,
            other => HoldError::System(other.into()),
        })?;
        let system = |error: rustix::io::Errno| HoldError::System(error.into());
        let own = rustix::net::getsockname(&socket).map_err(system)?;
        let address = SocketAddrV4::try_from(own).map_err(system)?;
        // Set after `bind`, so that this socket shares the port only with
        // sockets that are bound later and have it set too.
        sockopt::set_socket_reuseaddr(&socket, true).map_err(system)?;
        Ok(Self {
            address,
            #[cfg(target_os = "linux")]
            _socket: socket,
        })
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }
}

/// Returns a socket that is bound to an address without `SO_REUSEADDR`, and
/// that no child inherits.
fn bound(address: SocketAddrV4) -> rustix::io::Result<std::os::fd::OwnedFd> {
    #[cfg(target_os = "linux")]
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    #[cfg(not(target_os = "linux"))]
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &address)?;
    Ok(socket)
}

/// Returns the first port that the kernel gives to outgoing connections. Ports
/// below it are taken only by programs that ask for them.
pub fn first_ephemeral_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|range| first_of(&range));
    first.unwrap_or(FIRST_EPHEMERAL_PORT)
}

fn first_of(range: &str) -> Option<u16> {
    range.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn any_port(host: [u8; 4]) -> HeldPort {
        HeldPort::hold(SocketAddrV4::new(Ipv4Addr::from(host), 0)).unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn held_port_has_one_holder() {
        let held = any_port([127, 41, 1, 1]);
        let second = HeldPort::hold(held.address());
        assert!(matches!(second, Err(HoldError::InUse)), "{second:?}");
        let address = held.address();
        drop(held);
        HeldPort::hold(address).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn server_listens_on_a_held_port_again_and_again() {
        let held = any_port([127, 41, 1, 2]);
        for _ in 0..2 {
            let listener = TcpListener::bind(held.address()).unwrap();
            let client = std::net::TcpStream::connect(held.address()).unwrap();
            listener.accept().unwrap();
            drop(client);
        }
        let second = HeldPort::hold(held.address());
        assert!(matches!(second, Err(HoldError::InUse)), "{second:?}");
    }

    #[test]
    fn port_of_a_server_is_not_held() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, server.local_addr().unwrap().port());
        let held = HeldPort::hold(address);
        assert!(matches!(held, Err(HoldError::InUse)), "{held:?}");
    }

    #[test]
    fn foreign_address_is_refused_by_the_system() {
        let address = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 0);
        let held = HeldPort::hold(address);
        assert!(matches!(held, Err(HoldError::System(_))), "{held:?}");
    }

    #[test]
    fn range_is_parsed() {
        assert_eq!(first_of("32768\t60999\n"), Some(32_768));
        assert_eq!(first_of(""), None);
        assert!(first_ephemeral_port() > 0);
    }
}
