//! Names of many roles from one text: `{executable}-{number}`.
//!
//! Owns the variables, the series of numbers and the promise that the names of
//! one expansion differ. Does not know which roles exist already, and gets its
//! unique identifiers from the caller.

use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, NameError, RoleName};
use crate::model::quoted::escaped;

/// The most roles that one template, or one description, makes.
pub const MOST_ROLES: u64 = 10_000;

/// Why a text is no template, or why it makes no roles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A variable that there is not.
    #[error(
        "unknown variable `{{{}}}` in role template `{}`, expected `{{executable}}`, `{{number}}` or `{{uuid}}`",
        escaped(variable),
        escaped(template)
    )]
    Unknown {
        /// The whole template.
        template: String,
        /// What stands between the braces.
        variable: String,
    },
    /// A brace without its other half.
    #[error(
        "unbalanced `{brace}` in role template `{}`, expected `{{NAME}}`",
        escaped(template)
    )]
    Unbalanced {
        /// The whole template.
        template: String,
        /// The brace that stands alone.
        brace: char,
    },
    /// No roles, or too many.
    #[error("count is {count}, expected 1 to {MOST_ROLES} roles")]
    Count {
        /// What was asked for.
        count: u64,
    },
    /// The last number is beyond 64 bits.
    #[error(
        "{count} numbers from {start} in steps of {step} go beyond {}, expected smaller ones",
        u64::MAX
    )]
    Overflow {
        /// The first number.
        start: u64,
        /// How many there are.
        count: u64,
        /// From one to the next.
        step: u64,
    },
    /// Several roles, and nothing that tells them apart.
    #[error(
        "role template `{}` makes {count} roles of one name, expected `{{number}}` or `{{uuid}}` in it",
        escaped(template)
    )]
    Constant {
        /// The whole template.
        template: String,
        /// How many roles were asked for.
        count: u64,
    },
    /// Two roles of one name in spite of a variable: a step of 0.
    #[error(
        "role template `{}` makes role `{role}` twice, expected a different name for each",
        escaped(template)
    )]
    Twice {
        /// The whole template.
        template: String,
        /// The name.
        role: RoleName,
    },
    /// What comes out is no name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl TemplateError {
    /// What to do about it, where that is known.
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

/// What a template is filled in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// `{executable}`: the name of the role's executable.
    Executable,
    /// `{number}`: the role's number in its series.
    Number,
    /// `{uuid}`: an identifier that no other role has.
    Uuid,
}

impl Variable {
    /// Every variable.
    pub const ALL: [Self; 3] = [Self::Executable, Self::Number, Self::Uuid];

    /// What stands between the braces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Number => "number",
            Self::Uuid => "uuid",
        }
    }
}

/// The numbers of a series of roles: `count` of them from `start`, `step`
/// apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// The first number.
    pub start: u64,
    /// How many there are.
    pub count: u64,
    /// From one to the next.
    pub step: u64,
}

impl Default for Series {
    /// One role, of number 0.
    fn default() -> Self {
        Self {
            start: 0,
            count: 1,
            step: 1,
        }
    }
}

/// A role name with variables in it. A plain name is a template as well.
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
    /// `{executable}-{number}`.
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
    /// Whether the variable stands in it.
    pub fn uses(&self, variable: Variable) -> bool {
        self.parts.contains(&Part::Variable(variable))
    }

    /// One name. `uuid` is asked once for each place where `{uuid}` stands.
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
                // Writing to a string does not fail.
                Part::Variable(Variable::Number) => drop(write!(name, "{number}")),
                Part::Variable(Variable::Uuid) => name.push_str(&uuid()),
            }
        }
        RoleName::try_from(name)
    }

    /// The names of a whole series, in its order, no two of them the same; all
    /// of them or an error.
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
    fn what_is_no_template_says_why() {
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
        fn a_series_has_as_many_different_names_as_asked_for(
            start in any::<u64>(), count in 0..300_u64, step in any::<u64>(),
        ) {
            if let Ok(names) = expanded("{number}", series(start, count, step)) {
                let different: HashSet<&String> = names.iter().collect();
                prop_assert_eq!(different.len() as u64, count);
            }
        }
    }
}
