//! Roles of a home compared with those of the manifest.
//!
//! The manifest is the desired state of the roles that it names; others are
//! left alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::home::role::{Entry, Origin};
use crate::host::{clock, environment};
use crate::manifest::properties;
use crate::manifest::{Description, RoleSpec};
use crate::model::name::RoleName;

/// A change of a role.
#[derive(Debug, PartialEq)]
pub enum RoleStep {
    /// The role is created or changed.
    Set(RoleName, Box<Entry>),
    /// The manifest no longer names the role.
    Retire(RoleName),
}

impl RoleStep {
    /// Applies the step to `entries`.
    pub(crate) fn apply(&self, entries: &mut BTreeMap<RoleName, Entry>) {
        match self {
            Self::Set(role, entry) => {
                entries.insert(role.clone(), (**entry).clone());
            }
            Self::Retire(role) => {
                if let Some(entry) = entries.get_mut(role) {
                    entry.origin = Origin::Retired;
                }
            }
        }
    }

    pub(crate) fn role(&self) -> &RoleName {
        match self {
            Self::Set(role, _) | Self::Retire(role) => role,
        }
    }
}

/// Returns the steps that bring `entries` in line with the manifest.
pub(crate) fn plan_roles(
    entries: &BTreeMap<RoleName, Entry>,
    description: &Description,
) -> Vec<RoleStep> {
    let mut steps = Vec::new();
    for spec in &description.roles {
        let was = entries.get(&spec.name);
        let entry = described(spec, was);
        if was != Some(&entry) {
            steps.push(RoleStep::Set(spec.name.clone(), Box::new(entry)));
        }
    }
    let named: BTreeSet<&RoleName> = description.roles.iter().map(|spec| &spec.name).collect();
    for (role, entry) in entries {
        if entry.origin == Origin::Manifest && !named.contains(role) {
            steps.push(RoleStep::Retire(role.clone()));
        }
    }
    steps
}

/// Returns the entry that the manifest describes, keeping values set by hand.
pub(crate) fn described(spec: &RoleSpec, was: Option<&Entry>) -> Entry {
    let id = was.and_then(|entry| entry.id.clone());
    let mut entry = Entry {
        properties: Box::new(spec.properties.clone()),
        by_hand: was.map(|entry| entry.by_hand.clone()).unwrap_or_default(),
        ..Entry::new(
            id.unwrap_or_else(environment::unique),
            was.map_or_else(clock::now, |entry| entry.created),
            spec.executable.clone(),
            Origin::Manifest,
        )
    };
    if let Some(was) = was {
        properties::keep_by_hand(was, &mut entry);
    }
    entry
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::home::role::ByHand;
    use crate::manifest;

    fn description(roles: &str) -> Description {
        let text = format!("[workspace.metadata.ansar]\n{roles}");
        let manifest = Path::new("Cargo.toml");
        let document = manifest::parse(manifest, &text).unwrap();
        manifest::read(manifest, &document).unwrap().unwrap()
    }

    fn apply_steps(entries: &mut BTreeMap<RoleName, Entry>, steps: Vec<RoleStep>) {
        for step in steps {
            step.apply(entries);
        }
    }

    const TWO: &str = "role.server-0.executable = \"server\"\nrole.test-a.executable = \"client\"";

    #[test]
    fn described_roles_are_made_once() {
        let mut entries = BTreeMap::new();
        let steps = plan_roles(&entries, &description(TWO));
        assert_eq!(steps.len(), 2);
        apply_steps(&mut entries, steps);
        assert_eq!(plan_roles(&entries, &description(TWO)), []);
    }

    #[test]
    fn roles_are_retired_and_described_again() {
        let mut entries = BTreeMap::new();
        let steps = plan_roles(&entries, &description(TWO));
        apply_steps(&mut entries, steps);
        let one = description("role.test-a.executable = \"client\"");
        let steps = plan_roles(&entries, &one);
        assert_eq!(steps, [RoleStep::Retire("server-0".parse().unwrap())]);
        apply_steps(&mut entries, steps);
        assert_eq!(plan_roles(&entries, &one), []);
        assert_eq!(plan_roles(&entries, &description(TWO)).len(), 1);
    }

    #[test]
    fn values_set_by_hand_stay() {
        let mut entries = BTreeMap::new();
        let steps = plan_roles(&entries, &description(TWO));
        apply_steps(&mut entries, steps);
        let entry = entries.values_mut().next().unwrap();
        entry.by_hand = ByHand {
            properties: ["retry".to_owned()].into(),
            ..ByHand::default()
        };
        entry.properties.retry = Some(ansar_contract::retry::Retry::default());
        assert_eq!(plan_roles(&entries, &description(TWO)), []);
    }
}
