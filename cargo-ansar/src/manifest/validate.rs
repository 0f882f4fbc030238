//! Rules between roles: unique names and a consistent start order.
//!
//! The roles come from `parse`, each valid in itself, with positions for
//! errors.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::manifest::RoleSpec;
use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::node::Source;
use crate::model::did_you_mean::similar_role;
use crate::model::instance::instance_name;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::placeholder::DEFAULT_PORT;
use crate::model::role_search::RolePattern;

/// Roles as they were declared.
#[derive(Default)]
pub(crate) struct Declared {
    pub(crate) declarations: Vec<Declaration>,
    /// Each with the index of its declaration.
    pub(crate) roles: Vec<(usize, RoleSpec)>,
    /// Roles that the environment of all roles refers to.
    pub(crate) references: Vec<After>,
    /// Own ports that it refers to.
    pub(crate) own_ports: Vec<After>,
}

/// A role that another one starts after, with its position.
pub(crate) struct After {
    pub(crate) role: RoleName,
    pub(crate) key: String,
    pub(crate) at: usize,
}

/// Position of a role, or of the roles of a template.
pub(crate) struct Declaration {
    pub(crate) key: String,
    pub(crate) at: usize,
    pub(crate) package_at: usize,
    pub(crate) after: Vec<After>,
    /// Position of a key that only roles have which end by themselves.
    pub(crate) for_ends: Option<(String, usize)>,
    /// Position of the first key that only test roles have.
    pub(crate) for_tests: Option<(String, usize)>,
    /// Roles of which test roles have their own instances.
    pub(crate) fresh: Vec<After>,
    /// Roles that its texts refer to.
    pub(crate) references: Vec<After>,
    /// Own ports that its texts refer to, with the roles of the same names.
    pub(crate) own_ports: Vec<After>,
}

/// Returns the roles sorted by name, if they are consistent.
pub(crate) fn checked(
    source: &Source<'_>,
    declared: Declared,
    tests: &RolePattern,
) -> Result<Vec<RoleSpec>, DescriptionError> {
    let Declared {
        declarations,
        mut roles,
        references,
        own_ports,
    } = declared;
    // In the order of the text, so that errors name the later role.
    roles.sort_by_key(|(nth, _)| declarations[*nth].at);
    let mut by_name = BTreeMap::new();
    for (nth, spec) in &roles {
        if let Some((other, _)) = by_name.insert(&spec.name, (*nth, spec)) {
            let (other, this): (&Declaration, _) = (&declarations[other], &declarations[*nth]);
            let problem = Problem::SameRole {
                role: spec.name.clone(),
                other_key: other.key.clone(),
                other_line: source.line(other.at),
            };
            return Err(source.error(this.at, &this.key, &problem));
        }
    }
    let order = Order {
        source,
        declarations: &declarations,
        roles: &by_name,
    };
    for (nth, spec) in &roles {
        check_kind(source, &declarations[*nth], spec, tests)?;
        for fresh in &declarations[*nth].fresh {
            order.check_reference(fresh)?;
            order.check_fresh(spec, fresh, tests)?;
        }
        for after in &declarations[*nth].after {
            order.check(spec, after, tests)?;
        }
    }
    let of_roles = declarations.iter().flat_map(|it| &it.references);
    for reference in references.iter().chain(of_roles) {
        order.check_reference(reference)?;
    }
    let of_roles = declarations.iter().flat_map(|it| &it.own_ports);
    for own_port in own_ports.iter().chain(of_roles) {
        order.check_own_port(own_port)?;
    }
    order.check_cycles()?;
    let packages = packages(source, &declarations, &roles)?;
    for (_, spec) in &mut roles {
        spec.package = packages.get(&spec.executable).cloned();
    }
    let mut roles: Vec<RoleSpec> = roles.into_iter().map(|(_, spec)| spec).collect();
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(roles)
}

