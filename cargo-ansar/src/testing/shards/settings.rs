//! Settings for roles on other machines, where the home has another path and other
//! roles have other addresses.

use std::collections::BTreeMap;

use ansar_contract::layout::Area;
use serde_json::Value;

use crate::deploy::resolve_settings::{layer, proposals};
use crate::deploy::settings_context::SettingsResolver;
use crate::error::Error;
use crate::events::Events;
use crate::home::ports::Ports;
use crate::home::role::Entry;
use crate::home::role_values::RoleValues;
use crate::home::{Home, read_json};
use crate::model::name::RoleName;
use crate::model::placeholder::{Placeholder, Template};
use crate::model::remote::RemoteError;
use crate::workspace::Workspace;

/// Names by which a text refers to the machine itself.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "localhost"];

/// The texts in the settings of roles whose values depend on the machine.
pub(super) struct Settings(BTreeMap<RoleName, Vec<Template>>);

impl Settings {
    /// Reads the settings of roles as they are described.
    pub(super) fn read(
        home: &Home,
        workspace: Option<&Workspace>,
        entries: &BTreeMap<RoleName, Entry>,
        events: &Events,
    ) -> Result<Self, Error> {
        let deploy_state = home.deploy_state()?;
        let snapshot = layer(workspace, &deploy_state);
        let resolver = SettingsResolver {
            home,
            workspace,
            snapshot: snapshot.as_deref(),
            new: None,
            ports: &home.ports()?,
            events,
        };
        let mut described = entries.clone();
        described.retain(|_, entry| entry.instance.is_none());
        let proposals = proposals(&resolver, &described)?.into_iter();
        let templates = proposals.map(|(role, proposal)| {
            let mut templates = Vec::new();
            for value in proposal.settings.values() {
                add_templates(value, &mut templates);
            }
            (role, templates)
        });
        Ok(Self(templates.collect()))
    }

    /// Returns the bytes of the settings of a role for a home at `at` and these
    /// addresses; `None` if it has no settings.
    pub(super) fn of(
        &self,
        home: &Home,
        role: &RoleName,
        entry: &Entry,
        at: &Home,
        ports: &Ports,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut stored) = read_json::<Value>(&home.file(Area::Settings, role))? else {
            return Ok(None);
        };
        let here = home.ports()?;
        let values = |home, ports| RoleValues {
            home,
            role,
            executable: &entry.executable,
            ports,
        };
        for template in self.0.get(role).into_iter().flatten() {
            let before = values(home, &here).resolve(template)?;
            let after = values(at, ports).resolve(template)?;
            if before != after && !replace(&mut stored, &before, &after) {
                return Err(RemoteError::Setting {
                    role: role.clone(),
                    text: template.text().to_owned(),
                }
                .into());
            }
        }
        // What was read as JSON can be written.
        Ok(Some(serde_json::to_vec(&stored).unwrap_or_default()))
    }

    /// Returns a text of a role that names the machine itself where it should name
    /// another one.
    pub(super) fn loopback(
        &self,
        home: &Home,
        role: &RoleName,
        entry: &Entry,
    ) -> Result<Option<String>, Error> {
        let properties = &entry.properties;
        let own = properties.args.iter().chain(properties.env.values());
        let mut texts: Vec<String> = own.map(|text| text.text().to_owned()).collect();
        if let Some(mut stored) = read_json::<Value>(&home.file(Area::Settings, role))? {
            let ports = home.ports()?;
            let values = RoleValues {
                home,
                role,
                executable: &entry.executable,
                ports: &ports,
            };
            for template in self.0.get(role).into_iter().flatten() {
                replace(&mut stored, &values.resolve(template)?, "");
            }
            add_texts(&stored, &mut texts);
        }
        let is_loopback = |text: &String| LOOPBACK.iter().any(|name| text.contains(name));
        Ok(texts.into_iter().find(is_loopback))
    }
}

/// Adds the texts in a value whose placeholders depend on the machine.
fn add_templates(value: &Value, templates: &mut Vec<Template>) {
    let mut texts = Vec::new();
    add_texts(value, &mut texts);
    let all = texts.iter().map(|text| Template::lenient(text));
    templates.extend(all.filter(|template| template.uses().any(is_of_machine)));
}

fn is_of_machine(placeholder: &Placeholder) -> bool {
    matches!(
        placeholder,
        Placeholder::Home
            | Placeholder::Model
            | Placeholder::Tmp
            | Placeholder::Resource
            | Placeholder::Bind
            | Placeholder::Address { .. }
    )
}

fn add_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| add_texts(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| add_texts(value, texts)),
        _ => {}
    }
}

/// Replaces a text in all texts of a value. Returns true if there is any.
fn replace(value: &mut Value, from: &str, to: &str) -> bool {
    match value {
        Value::String(text) if text.contains(from) => {
            *text = text.replace(from, to);
            true
        }
        Value::Array(values) => {
            let replaced = values.iter_mut().map(|value| replace(value, from, to));
            replaced.fold(false, |any, one| any | one)
        }
        Value::Object(fields) => {
            let replaced = fields.values_mut().map(|value| replace(value, from, to));
            replaced.fold(false, |any, one| any | one)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_replaced_at_any_depth() {
        let mut value = json!({"a": ["/here/model/x", 1], "b": {"c": "/here/model"}, "d": "/else"});
        assert!(replace(&mut value, "/here/model", "/there/model"));
        let expected =
            json!({"a": ["/there/model/x", 1], "b": {"c": "/there/model"}, "d": "/else"});
        assert_eq!(value, expected);
        assert!(!replace(&mut value, "/here", "/there"));
    }

    #[test]
    fn texts_that_depend_on_the_machine_are_found() {
        let mut templates = Vec::new();
        let value =
            json!(["{address:db-0}", "{port}", ["{model}/data", "{role}"], {"x": "{bind}"}]);
        add_templates(&value, &mut templates);
        let texts: Vec<&str> = templates.iter().map(Template::text).collect();
        assert_eq!(texts, ["{address:db-0}", "{model}/data", "{bind}"]);
    }
}
