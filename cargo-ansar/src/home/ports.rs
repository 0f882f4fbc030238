//! The ports of a home's roles: `ports.json`.
//!
//! A deploy allocates a port for every role that refers to one. The number is
//! kept: it is the same after every restart and in every shell.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::home::role::{Entry, Origin};
use crate::home::{Home, HomeError, read_json, write_json};
use crate::model::instance::instance_name;
use crate::model::name::RoleName;
use crate::model::placeholder::Placeholder;

/// File in the root of a home.
const FILE: &str = "ports.json";
/// File in the root of an agent's home.
const HOSTS_FILE: &str = "hosts.json";

/// First port that is allocated.
const FIRST: u16 = 20_000;

/// Address that roles listen on.
pub const BIND: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The allocated ports, by role and by name of the port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ports {
    ports: BTreeMap<RoleName, BTreeMap<String, u16>>,
    #[serde(skip)]
    hosts: Hosts,
}

/// The addresses of roles that run on several machines: `hosts.json` in the home
/// of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hosts {
    /// Address that the roles of this machine listen on; [`BIND`] if unset.
    pub bind: Option<Ipv4Addr>,
    /// Addresses of roles; [`BIND`] for all others.
    pub roles: BTreeMap<RoleName, Ipv4Addr>,
}

/// A port that had to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The role.
    pub role: RoleName,
    /// The port that was taken by another program.
    pub before: u16,
    /// The port that replaces it.
    pub after: u16,
}

/// Ports that roles need, with their numbers where these are fixed.
pub type Needed = BTreeMap<RoleName, BTreeMap<String, Option<u16>>>;

impl Ports {
    /// Returns a port.
    pub fn get(&self, role: &RoleName, name: &str) -> Option<u16> {
        self.ports.get(role)?.get(name).copied()
    }

    /// Returns the ports of a role, by name.
    pub fn of(&self, role: &RoleName) -> impl Iterator<Item = (&str, u16)> {
        let ports = self.ports.get(role).into_iter().flatten();
        ports.map(|(name, port)| (name.as_str(), *port))
    }

    /// Returns the address of a port.
    pub fn address(&self, role: &RoleName, name: &str) -> Option<SocketAddrV4> {
        Some(SocketAddrV4::new(self.host(role), self.get(role, name)?))
    }

    /// Returns the address of a role.
    pub fn host(&self, role: &RoleName) -> Ipv4Addr {
        self.hosts.roles.get(role).copied().unwrap_or(BIND)
    }

    /// Returns the address that roles of this machine listen on.
    pub fn bind(&self) -> Ipv4Addr {
        self.hosts.bind.unwrap_or(BIND)
    }

    /// Returns the same ports on these machines.
    #[must_use]
    pub fn with_hosts(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }

    /// Returns the ports as a test role and its instances see them: those of its
    /// instances in place of those of the roles in `fresh`.
    #[must_use]
    pub fn seen_from(&self, test: &RoleName, fresh: &[RoleName]) -> Self {
        let mut seen = self.clone();
        for role in fresh {
            let name = instance_name(test, role).ok();
            let host = name.as_ref().and_then(|name| self.hosts.roles.get(name));
            if let Some(host) = host {
                seen.hosts.roles.insert(role.clone(), *host);
            }
            if let Some(own) = name.and_then(|name| seen.ports.remove(&name).map(|own| (name, own)))
            {
                seen.ports.insert(role.clone(), own.1.clone());
                seen.ports.insert(own.0, own.1);
            }
        }
        seen
    }

    /// Returns the variables that tell other programs the ports: `ANSAR_DB_0_PORT`,
    /// `ANSAR_DB_0_HOST` and `ANSAR_DB_0_ADDRESS`; for a port with a name,
    /// `ANSAR_DB_0_ADMIN_PORT` and so on.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (role, ports) in &self.ports {
            for (name, port) in ports {
                let of = match name.as_str() {
                    crate::model::placeholder::DEFAULT_PORT => role.to_string(),
                    name => format!("{role}_{name}"),
                };
                let of = of.to_ascii_uppercase().replace('-', "_");
                let host = self.host(role);
                let address = SocketAddrV4::new(host, *port);
                variables.push((format!("ANSAR_{of}_PORT"), port.to_string()));
                variables.push((format!("ANSAR_{of}_HOST"), host.to_string()));
                variables.push((format!("ANSAR_{of}_ADDRESS"), address.to_string()));
            }
        }
        variables
    }

    /// Allocates the needed ports and forgets all others. Keeps a port that
    /// `is_usable` for its role, and replaces one that is not by the next one
    /// of `range` that is, beginning after it. New ports are looked for from
    /// `start` on.
    pub fn allocate(
        &mut self,
        needed: &Needed,
        range: &Range<u16>,
        start: u16,
        is_usable: &mut dyn FnMut(&RoleName, u16) -> bool,
    ) -> Vec<Moved> {
        let before = std::mem::take(&mut self.ports);
        let fixed = needed.values().flatten().filter_map(|(_, port)| *port);
        let mut taken: BTreeSet<u16> = fixed.collect();
        let mut moved = Vec::new();
        let mut missing = Vec::new();
        for (role, ports) in needed {
            let own = self.ports.entry(role.clone()).or_default();
            for (name, port) in ports {
                let known = before.get(role).and_then(|own| own.get(name)).copied();
                match (port, known) {
                    (Some(port), _) => {
                        own.insert(name.clone(), *port);
                    }
                    (None, Some(known)) if !taken.contains(&known) && is_usable(role, known) => {
                        taken.insert(known);
                        own.insert(name.clone(), known);
                    }
                    (None, known) => missing.push((role, name, known)),
                }
            }
        }
        for (role, name, known) in missing {
            let from = known.map_or(start, |known| known.saturating_add(1));
            let Some(port) = next(range, from, |port| {
                !taken.contains(&port) && is_usable(role, port)
            }) else {
                continue;
            };
            taken.insert(port);
            self.ports
                .entry(role.clone())
                .or_default()
                .insert(name.clone(), port);
            moved.extend(known.map(|before| Moved {
                role: role.clone(),
                before,
                after: port,
            }));
        }
        self.ports.retain(|_, ports| !ports.is_empty());
        moved
    }
}

