//! `cargo ansar doctor`: the state of the system, the home and the workspace.
//!
//! Each feature decides about the data that it depends on; this command only
//! collects the findings.

use crate::error::Error;
use crate::home::Home;
use crate::home::health;
use crate::host::limits;
use crate::host::net::own_network::Network;
use crate::host::process::unprivileged;
use crate::model::finding::{Finding, State};
use crate::model::role_properties::{NetworkKind, RoleProperties};
use crate::supervisor::{client, requirements};
use crate::watch;
use crate::workspace::{Places, Workspace, description_of, editors};

/// Returns the findings. An error of a check is a finding, too.
pub async fn doctor(places: &Places) -> Vec<Finding> {
    let (workspace, mut findings) = match places.workspace() {
        Ok(workspace) => (workspace, Vec::new()),
        Err(error) => (None, vec![failed("workspace", &error)]),
    };
    if findings.is_empty() {
        findings.push(described(workspace.as_ref()));
    }
    let root = places.home(workspace.as_ref());
    let home = Home::open(&root);
    let properties = properties(workspace.as_ref(), home.as_ref().ok());
    let of_system = limits::read();
    findings.extend(requirements::limits(&of_system, properties.len()));
    findings.extend(watch::limits::check(&of_system));
    findings.extend(requirements::services(&limits::services()));
    let is_needed = properties.iter().any(|role| {
        role.network == Some(NetworkKind::Own) || (role.unprivileged && unprivileged::is_root())
    });
    let network = Network::start(None).err().map(|error| error.to_string());
    findings.push(requirements::namespaces(network.as_deref(), is_needed));
    findings.push(health::opening(&root, &home));
    if let Ok(home) = &home {
        findings.push(engines(home).await);
        findings.push(home.check_leftovers());
        findings.push(home.check_contract());
        findings.push(home.check_ignored());
    }
    if let Some(workspace) = &workspace {
        findings.extend(editors::check(&workspace.root));
    }
    findings
}

/// Returns the finding for a check that failed.
fn failed(check: &'static str, error: &Error) -> Finding {
    Finding {
        check,
        state: State::Error,
        text: error.to_string(),
        hint: error.hint(),
    }
}

fn described(workspace: Option<&Workspace>) -> Finding {
    const CHECK: &str = "workspace";
    match workspace {
        None => Finding::ok(CHECK, "none here"),
        Some(workspace) if workspace.describes_roles() => {
            Finding::ok(CHECK, format!("`{}`", workspace.manifest.display()))
        }
        Some(workspace) => Finding::new(
            CHECK,
            State::Warning,
            format!("`{}` describes no roles", workspace.manifest.display()),
            "describe them with `cargo ansar init`",
        ),
    }
}

/// Returns the properties of all roles: those of the manifest, or else those of
/// the home.
fn properties(workspace: Option<&Workspace>, home: Option<&Home>) -> Vec<RoleProperties> {
    let description = description_of(workspace);
    if let Some(description) = description {
        let roles = description.roles.iter();
        return roles.map(|spec| spec.properties.clone()).collect();
    }
    let entries = home.and_then(|home| home.entries().ok());
    let entries = entries.unwrap_or_default().into_values();
    entries.map(|entry| *entry.properties).collect()
}

async fn engines(home: &Home) -> Finding {
    let marks = match home.marks() {
        Ok(marks) => marks,
        Err(error) => return failed("engines", &error.into()),
    };
    // A mark that its engine is about to remove is not stale.
    let stale = marks.stale.iter().filter(|stale| !stale.is_alive());
    let stale: Vec<u32> = stale.map(|stale| stale.pid).collect();
    let silent = client::silent(home, &marks.live).await;
    requirements::engines(&stale, &silent, marks.live.len())
}
