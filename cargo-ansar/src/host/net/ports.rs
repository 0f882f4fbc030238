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
    /// A second claim, which other holders respect even where connections that
    /// have ended keep the port busy.
    #[cfg(target_os = "linux")]
    _claim: OwnedFd,
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
        let system = |error: rustix::io::Errno| HoldError::System(error.into());
        let in_use = |error| match error {
            rustix::io::Errno::ADDRINUSE => HoldError::InUse,
            other => system(other),
        };
        // Connections that a server closed keep its port busy for a minute.
        // With `SO_REUSEADDR` they do not matter, but neither do other holders;
        // those are kept out by the claim.
        let socket = match bound(address, false) {
            Err(rustix::io::Errno::ADDRINUSE) => bound(address, true).map_err(in_use)?,
            other => other.map_err(system)?,
        };
        let own = rustix::net::getsockname(&socket).map_err(system)?;
        let address = SocketAddrV4::try_from(own).map_err(system)?;
        #[cfg(target_os = "linux")]
        let claim = claim(address).map_err(in_use)?;
        // Set after `bind`, so that this socket shares the port only with
        // sockets that are bound later and have it set too.
        sockopt::set_socket_reuseaddr(&socket, true).map_err(system)?;
        Ok(Self {
            address,
            #[cfg(target_os = "linux")]
            _socket: socket,
            #[cfg(target_os = "linux")]
            _claim: claim,
        })
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }
}

/// Returns a socket with an abstract name that only one holder of an address
/// can have. It ends with its process.
#[cfg(target_os = "linux")]
fn claim(address: SocketAddrV4) -> rustix::io::Result<OwnedFd> {
    let name = format!("cargo-ansar/port/{address}");
    let name = rustix::net::SocketAddrUnix::new_abstract_name(name.as_bytes())?;
    let claim = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    bind(&claim, &name)?;
    Ok(claim)
}

/// Returns a socket that is bound to an address and that no child inherits.
/// With `reuse`, ended connections of the port do not matter.
fn bound(address: SocketAddrV4, reuse: bool) -> rustix::io::Result<std::os::fd::OwnedFd> {
    #[cfg(target_os = "linux")]
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    #[cfg(not(target_os = "linux"))]
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, reuse)?;
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
    #[cfg(target_os = "linux")]
    fn port_with_ended_connections_is_held() {
        let address = {
            let held = any_port([127, 41, 1, 3]);
            let listener = TcpListener::bind(held.address()).unwrap();
            let mut client = std::net::TcpStream::connect(held.address()).unwrap();
            // The server closes first, so its side of the connection stays.
            drop(listener.accept().unwrap());
            assert_eq!(std::io::Read::read(&mut client, &mut [0]).unwrap(), 0);
            drop(client);
            held.address()
        };
        let held = HeldPort::hold(address).unwrap();
        let second = HeldPort::hold(held.address());
        assert!(matches!(second, Err(HoldError::InUse)), "{second:?}");
        TcpListener::bind(held.address()).unwrap();
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
