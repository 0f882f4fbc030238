//! TCP: ports that are held, listening sockets and their owners, requests that
//! find out if a program answers, and networks apart from that of the system.

pub mod http;
pub mod own_network;
pub mod ports;
pub mod sockets;
pub mod tcp;
