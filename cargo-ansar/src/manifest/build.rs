//! Options for Cargo: `[workspace.metadata.ansar.build]`.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::RoleSpec;
use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::node::{Node, Source};
use crate::manifest::validate::After;
use crate::manifest::values::{Texts, package_name, roles};
use crate::model::name::RoleName;
use crate::model::placeholder::{Placeholder, Template};
use crate::model::role_search::RolePattern;

const KEYS: &[&str] = &[
    "features",
    "all-features",
    "no-default-features",
    "packages",
    "profile",
    "env",
    "needs",
];

/// Options for Cargo, wherever the tool runs it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BuildOptions {
    /// Features to activate.
    pub features: Vec<String>,
    /// True if all features are activated.
    pub all_features: bool,
    /// True if the `default` features are not activated.
    pub no_default_features: bool,
    /// Packages in which executables are looked for; all if empty.
    pub packages: Vec<String>,
    /// The profile; Cargo's default if unset.
    pub profile: Option<String>,
    /// Additional environment variables of Cargo. Their placeholders are
    /// `{home}`, and addresses of needed roles.
    pub env: BTreeMap<String, Template>,
    /// Roles that must be ready before Cargo runs, with all that they start
    /// after. They run programs, and none of them is a test role.
    pub needs: BTreeSet<RoleName>,
}

/// Options as they were read, with positions for errors.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) options: BuildOptions,
    needs: Vec<After>,
    /// Roles whose addresses the variables refer to.
    references: Vec<After>,
}

/// Reads the table of options.
pub(crate) fn read(node: &Node<'_>) -> Result<Read, DescriptionError> {
    const FLAG: &str = "`true` or `false`";
    let mut read = Read::default();
    let options = &mut read.options;
    for field in node.entries("a table of options for Cargo")? {
        match field.name {
            "features" => options.features = features(&field)?,
            "all-features" => options.all_features = field.flag(FLAG)?,
            "no-default-features" => options.no_default_features = field.flag(FLAG)?,
            "packages" => {
                let packages = field.elements("an array of packages")?;
                let packages = packages.iter().map(package_name);
                options.packages = packages.collect::<Result<_, _>>()?;
            }
            "profile" => {
                const PROFILE: &str = "the name of a profile";
                let text = field.string(PROFILE)?;
                let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                if text.is_empty() || text.starts_with('-') || !text.chars().all(is_allowed) {
                    return Err(field.wrong_value(text, PROFILE));
                }
                options.profile = Some(text.to_owned());
            }
            "env" => {
                let mut texts = Texts::default();
                options.env = texts.environment(&field)?;
                check_placeholders(&field, &options.env)?;
                read.references = texts.references;
            }
            "needs" => read.needs = roles(&field)?,
            _ => return Err(field.unknown_key(KEYS)),
        }
    }
    Ok(read)
}

fn features(node: &Node<'_>) -> Result<Vec<String>, DescriptionError> {
    const FEATURE: &str = "the name of a feature";
    let elements = node.elements("an array of features")?;
    let features = elements.iter().map(|element| {
        let text = element.string(FEATURE)?;
        if text.is_empty() || text.starts_with('-') || text.contains([',', ' ', '\0', '\n']) {
            return Err(element.wrong_value(text, FEATURE));
        }
        Ok(text.to_owned())
    });
    features.collect()
}

/// Checks that no variable refers to a value that only roles have.
fn check_placeholders(
    node: &Node<'_>,
    env: &BTreeMap<String, Template>,
) -> Result<(), DescriptionError> {
    for variable in node.entries("a table of environment variables")? {
        let mut uses = env.get(variable.name).into_iter().flat_map(Template::uses);
        let of_role = uses.find(|placeholder| {
            !matches!(
                placeholder,
                Placeholder::Home | Placeholder::Address { role: Some(_), .. }
            )
        });
        if let Some(placeholder) = of_role {
            let found = placeholder.to_string();
            let reason = format!("`{found}` has a value only in a role");
            return Err(variable.error_in_text(&found, &Problem::Reason(reason)));
        }
    }
    Ok(())
}