/// Returns the first port of a range that passes, beginning at `from` and
/// wrapping around.
fn next(range: &Range<u16>, from: u16, mut passes: impl FnMut(u16) -> bool) -> Option<u16> {
    let from = if range.contains(&from) {
        from
    } else {
        range.start
    };
    (from..range.end)
        .chain(range.start..from)
        .find(|port| passes(*port))
}

/// Returns the ports that the roles need: those that their texts and the texts
/// and settings of others refer to, and those that are fixed.
pub fn needed<'a>(
    entries: &BTreeMap<RoleName, Entry>,
    settings: impl Iterator<Item = (&'a RoleName, Placeholder)>,
) -> Needed {
    let mut needed = Needed::new();
    let mut add = |role: &RoleName, port: &str, number: Option<u16>| {
        let ports = needed.entry(role.clone()).or_default();
        let known = ports.entry(port.to_owned()).or_default();
        *known = known.or(number);
    };
    let active = |role: &RoleName| {
        let entry = entries.get(role);
        entry.is_some_and(|entry| entry.origin != Origin::Retired)
    };
    let mut refer = |role: &RoleName, placeholder: &Placeholder| match placeholder.port() {
        Some((None, port)) => add(role, port, None),
        Some((Some(other), port)) if active(other) => add(other, port, None),
        _ => {}
    };
    for (role, placeholder) in settings {
        refer(role, &placeholder);
    }
    for (role, entry) in entries {
        if active(role) {
            for placeholder in entry.properties.placeholders() {
                refer(role, placeholder);
            }
        }
    }
    for (role, entry) in entries {
        if active(role) {
            for (name, port) in &entry.properties.ports {
                let ports = needed.entry(role.clone()).or_default();
                ports.insert(name.clone(), Some(*port));
            }
        }
    }
    needed
}

/// Returns the ports that may be allocated: below those that the system gives
/// to outgoing connections.
pub fn range(first_ephemeral: u16) -> Range<u16> {
    if first_ephemeral > FIRST {
        FIRST..first_ephemeral
    } else {
        // The system uses these ports as well; each is checked before its use.
        FIRST..u16::MAX
    }
}

/// Returns the port at which a home begins to look for free ports: different
/// homes rarely meet.
pub fn start(id: &str, range: &Range<u16>) -> u16 {
    let hash = blake3::hash(id.as_bytes());
    let number = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default());
    let length = u64::from(range.end - range.start).max(1);
    range.start + u16::try_from(number % length).unwrap_or_default()
}

impl Home {
    /// Reads the allocated ports.
    pub fn ports(&self) -> Result<Ports, HomeError> {
        let ports: Ports = read_json(&self.root().join(FILE))?.unwrap_or_default();
        let hosts = read_json(&self.root().join(HOSTS_FILE))?;
        Ok(ports.with_hosts(hosts.unwrap_or_default()))
    }

    /// Stores the machines of the roles.
    pub fn set_hosts(&self, hosts: &Hosts) -> Result<(), HomeError> {
        write_json(&self.root().join(HOSTS_FILE), hosts)
    }

