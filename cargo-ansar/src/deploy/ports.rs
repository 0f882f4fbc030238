//! Allocating the ports of roles.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::events::{DeployEvent, Events};
use crate::home::Home;
use crate::home::ports;
use crate::home::ports::{Moved, Needed, Ports};
use crate::home::role::Entry;
use crate::host::net::ports::{HeldPort, first_ephemeral_port};
use crate::model::name::RoleName;
use crate::model::placeholder::{Placeholder, Template};
use crate::model::role_properties::NetworkKind;

/// Settings of roles, as written: texts in them may have placeholders.
pub(crate) type Settings = BTreeMap<RoleName, Map<String, Value>>;

/// Allocates the ports that the roles need. Ports that another program took
/// while their role did not run are replaced. Writes nothing.
pub(crate) fn allocate(
    home: &Home,
    entries: &BTreeMap<RoleName, Entry>,
    settings: &Settings,
) -> Result<(Ports, Vec<Moved>), Error> {
    let in_settings = settings.iter().flat_map(|(role, settings)| {
        let texts = settings.values().flat_map(texts);
        let uses = texts.flat_map(|text| {
            let template = Template::lenient(text);
            template.uses().cloned().collect::<Vec<Placeholder>>()
        });
        uses.map(move |placeholder| (role, placeholder))
    });
    allocate_needed(home, entries, &ports::needed(entries, in_settings))
}

/// Allocates the ports that the roles and `references` need, and keeps those
/// that are allocated already. Writes nothing.
pub(crate) fn allocate_more<'a>(
    home: &Home,
    entries: &BTreeMap<RoleName, Entry>,
    references: impl Iterator<Item = (&'a RoleName, Placeholder)>,
) -> Result<Ports, Error> {
    let mut needed = ports::needed(entries, references);
    let known = home.ports()?;
    for role in entries.keys() {
        for (name, _) in known.of(role) {
            let ports = needed.entry(role.clone()).or_default();
            ports.entry(name.to_owned()).or_default();
        }
    }
    Ok(allocate_needed(home, entries, &needed)?.0)
}

/// Allocates ports for `instances`, each with the names of its role's ports.
/// Writes nothing: they are held until the end of the run.
pub(crate) fn allocate_instances(
    home: &Home,
    instances: &BTreeMap<RoleName, Entry>,
) -> Result<Ports, Error> {
    let known = home.ports()?;
    let mut entries = home.entries()?;
    entries.extend(
        instances
            .iter()
            .map(|(role, it)| (role.clone(), it.clone())),
    );
    let own = instances.iter().flat_map(|(role, entry)| {
        let of = entry.instance.as_ref().map(|it| known.of(&it.of));
        of.into_iter().flatten().map(move |(port, _)| {
            let port = port.to_owned();
            (role, Placeholder::Port { role: None, port })
        })
    });
    allocate_more(home, &entries, own)
}

fn allocate_needed(
    home: &Home,
    entries: &BTreeMap<RoleName, Entry>,
    needed: &Needed,
) -> Result<(Ports, Vec<Moved>), Error> {
    if needed.is_empty() {
        return Ok((Ports::default(), Vec::new()));
    }
    let before = home.ports()?;
    let is_own = |role: &RoleName, port| before.of(role).any(|(_, own)| own == port);
    let range = ports::range(first_ephemeral_port());
    let start = ports::start(home.id(), &range);
    let mut failed = None;
    let mut is_usable = |role: &RoleName, port: u16| {
        let address = std::net::SocketAddrV4::new(before.bind(), port);
        // No other program is in the network of the home.
        let is_apart = |entry: &Entry| entry.properties.network == Some(NetworkKind::Own);
        if entries.get(role).is_some_and(is_apart) || HeldPort::hold(address).is_ok() {
            return true;
        }
        // The port of a running role is its own.
        match home.holder(role) {
            Ok(holder) => holder.is_some() && is_own(role, port),
            Err(error) => {
                failed.get_or_insert(error);
                true
            }
        }
    };
    let mut ports = before.clone();
    let moved = ports.allocate(needed, &range, start, &mut is_usable);
    match failed {
        None => Ok((ports, moved)),
        Some(error) => Err(error.into()),
    }
}

/// Emits an event for each port that was replaced.
pub(crate) fn report(moved: &[Moved], events: &Events) {
    for Moved {
        role,
        before,
        after,
    } in moved
    {
        events.emit(DeployEvent::PortMoved {
            role: role.clone(),
            before: *before,
            after: *after,
        });
    }
}

/// Returns all texts in a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
