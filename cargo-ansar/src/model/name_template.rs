//! Templates for the names of many roles: `{executable}-{number}`.
//!
//! The names of one expansion are all different. They may equal names of
//! existing roles; the caller checks that.

use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, NameError, RoleName};
use crate::model::quoted::escaped;

/// Most roles that one template, or one description, may create.
pub const MOST_ROLES: u64 = 10_000;

/// An error about an invalid template or series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template contains an unknown variable.
    #[error(
        "unknown variable `{{{}}}` in role template `{}`, expected `{{executable}}`, `{{number}}` or `{{uuid}}`",
        escaped(variable),
        escaped(template)
    )]
    Unknown {
        /// The whole template.
        template: String,
        /// The text between the braces.
        variable: String,
    },
    /// A brace is not closed or not opened.
    #[error(
        "unbalanced `{brace}` in role template `{}`, expected `{{NAME}}`",
        escaped(template)
    )]
    Unbalanced {
        /// The whole template.
        template: String,
        /// The unbalanced brace.
        brace: char,
    },
    /// The number of roles is zero or too large.
    #[error("count is {count}, expected 1 to {MOST_ROLES} roles")]
    Count {
        /// The requested number of roles.
        count: u64,
    },
    /// The last number of the series exceeds 64 bits.
    #[error(
        "{count} numbers from {start} in steps of {step} go beyond {}, expected smaller ones",
        u64::MAX
    )]
    Overflow {
        /// The first number.
        start: u64,
        /// The number of roles.
        count: u64,
        /// The difference between two numbers.
        step: u64,
    },
    /// Several roles were requested from a template without a variable that
    /// differs between them.
    #[error(
        "role template `{}` makes {count} roles of one name, expected `{{number}}` or `{{uuid}}` in it",
        escaped(template)
    )]
    Constant {
        /// The whole template.
        template: String,
        /// The requested number of roles.
        count: u64,
    },
    /// Two roles get the same name, for example because the step is 0.
    #[error(
        "role template `{}` makes role `{role}` twice, expected a different name for each",
        escaped(template)
    )]
    Twice {
        /// The whole template.
        template: String,
        /// The repeated name.
        role: RoleName,
    },
    /// An expansion is not a valid name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl TemplateError {
    /// Returns a suggestion, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { variable, .. } => {
                did_you_mean(variable, Variable::ALL.map(Variable::name))
                    .map(|name| format!("did you mean `{{{name}}}`?"))
            }
            Self::Name(error) => error.hint(),
            _ => None,
        }
    }
}

/// A variable of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// `{executable}`: the name of the role's executable.
    Executable,
    /// `{number}`: the role's number in its series.
    Number,
    /// `{uuid}`: a unique identifier.
    Uuid,
}

impl Variable {
    /// All variables.
    pub const ALL: [Self; 3] = [Self::Executable, Self::Number, Self::Uuid];

    /// The text between the braces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Number => "number",
            Self::Uuid => "uuid",
        }
    }
}

/// The numbers of a series of roles: `start`, `start + step`, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// The first number.
    pub start: u64,
    /// The count of numbers.
    pub count: u64,
    /// The difference between two numbers.
    pub step: u64,
}

impl Default for Series {
    /// Returns a series of one role with number 0.
    fn default() -> Self {
        Self {
            start: 0,
            count: 1,
            step: 1,
        }
    }
}

/// A role name with variables. A plain name is a template, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

impl Default for RoleTemplate {
    /// Returns `{executable}-{number}`.
    fn default() -> Self {
        Self {
            text: "{executable}-{number}".to_owned(),
            parts: vec![
                Part::Variable(Variable::Executable),
                Part::Text("-".to_owned()),
                Part::Variable(Variable::Number),
            ],
        }
    }
}

