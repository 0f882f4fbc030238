//! TCP: ports that are held, listening sockets and their owners, requests that
//! find out if a program answers, and networks apart from that of the system.

pub mod http;
mod listener;
pub mod own_network;
pub mod ports;
#[cfg(target_os = "linux")]
mod sock_diag;
pub mod sockets;
pub mod tcp;
pub mod web_server;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::host::environment;

/// Time that a name server gets to answer.
const LOOKUP: Duration = Duration::from_secs(2);

/// Returns the address by which other machines reach this one, if it is known:
/// that in `ANSAR_ADDRESS`, that of the connection of `ssh`, or else that of its
/// name. A loopback address is none.
pub async fn own_address() -> Option<Ipv4Addr> {
    let is_reachable = |address: &Ipv4Addr| !address.is_loopback() && !address.is_unspecified();
    let connection = environment::variable("SSH_CONNECTION").unwrap_or_default();
    let of_ssh = connection.split_ascii_whitespace().nth(2);
    let told = environment::variable("ANSAR_ADDRESS");
    for address in [told.as_deref(), of_ssh].into_iter().flatten() {
        if let Some(address) = address.parse().ok().filter(is_reachable) {
            return Some(address);
        }
    }
    let name = environment::host_name();
    let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((name, 0))).await;
    let mut addresses = found.ok()?.ok()?.filter_map(|address| match address.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    addresses.find(is_reachable)
}
