//! The values of placeholders in the texts of a role.

use std::path::Path;

use ansar_contract::layout::Area;

use crate::home::Home;
use crate::home::ports::Ports;
use crate::home::program::{NoValue, ProgramError};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::placeholder::{Placeholder, Template, number};

/// Finds the values of placeholders in the texts of one role.
#[derive(Debug, Clone, Copy)]
pub struct RoleValues<'a> {
    /// The home.
    pub home: &'a Home,
    /// The role.
    pub role: &'a RoleName,
    /// The executable of the role.
    pub executable: &'a ExecutableName,
    /// The ports of the home.
    pub ports: &'a Ports,
}

impl RoleValues<'_> {
    /// Returns a text with the values of its placeholders.
    pub fn resolve(&self, text: &Template) -> Result<String, ProgramError> {
        Ok(text.resolve(&|placeholder| self.get(placeholder))?)
    }

    /// Returns the value of a placeholder.
    pub fn get(&self, placeholder: &Placeholder) -> Result<String, NoValue> {
        let none = |reason: String| NoValue {
            role: self.role.clone(),
            placeholder: placeholder.clone(),
            reason,
        };
        let path = |path: &Path| {
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| none(format!("`{}` is not UTF-8", path.display())))
        };
        let undeployed =
            |role: &RoleName, port: &str| none(format!("role `{role}` has no port `{port}`"));
        match placeholder {
            Placeholder::Port { role, port } => {
                let role = role.as_ref().unwrap_or(self.role);
                let number = self.ports.get(role, port);
                let number = number.ok_or_else(|| undeployed(role, port))?;
                Ok(number.to_string())
            }
            Placeholder::Address { role, port } => {
                let role = role.as_ref().unwrap_or(self.role);
                let address = self.ports.address(role, port);
                let address = address.ok_or_else(|| undeployed(role, port))?;
                Ok(address.to_string())
            }
            Placeholder::Bind => Ok(self.ports.bind().to_string()),
            Placeholder::Role => Ok(self.role.to_string()),
            Placeholder::Number => number(self.role)
                .map(str::to_owned)
                .ok_or_else(|| none("the name of the role has no number".to_owned())),
            Placeholder::Home => path(self.home.root()),
            Placeholder::Model => path(&self.home.folder(Area::Model, self.role)),
            Placeholder::Tmp => path(&self.home.folder(Area::Tmp, self.role)),
            Placeholder::Resource => path(&self.home.resource(self.executable)),
        }
    }
}