impl FromStr for RoleTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let unbalanced = |brace| TemplateError::Unbalanced {
            template: text.to_owned(),
            brace,
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            let Some(inside) = from.strip_prefix('{') else {
                return Err(unbalanced('}'));
            };
            let end = inside
                .find(['{', '}'])
                .filter(|end| inside[*end..].starts_with('}'));
            let Some(end) = end else {
                return Err(unbalanced('{'));
            };
            let name = &inside[..end];
            let variable = Variable::ALL.into_iter().find(|known| known.name() == name);
            let Some(variable) = variable else {
                return Err(TemplateError::Unknown {
                    template: text.to_owned(),
                    variable: name.to_owned(),
                });
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Variable(variable));
            rest = &inside[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

impl fmt::Display for RoleTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl RoleTemplate {
    /// Returns true if the template contains the variable.
    pub fn uses(&self, variable: Variable) -> bool {
        self.parts.contains(&Part::Variable(variable))
    }

    /// Expands the template to one name. `uuid` is called once for each
    /// `{uuid}`.
    pub fn expand(
        &self,
        executable: &ExecutableName,
        number: u64,
        mut uuid: impl FnMut() -> String,
    ) -> Result<RoleName, NameError> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Variable(Variable::Executable) => name.push_str(executable.as_str()),
                // Writing to a string cannot fail.
                Part::Variable(Variable::Number) => drop(write!(name, "{number}")),
                Part::Variable(Variable::Uuid) => name.push_str(&uuid()),
            }
        }
        RoleName::try_from(name)
    }

    /// Expands the template to the names of a series, in order. Returns an
    /// error if two names are equal.
    pub fn expand_all(
        &self,
        executable: &ExecutableName,
        series: Series,
        mut uuid: impl FnMut() -> String,
    ) -> Result<Vec<RoleName>, TemplateError> {
        let Series { start, count, step } = series;
        if !(1..=MOST_ROLES).contains(&count) {
            return Err(TemplateError::Count { count });
        }
        if count > 1 && !self.uses(Variable::Number) && !self.uses(Variable::Uuid) {
            let template = self.text.clone();
            return Err(TemplateError::Constant { template, count });
        }
        let last = step
            .checked_mul(count - 1)
            .and_then(|span| start.checked_add(span));
        if last.is_none() {
            return Err(TemplateError::Overflow { start, count, step });
        }
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for nth in 0..count {
            let role = self.expand(executable, start + nth * step, &mut uuid)?;
            if !seen.insert(role.clone()) {
                let template = self.text.clone();
                return Err(TemplateError::Twice { template, role });
            }
            names.push(role);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn series(start: u64, count: u64, step: u64) -> Series {
        Series { start, count, step }
    }

    fn expanded(template: &str, series: Series) -> Result<Vec<String>, TemplateError> {
        let mut next = 0;
        let names = template.parse::<RoleTemplate>()?.expand_all(
            &"server".parse().unwrap(),
            series,
            || {
                next += 1;
                format!("id{next}")
            },
        )?;
        Ok(names.into_iter().map(String::from).collect())
    }

    #[test]
    fn templates_make_names() {
        for (template, series, expected) in [
            (
                "{executable}-{number}",
                series(0, 2, 1),
                vec!["server-0", "server-1"],
            ),
            ("t-{number}", series(10, 3, 5), vec!["t-10", "t-15", "t-20"]),
            ("{uuid}", series(0, 2, 1), vec!["id1", "id2"]),
            ("plain", Series::default(), vec!["plain"]),
            (
                "n{number}",
                series(u64::MAX, 1, 9),
                vec!["n18446744073709551615"],
            ),
        ] {
            assert_eq!(expanded(template, series).unwrap(), expected, "{template}");
        }
        assert_eq!(
            RoleTemplate::default(),
            "{executable}-{number}".parse().unwrap()
        );
    }

    #[test]
    fn errors_of_invalid_templates() {
        for (template, series, message, hint) in [
            (
                "a-{numbr}",
                Series::default(),
                "unknown variable `{numbr}` in role template `a-{numbr}`, expected `{executable}`, `{number}` or `{uuid}`",
                Some("did you mean `{number}`?"),
            ),
            (
                "a-{}",
                Series::default(),
                "unknown variable `{}` in role template `a-{}`, expected `{executable}`, `{number}` or `{uuid}`",
                None,
            ),
            (
                "a-{number",
                Series::default(),
                "unbalanced `{` in role template `a-{number`, expected `{NAME}`",
                None,
            ),
            (
                "a-{{number}}",
                Series::default(),
                "unbalanced `{` in role template `a-{{number}}`, expected `{NAME}`",
                None,
            ),
            (
                "a}",
                Series::default(),
                "unbalanced `}` in role template `a}`, expected `{NAME}`",
                None,
            ),
            (
                "{executable}",
                series(0, 2, 1),
                "role template `{executable}` makes 2 roles of one name, expected `{number}` or `{uuid}` in it",
                None,
            ),
            (
                "n{number}",
                series(7, 2, 0),
                "role template `n{number}` makes role `n7` twice, expected a different name for each",
                None,
            ),
            (
                "n{number}",
                series(0, 0, 1),
                "count is 0, expected 1 to 10000 roles",
                None,
            ),
            (
                "n{number}",
                series(0, 10_001, 1),
                "count is 10001, expected 1 to 10000 roles",
                None,
            ),
            (
                "n{number}",
                series(u64::MAX, 2, 1),
                "2 numbers from 18446744073709551615 in steps of 1 go beyond 18446744073709551615, expected smaller ones",
                None,
            ),
            (
                "n {number}",
                Series::default(),
                "role name `n 0` holds ` `, expected ASCII letters, digits, `-` and `_` only",
                Some("did you mean `n-0`?"),
            ),
        ] {
            let error = expanded(template, series).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.hint().as_deref(), hint, "{template}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_an_error(text in any::<String>()) {
            if let Ok(template) = text.parse::<RoleTemplate>() {
                prop_assert_eq!(template.to_string(), text);
            }
        }

        #[test]
        fn names_of_a_series_differ(
            start in any::<u64>(), count in 0..300_u64, step in any::<u64>(),
        ) {
            if let Ok(names) = expanded("{number}", series(start, count, step)) {
                let different: HashSet<&String> = names.iter().collect();
                prop_assert_eq!(different.len() as u64, count);
            }
        }
    }
}