/// Checks that a role has the keys of its kind.
fn check_kind(
    source: &Source<'_>,
    this: &Declaration,
    spec: &RoleSpec,
    tests: &RolePattern,
) -> Result<(), DescriptionError> {
    let role = spec.name.clone();
    let is_test = tests.matches(&role);
    if let Some((key, at)) = this.for_tests.as_ref().filter(|_| !is_test) {
        return Err(source.error(*at, key, &Problem::TestOnly { role }));
    }
    let ends = is_test || spec.properties.ready.is_done();
    if let Some((key, at)) = this.for_ends.as_ref().filter(|_| !ends) {
        return Err(source.error(*at, key, &Problem::NeverEnds { role }));
    }
    if spec.properties.test.is_some() && !is_test {
        let tests = tests.as_str().to_owned();
        let problem = Problem::NotATest { role, tests };
        return Err(source.error(this.at, &this.key, &problem));
    }
    Ok(())
}

/// Returns the package of each executable for which a role names one.
fn packages(
    source: &Source<'_>,
    declarations: &[Declaration],
    roles: &[(usize, RoleSpec)],
) -> Result<HashMap<ExecutableName, String>, DescriptionError> {
    let mut packages: HashMap<ExecutableName, (usize, String)> = HashMap::new();
    for (nth, spec) in roles {
        let Some(package) = &spec.package else {
            continue;
        };
        let (first, other) = packages
            .entry(spec.executable.clone())
            .or_insert_with(|| (*nth, package.clone()));
        if other != package {
            let this = &declarations[*nth];
            let problem = Problem::OtherPackage {
                executable: spec.executable.to_string(),
                package: package.clone(),
                other: other.clone(),
                other_line: source.line(declarations[*first].package_at),
            };
            let key = format!("{}.package", this.key);
            return Err(source.error(this.package_at, &key, &problem));
        }
    }
    Ok(packages
        .into_iter()
        .map(|(executable, (_, package))| (executable, package))
        .collect())
}

/// Start order of the roles.
struct Order<'a> {
    source: &'a Source<'a>,
    declarations: &'a [Declaration],
    /// Each with the index of its declaration.
    roles: &'a BTreeMap<&'a RoleName, (usize, &'a RoleSpec)>,
}

