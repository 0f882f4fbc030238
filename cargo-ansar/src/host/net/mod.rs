//! TCP: ports that are held, listening sockets and their owners, and requests
//! that find out if a program answers.

pub mod http;
pub mod ports;
pub mod sockets;
pub mod tcp;