    /// Stores the allocated ports.
    pub fn set_ports(&self, ports: &Ports) -> Result<(), HomeError> {
        write_json(&self.root().join(FILE), ports)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANGE: Range<u16> = 100..110;

    fn role(name: &str) -> RoleName {
        name.parse().unwrap()
    }

    fn of(roles: &[(&str, Option<u16>)]) -> Needed {
        let ports = |port: &Option<u16>| BTreeMap::from([("port".to_owned(), *port)]);
        let roles = roles.iter();
        roles
            .map(|(name, port)| (role(name), ports(port)))
            .collect()
    }

    fn all(ports: &Ports) -> Vec<(String, u16)> {
        let each = ports.ports.iter();
        each.flat_map(|(role, ports)| ports.values().map(|port| (role.to_string(), *port)))
            .collect()
    }

    #[test]
    fn ports_are_kept_and_replaced_if_taken() {
        let mut ports = Ports::default();
        let needed = of(&[("a", None), ("b", None)]);
        let moved = ports.allocate(&needed, &RANGE, 109, &mut |_, _| true);
        assert_eq!(moved, []);
        assert_eq!(all(&ports), [("a".to_owned(), 109), ("b".to_owned(), 100)]);
        let before = ports.clone();
        assert_eq!(ports.allocate(&needed, &RANGE, 105, &mut |_, _| true), []);
        assert_eq!(ports, before);
        let moved = ports.allocate(&needed, &RANGE, 105, &mut |_, port| port != 109);
        let expected = Moved {
            role: role("a"),
            before: 109,
            after: 101,
        };
        assert_eq!(moved, [expected]);
        // A role that needs none is forgotten.
        ports.allocate(&of(&[("b", None)]), &RANGE, 105, &mut |_, _| true);
        assert_eq!(all(&ports), [("b".to_owned(), 100)]);
    }

    #[test]
    fn fixed_ports_are_given_to_no_other_role() {
        let mut ports = Ports::default();
        let needed = of(&[("a", None), ("b", Some(100))]);
        ports.allocate(&needed, &RANGE, 100, &mut |_, _| true);
        assert_eq!(all(&ports), [("a".to_owned(), 101), ("b".to_owned(), 100)]);
    }

    #[test]
    fn roles_on_other_machines_have_other_addresses() {
        let mut ports = Ports::default();
        let needed = of(&[("db-0", None), ("fresh-test-a-db-0", None), ("api-0", None)]);
        ports.allocate(&needed, &RANGE, 100, &mut |_, _| true);
        let hosts = Hosts {
            bind: Some(Ipv4Addr::new(10, 0, 0, 2)),
            roles: BTreeMap::from([
                (role("db-0"), Ipv4Addr::new(10, 0, 0, 1)),
                (role("fresh-test-a-db-0"), Ipv4Addr::new(10, 0, 0, 2)),
            ]),
        };
        let ports = ports.with_hosts(hosts);
        let address = |ports: &Ports, name| ports.address(&role(name), "port").unwrap();
        assert_eq!(address(&ports, "db-0").ip().octets(), [10, 0, 0, 1]);
        assert_eq!(address(&ports, "api-0").ip(), &BIND);
        assert_eq!(ports.bind().octets(), [10, 0, 0, 2]);
        let variables = ports.variables();
        assert!(variables.contains(&("ANSAR_DB_0_HOST".to_owned(), "10.0.0.1".to_owned())));
        // A test sees its own instance in place of the role.
        let seen = ports.seen_from(&role("test-a"), &[role("db-0")]);
        let own = address(&ports, "fresh-test-a-db-0");
        assert_eq!(address(&seen, "db-0"), own);
        let text = serde_json::to_string(&ports).unwrap();
        let stored: Ports = serde_json::from_str(&text).unwrap();
        assert_eq!(stored, ports.with_hosts(Hosts::default()));
    }

    #[test]
    fn variables_are_named_after_roles_and_ports() {
        let mut ports = Ports::default();
        let mut needed = of(&[("db-0", Some(5432))]);
        let own = needed.get_mut(&role("db-0")).unwrap();
        own.insert("admin".to_owned(), Some(99));
        ports.allocate(&needed, &RANGE, 100, &mut |_, _| true);
        let variables: Vec<String> = ports
            .variables()
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            variables,
            [
                "ANSAR_DB_0_ADMIN_PORT=99",
                "ANSAR_DB_0_ADMIN_HOST=127.0.0.1",
                "ANSAR_DB_0_ADMIN_ADDRESS=127.0.0.1:99",
                "ANSAR_DB_0_PORT=5432",
                "ANSAR_DB_0_HOST=127.0.0.1",
                "ANSAR_DB_0_ADDRESS=127.0.0.1:5432",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_port_is_given_twice(
            count in 0_usize..12, start in 90_u16..120, taken in prop::collection::btree_set(100_u16..110, 0..6)
        ) {
            let names: Vec<String> = (0..count).map(|nth| format!("r-{nth}")).collect();
            let names: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
            let mut ports = Ports::default();
            ports.allocate(&of(&names), &RANGE, start, &mut |_, port| !taken.contains(&port));
            let given: Vec<u16> = all(&ports).into_iter().map(|(_, port)| port).collect();
            let different: BTreeSet<u16> = given.iter().copied().collect();
            prop_assert_eq!(different.len(), given.len());
            prop_assert!(different.is_disjoint(&taken));
            prop_assert_eq!(given.len(), count.min(10 - taken.len()));
        }
    }
}