impl Order<'_> {
    /// Checks one pair of roles.
    fn check(
        &self,
        spec: &RoleSpec,
        after: &After,
        tests: &RolePattern,
    ) -> Result<(), DescriptionError> {
        let problem = if after.role == spec.name {
            Problem::AfterItself(spec.name.clone())
        } else if !self.roles.contains_key(&after.role) {
            let others = self.roles.keys().filter(|role| **role != &spec.name);
            Problem::AfterUnknown {
                after: after.role.clone(),
                similar: similar_role(after.role.as_str(), others.map(|role| role.as_str()))
                    .map(str::to_owned),
            }
        } else if tests.matches(&after.role) && !tests.matches(&spec.name) {
            Problem::AfterTest {
                role: spec.name.clone(),
                after: after.role.clone(),
                tests: tests.as_str().to_owned(),
            }
        } else {
            return Ok(());
        };
        Err(self.source.error(after.at, &after.key, &problem))
    }

    /// Checks that the role of an address exists.
    fn check_reference(&self, reference: &After) -> Result<(), DescriptionError> {
        if self.roles.contains_key(&reference.role) {
            return Ok(());
        }
        let names = self.roles.keys().map(|role| role.as_str());
        let problem = Problem::AddressUnknown {
            role: reference.role.clone(),
            similar: similar_role(reference.role.as_str(), names).map(str::to_owned),
        };
        Err(self.source.error(reference.at, &reference.key, &problem))
    }

    /// Checks that the name of an own port is not that of a role, whose port is
    /// probably meant, unless `ports` of a role names it.
    fn check_own_port(&self, own_port: &After) -> Result<(), DescriptionError> {
        let Some((_, meant)) = self.roles.get(&own_port.role) else {
            return Ok(());
        };
        let name = own_port.role.as_str();
        let mut specs = self.roles.values().map(|(_, spec)| spec);
        if specs.any(|spec| spec.properties.ports.contains_key(name)) {
            return Ok(());
        }
        let placeholders = meant.properties.placeholders();
        let used = placeholders.filter_map(|it| match it.port() {
            Some((None, port)) => Some(port),
            _ => None,
        });
        let ports: BTreeSet<&str> = meant
            .properties
            .ports
            .keys()
            .map(String::as_str)
            .chain(used)
            .collect();
        let port = match ports.first() {
            Some(first) if !ports.contains(DEFAULT_PORT) => first,
            _ => DEFAULT_PORT,
        };
        let problem = Problem::PortOfRole {
            role: own_port.role.clone(),
            port: port.to_owned(),
        };
        Err(self.source.error(own_port.at, &own_port.key, &problem))
    }

    /// Checks that a test role can have an instance of a role that exists.
    fn check_fresh(
        &self,
        spec: &RoleSpec,
        fresh: &After,
        tests: &RolePattern,
    ) -> Result<(), DescriptionError> {
        let role = &fresh.role;
        let reason = match instance_name(&spec.name, role) {
            _ if tests.matches(role) => format!("`{role}` is a test role"),
            Err(error) => format!("its own `{role}` would have no valid name: {error}"),
            Ok(name) if self.roles.contains_key(&name) => {
                format!("its own `{role}` would be `{name}`, which is the name of another role")
            }
            Ok(_) => return Ok(()),
        };
        let problem = Problem::Reason(reason);
        Err(self.source.error(fresh.at, &fresh.key, &problem))
    }

    /// Removes roles that no longer wait for others until only cycles remain.
    /// Iterative, because a chain may be as long as the manifest.
    fn check_cycles(&self) -> Result<(), DescriptionError> {
        let mut waits: HashMap<&RoleName, usize> = HashMap::new();
        let mut waiting: HashMap<&RoleName, Vec<&RoleName>> = HashMap::new();
        for (role, (_, spec)) in self.roles {
            waits.insert(role, spec.properties.after.len());
            for after in &spec.properties.after {
                waiting.entry(after).or_default().push(role);
            }
        }
        let mut free: Vec<&RoleName> = self.roles.keys().copied().collect();
        free.retain(|role| waits.get(role) == Some(&0));
        let mut stuck: BTreeSet<&RoleName> = self.roles.keys().copied().collect();
        while let Some(role) = free.pop() {
            stuck.remove(role);
            for next in waiting.remove(role).unwrap_or_default() {
                if let Some(count) = waits.get_mut(next) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(next);
                    }
                }
            }
        }
        match stuck.first() {
            Some(first) => Err(self.cycle(first, &stuck)),
            None => Ok(()),
        }
    }

    /// Returns the error for the cycle that is reached from a stuck role. It
    /// begins with its smallest name, so that the message does not depend on
    /// `from`.
    fn cycle(&self, from: &RoleName, stuck: &BTreeSet<&RoleName>) -> DescriptionError {
        let mut way: Vec<&RoleName> = vec![from];
        let mut seen = HashMap::from([(from, 0)]);
        let mut cycle = loop {
            let next = way
                .last()
                .and_then(|role| self.roles.get(role))
                .and_then(|(_, spec)| {
                    spec.properties
                        .after
                        .iter()
                        .find(|after| stuck.contains(after))
                });
            // Every stuck role waits for another stuck one.
            let Some(next) = next else { break way };
            if let Some(start) = seen.insert(next, way.len()) {
                break way.split_off(start);
            }
            way.push(next);
        };
        let least = (0..cycle.len())
            .min_by_key(|nth| cycle[*nth])
            .unwrap_or_default();
        cycle.rotate_left(least);
        cycle.push(cycle[0]);
        let (nth, _) = self.roles[cycle[0]];
        let declaration = &self.declarations[nth];
        let after = declaration
            .after
            .iter()
            .find(|after| &after.role == cycle[1]);
        let (at, key) = after.map_or((declaration.at, &declaration.key), |after| {
            (after.at, &after.key)
        });
        let problem = Problem::AfterCycle(cycle.into_iter().cloned().collect());
        self.source.error(at, key, &problem)
    }
}
