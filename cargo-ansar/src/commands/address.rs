//! `cargo ansar address`: print the address of a role.

use std::net::SocketAddrV4;

use crate::error::Error;
use crate::home::program::ProgramError;
use crate::model::name::RoleName;
use crate::workspace::Places;
use crate::workspace::roles::known;

/// Returns the address that a role listens on, at its port `port`. It is the
/// same after every restart.
pub fn address(places: &Places, role: &RoleName, port: &str) -> Result<SocketAddrV4, Error> {
    let (home, workspace) = places.open()?;
    known(&home, workspace.as_ref(), role)?;
    let ports = home.ports()?;
    let address = ports.address(role, port);
    address.ok_or_else(|| {
        ProgramError::NoPort {
            role: role.clone(),
            port: port.to_owned(),
            others: ports.of(role).map(|(name, _)| name.to_owned()).collect(),
        }
        .into()
    })
}