impl Read {
    /// Returns the options if they agree with the roles.
    pub(crate) fn checked(
        self,
        source: &Source<'_>,
        specs: &[RoleSpec],
        tests: &RolePattern,
    ) -> Result<BuildOptions, DescriptionError> {
        let by_name: BTreeMap<&RoleName, &RoleSpec> =
            specs.iter().map(|spec| (&spec.name, spec)).collect();
        let mut options = self.options;
        for need in &self.needs {
            let refuse = |reason: String| {
                let problem = Problem::Reason(reason);
                Err(source.error(need.at, &need.key, &problem))
            };
            let mut rest = vec![&need.role];
            while let Some(role) = rest.pop() {
                let Some(spec) = by_name.get(role) else {
                    return refuse(format!("no role `{role}` is described"));
                };
                if tests.matches(role) {
                    return refuse(format!("`{role}` is a test role"));
                }
                if !spec.properties.is_program() {
                    return refuse(format!(
                        "Cargo builds what `{role}` runs, expected a role with a `program`"
                    ));
                }
                if options.needs.insert(role.clone()) {
                    rest.extend(&spec.properties.after);
                }
            }
        }
        for reference in &self.references {
            if !options.needs.contains(&reference.role) {
                let reason = format!(
                    "`{}` may not run when Cargo does, expected it in `needs`",
                    reference.role
                );
                return Err(source.error(reference.at, &reference.key, &Problem::Reason(reason)));
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::try_read;

    const ROLES: &str = "[workspace.metadata.ansar.role.db-0]\nprogram = 'postgres'\n\
                         after = ['net-0']\n[workspace.metadata.ansar.role.net-0]\n\
                         program = 'net'\n[workspace.metadata.ansar.role.api-0]\n\
                         executable = 'api'\n[workspace.metadata.ansar.role.test-a]\n\
                         program = 'a'\n";

    #[test]
    fn all_options_are_read() {
        let text = format!(
            "[workspace.metadata.ansar.build]\nfeatures = ['local', 'api/tls']\nall-features = true\n\
             no-default-features = true\npackages = ['api']\nprofile = 'dev-fast'\n\
             env = {{ URL = 'postgres://{{address:db-0}}/x', HOME_OF = '{{home}}' }}\n\
             needs = ['db-0']\n{ROLES}"
        );
        let build = try_read(&text).unwrap().unwrap().build;
        assert_eq!(build.features, ["local", "api/tls"]);
        assert!(build.all_features && build.no_default_features);
        assert_eq!(build.packages, ["api"]);
        assert_eq!(build.profile.as_deref(), Some("dev-fast"));
        assert_eq!(build.env.len(), 2);
        let needs: Vec<&str> = build.needs.iter().map(RoleName::as_str).collect();
        assert_eq!(needs, ["db-0", "net-0"]);
    }

    #[test]
    fn invalid_options_are_refused() {
        for (line, expected) in [
            (
                "feature = []",
                "2:1: unknown key `workspace.metadata.ansar.build.feature`, expected one of `features`, `all-features`, `no-default-features`, `packages`, `profile`, `env`, `needs`\nhint: did you mean `features`?",
            ),
            (
                "features = ['a b']",
                "2:13: `workspace.metadata.ansar.build.features[0]` is `a b`, expected the name of a feature",
            ),
            (
                "packages = ['a/b']",
                "2:13: `workspace.metadata.ansar.build.packages[0]` is `a/b`, expected the name of a package",
            ),
            (
                "profile = ''",
                "2:11: `workspace.metadata.ansar.build.profile` is ``, expected the name of a profile",
            ),
            (
                "env = { A = '{port}' }",
                "2:14: invalid `workspace.metadata.ansar.build.env.A`: `{port}` has a value only in a role",
            ),
            (
                "env = { A = '{address:db-0}' }",
                "2:14: invalid `workspace.metadata.ansar.build.env.A`: `db-0` may not run when Cargo does, expected it in `needs`",
            ),
            (
                "needs = ['api-0']",
                "2:10: invalid `workspace.metadata.ansar.build.needs[0]`: Cargo builds what `api-0` runs, expected a role with a `program`",
            ),
            (
                "needs = ['test-a']",
                "2:10: invalid `workspace.metadata.ansar.build.needs[0]`: `test-a` is a test role",
            ),
            (
                "needs = ['no']",
                "2:10: invalid `workspace.metadata.ansar.build.needs[0]`: no role `no` is described",
            ),
        ] {
            let text = format!("[workspace.metadata.ansar.build]\n{line}\n{ROLES}");
            match try_read(&text) {
                Ok(_) => assert_eq!(expected, "", "{line}"),
                Err(error) => assert_eq!(error.to_string(), format!("/ws/Cargo.toml:{expected}")),
            }
        }
    }
}
