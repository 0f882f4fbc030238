//! Messages of `sock_diag(7)`: the request for all TCP sockets that listen, and its
//! answers.
//!
//! Written by hand, since a crate for them takes a tenth of the time to compile
//! this tool. Numbers have the byte order of the machine, ports and addresses
//! that of the network.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::host::net::listener::Listener;

/// Sockets with an IPv4 address (`AF_INET`).
pub(super) const V4: u8 = 2;
/// Sockets with an IPv6 address (`AF_INET6`).
pub(super) const V6: u8 = 10;

/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// The set of states that has `TCP_LISTEN` alone.
const LISTEN: u32 = 1 << 10;
/// `NLM_F_REQUEST` and `NLM_F_DUMP`.
const REQUEST_AND_DUMP: u16 = 0x001 | 0x300;
/// Types of messages: `NLMSG_ERROR`, `NLMSG_DONE`, `SOCK_DIAG_BY_FAMILY`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const BY_FAMILY: u16 = 20;
/// `INET_DIAG_SKV6ONLY`.
const V6_ONLY: u16 = 11;

/// Size of an `nlmsghdr`: length, type, flags, sequence number, port.
const HEAD: usize = 16;
/// Size of an `nlattr`: length and type.
const ATTRIBUTE_HEAD: usize = 4;
/// Size of an `inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Size of an `inet_diag_msg`, whose inode comes last.
const RESPONSE: usize = 72;
/// Offsets in an `inet_diag_msg`.
const PORT_AT: usize = 4;
const ADDRESS_AT: usize = 8;
const INODE_AT: usize = 68;

/// Returns the request for all sockets of a family that listen.
pub(super) fn request(family: u8) -> Vec<u8> {
    let length = u32::try_from(HEAD + REQUEST).unwrap_or_default();
    let mut message = Vec::with_capacity(HEAD + REQUEST);
    message.extend(length.to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST_AND_DUMP.to_ne_bytes());
    message.extend([0; 8]);
    // Family, protocol, extensions, padding; states; the id of a socket, which
    // is not used: ports, addresses, interface, and no cookie.
    message.extend([family, TCP, 0, 0]);
    message.extend(LISTEN.to_ne_bytes());
    message.extend([0; 40]);
    message.extend([0xff; 8]);
    message
}

/// Adds the sockets in one part of an answer. Returns true if it is the last
/// part.
pub(super) fn take(mut part: &[u8], listeners: &mut Vec<Listener>) -> io::Result<bool> {
    while !part.is_empty() {
        let length = u32::from_ne_bytes(bytes(part, 0)?) as usize;
        let kind = u16::from_ne_bytes(bytes(part, 4)?);
        let message = part.get(HEAD..length).ok_or_else(truncated)?;
        match kind {
            BY_FAMILY => listeners.push(listener(message)?),
            DONE => return Ok(true),
            ERROR => match i32::from_ne_bytes(bytes(message, 0)?) {
                0 => {}
                error => return Err(io::Error::from_raw_os_error(error.saturating_neg())),
            },
            _ => {}
        }
        // Messages begin at multiples of four bytes.
        part = part.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Reads what is needed of an `inet_diag_msg` and its attributes.
fn listener(message: &[u8]) -> io::Result<Listener> {
    let [family] = bytes(message, 0)?;
    let port = u16::from_be_bytes(bytes(message, PORT_AT)?);
    let address = match family {
        V4 => Ipv4Addr::from(bytes::<4>(message, ADDRESS_AT)?).into(),
        _ => Ipv6Addr::from(bytes::<16>(message, ADDRESS_AT)?).into(),
    };
    let inode = u32::from_ne_bytes(bytes(message, INODE_AT)?);
    let mut is_v6_only = false;
    let mut attributes = message.get(RESPONSE..).unwrap_or_default();
    while attributes.len() >= ATTRIBUTE_HEAD {
        let length = usize::from(u16::from_ne_bytes(bytes(attributes, 0)?));
        let kind = u16::from_ne_bytes(bytes(attributes, 2)?);
        let value = attributes.get(ATTRIBUTE_HEAD..length);
        let value = value.ok_or_else(truncated)?;
        is_v6_only |= kind == V6_ONLY && *value == [1];
        attributes = attributes
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(Listener {
        address: SocketAddr::new(address, port),
        is_v6_only,
        inode: inode.into(),
    })
}

fn bytes<const N: usize>(message: &[u8], at: usize) -> io::Result<[u8; N]> {
    let rest = message.get(at..).unwrap_or_default();
    rest.first_chunk().copied().ok_or_else(truncated)
}

fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "an answer of the kernel is truncated",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a message with a head.
    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEAD + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.resize(HEAD, 0);
        message.extend(body);
        message
    }

    /// Returns an answer about a socket that is bound to `[::1]:80`.
    fn answer(attributes: &[u8]) -> Vec<u8> {
        let mut body = vec![0; RESPONSE];
        body[0] = V6;
        body[PORT_AT..ADDRESS_AT].copy_from_slice(&[0, 80, 0, 0]);
        body[ADDRESS_AT + 15] = 1;
        body[INODE_AT..].copy_from_slice(&4711_u32.to_ne_bytes());
        body.extend(attributes);
        message(BY_FAMILY, &body)
    }

    fn attribute(kind: u16, value: u8) -> Vec<u8> {
        let head = [5_u16, kind].map(u16::to_ne_bytes).concat();
        [&head[..], &[value, 0, 0, 0]].concat()
    }

    #[test]
    fn sockets_are_read_until_the_end() {
        let only = [attribute(8, 7), attribute(V6_ONLY, 1)].concat();
        let part = [answer(&[]), answer(&only), message(DONE, &[0; 4])].concat();
        let mut found = Vec::new();
        assert!(take(&part, &mut found).unwrap());
        let listener = |is_v6_only| Listener {
            address: "[::1]:80".parse().unwrap(),
            is_v6_only,
            inode: 4711,
        };
        assert_eq!(found, [listener(false), listener(true)]);
        assert!(!take(&answer(&[]), &mut found).unwrap());
    }

    #[test]
    fn an_error_has_its_number() {
        let error = take(&message(ERROR, &(-2_i32).to_ne_bytes()), &mut Vec::new());
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_truncated_answer_is_an_error() {
        let whole = answer(&attribute(V6_ONLY, 1));
        for length in 1..whole.len() {
            assert!(
                take(&whole[..length], &mut Vec::new()).is_err(),
                "{length} bytes"
            );
        }
        let lengths = [0_u32, 3, 15, u32::MAX].map(u32::to_ne_bytes);
        for length in lengths {
            let wrong = [&length[..], &whole[4..]].concat();
            assert!(take(&wrong, &mut Vec::new()).is_err(), "{length:?}");
        }
        let wrong = answer(&[[9, 0, 0, 0], [0, 0, 0, 0]].concat());
        assert!(take(&wrong, &mut Vec::new()).is_err());
    }
}
