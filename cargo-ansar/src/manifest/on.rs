//! Options of drivers: `[workspace.metadata.ansar.on]`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::node::Node;
use crate::manifest::values::{duration, shards};
use crate::model::did_you_mean::did_you_mean;
use crate::model::remote::{DriverName, DriverOptions};

/// The keys that every driver has.
const KEYS: [&str; 3] = ["shards", "place-timeout", "lease"];
/// A number of shards, in messages.
const SHARDS: &str = "a number of shards, 1 at least";
/// The keys of a driver that runs a command of the user.
const COMMAND_KEYS: &[&str] = &["command", "quote", KEYS[0], KEYS[1], KEYS[2]];

/// The keys of a driver of a cluster.
const CLUSTER_KEYS: &[&str] = &["args", "time-limit", KEYS[0], KEYS[1], KEYS[2]];

/// The keys of the driver that runs pods.
const POD_KEYS: &[&str] = &[
    "image",
    "namespace",
    "pod",
    CLUSTER_KEYS[0],
    CLUSTER_KEYS[1],
    KEYS[0],
    KEYS[1],
    KEYS[2],
];

/// Shortest lease: signs of life need some time.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// Reads the tables of drivers, by name.
pub(crate) fn read(
    node: &Node<'_>,
) -> Result<BTreeMap<DriverName, DriverOptions>, DescriptionError> {
    let mut drivers = BTreeMap::new();
    for table in node.entries("a table of drivers by name")? {
        let known = DriverName::ALL.iter().find(|(name, _)| *name == table.name);
        let Some((_, driver)) = known else {
            let expected: &[&str] = &["local", "command", "slurm", "kubernetes"];
            return Err(table.key_error(&Problem::UnknownKey {
                expected,
                similar: did_you_mean(table.name, expected.iter().copied()),
            }));
        };
        drivers.insert(*driver, options(*driver, &table)?);
    }
    Ok(drivers)
}

fn options(driver: DriverName, table: &Node<'_>) -> Result<DriverOptions, DescriptionError> {
    let keys = match driver {
        DriverName::Local => &KEYS,
        DriverName::Command => COMMAND_KEYS,
        DriverName::Slurm => CLUSTER_KEYS,
        DriverName::Kubernetes => POD_KEYS,
    };
    let mut options = DriverOptions::default();
    for field in table.entries("a table of options")? {
        match field.name {
            name if !keys.contains(&name) => return Err(field.unknown_key(keys)),
            "shards" => options.shards = Some(shards(&field, SHARDS)?),
            "place-timeout" => options.place_timeout = Some(duration(&field)?),
            "lease" => options.lease = Some(lease(&field)?),
            "time-limit" => options.time_limit = Some(duration(&field)?),
            "args" => options.args = Some(arguments(&field)?),
            "image" => options.image = Some(text(&field, "an image, such as \"debian:12\"")?),
            "namespace" => options.namespace = Some(text(&field, "a namespace")?),
            "pod" => options.pod = Some(text(&field, "a path of a file, such as \"pod.json\"")?),
            "quote" => options.quote = Some(field.flag("`true` or `false`")?),
            _ => options.command = command(&field)?,
        }
    }
    Ok(options)
}

fn lease(node: &Node<'_>) -> Result<Duration, DescriptionError> {
    const EXPECTED: &str = "a duration of one second at least, such as \"10s\"";
    let lease = duration(node)?;
    if lease < SHORTEST_LEASE {
        return Err(node.wrong_value(node.string(EXPECTED)?, EXPECTED));
    }
    Ok(lease)
}

fn text(node: &Node<'_>, expected: &'static str) -> Result<String, DescriptionError> {
    let text = node.string(expected)?;
    if text.is_empty() || text.contains('\0') {
        return Err(node.wrong_value(text, expected));
    }
    Ok(text.to_owned())
}

fn arguments(node: &Node<'_>) -> Result<Vec<String>, DescriptionError> {
    const EXPECTED: &str = "an array of arguments, such as [\"--partition=debug\"]";
    let elements = node.elements(EXPECTED)?;
    let arguments = elements.iter().map(|element| {
        let argument = element.string(EXPECTED)?;
        if argument.contains('\0') {
            return Err(element.wrong_value(argument, EXPECTED));
        }
        Ok(argument.to_owned())
    });
    arguments.collect()
}

fn command(node: &Node<'_>) -> Result<Vec<String>, DescriptionError> {
    const EXPECTED: &str = "an array of words, such as [\"ssh\", \"node{shard}\"]";
    let mut words = Vec::new();
    for element in node.elements(EXPECTED)? {
        let word = element.string(EXPECTED)?;
        if word.contains('\0') || (words.is_empty() && word.is_empty()) {
            return Err(element.wrong_value(word, EXPECTED));
        }
        words.push(word.to_owned());
    }
    if words.is_empty() {
        return Err(node.wrong_value("[]", EXPECTED));
    }
    Ok(words)
}
