//! `cargo ansar config`: the options in force, and where each comes from.
//!
//! Without a role: the options of the group, of Cargo and of the environment.
//! With a role: its settings, its input and its properties.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::Area;
use serde_json::{Value, json};

use crate::deploy::resolve_settings::{layer, snapshot_file};
use crate::deploy::roles::described;
use crate::error::{Error, RoleError};
use crate::home::role::{Entry, Origin};
use crate::home::{Home, HomeError, read_json};
use crate::host::{cargo_config, environment};
use crate::manifest::key_lines::KeyLines;
use crate::manifest::properties::PROPERTIES;
use crate::manifest::{BuildOptions, DeployMode, Description, RoleSpec};
use crate::model::did_you_mean::similar_role;
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::supervisor::test_options::SLOW;
use crate::workspace::build;
use crate::workspace::roles::test_pattern;
use crate::workspace::{Places, Workspace, description_of};

/// Options of `config`.
#[derive(Debug)]
pub struct Options {
    /// Source of the home's path, if it is neither the manifest nor the default.
    pub home_from: Option<Source>,
    /// Use of colour: `auto`, `always` or `never`.
    pub color: (&'static str, Source),
    /// Options for Cargo from the command line.
    pub build: build::Options,
    /// The role whose properties are shown, instead of the options of the group.
    pub role: Option<RoleName>,
}

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    CommandLine,
    /// An environment variable.
    Variable(String),
    /// A line of the manifest, from 1.
    Manifest(u32),
    /// Another file.
    File(PathBuf),
    /// A command that changed a role of the home.
    Hand,
    /// A deploy, which allocates ports.
    Allocated,
    /// The default of the tool or of the component.
    Default,
}

/// A value in force.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// Dotted name, as in the manifest.
    pub key: String,
    /// The value.
    pub value: Value,
    /// Sources of the value; several if they add to each other.
    pub sources: Vec<Source>,
}

/// The outcome of `config`.
#[derive(Debug)]
pub struct Outcome {
    /// The manifest, if there is a workspace.
    pub manifest: Option<PathBuf>,
    /// The role, if the values are those of one.
    pub role: Option<RoleName>,
    /// The values in force. Options without a value are left out.
    pub rows: Vec<Row>,
}

/// Returns the options in force.
pub fn config(places: &Places, options: &Options) -> Result<Outcome, Error> {
    let workspace = places.workspace()?;
    let home = match Home::open(&places.home(workspace.as_ref())) {
        Ok(home) => Some(home),
        Err(HomeError::NotThere(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let lines = match &workspace {
        Some(workspace) => KeyLines::of(&workspace.manifest, &workspace.text)?,
        None => KeyLines::default(),
    };
    let scope = Scope {
        places,
        options,
        workspace: workspace.as_ref(),
        description: description_of(workspace.as_ref()),
        home: home.as_ref(),
        lines,
    };
    let rows = match &options.role {
        None => scope.group()?,
        Some(role) => scope.role(role)?,
    };
    Ok(Outcome {
        rows,
        role: options.role.clone(),
        manifest: workspace.map(|workspace| workspace.manifest),
    })
}

/// Everything that values come from.
struct Scope<'a> {
    places: &'a Places,
    options: &'a Options,
    workspace: Option<&'a Workspace>,
    description: Option<&'a Description>,
    home: Option<&'a Home>,
    lines: KeyLines,
}

/// Creates a row with one source.
fn row(key: impl Into<String>, value: Value, source: Source) -> Row {
    Row {
        key: key.into(),
        value,
        sources: vec![source],
    }
}

impl Scope<'_> {
    /// Returns the line of a key of the manifest, or else the default.
    fn source(&self, path: &[&str]) -> Source {
        let line = self.lines.line(path);
        line.map_or(Source::Default, Source::Manifest)
    }

    /// Returns the options of the group.
    fn group(&self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        let home = self.places.home(self.workspace);
        let from = self.options.home_from.clone();
        rows.push(row(
            "home",
            json!(home.display().to_string()),
            from.unwrap_or_else(|| self.source(&["home"])),
        ));
        let (color, from) = &self.options.color;
        rows.push(row("color", json!(color), from.clone()));
        let pattern = test_pattern(self.workspace)?;
        rows.push(row(
            "tests",
            json!(pattern.as_str()),
            self.source(&["tests"]),
        ));
        let described = self.description;
        let mut key = |name: &str, value: Option<Value>| {
            rows.extend(value.map(|value| row(name, value, self.source(&[name]))));
        };
        let snapshot = described.and_then(|it| it.snapshot.as_ref());
        key("snapshot", snapshot.map(|it| json!(it.to_string_lossy())));
        let deploy = described.map(|it| it.deploy).unwrap_or_default();
        let deploy = match deploy {
            DeployMode::Link => "link",
            DeployMode::Copy => "copy",
        };
        key("deploy", Some(json!(deploy)));
        let analyzer = described.and_then(|it| it.analyzer.as_ref());
        key("analyzer", analyzer.map(|it| json!(it.as_str())));
        let retries = described.and_then(|it| it.retries);
        key("retries", Some(json!(retries.unwrap_or_default())));
        let slow = described.and_then(|it| it.slow_timeout).unwrap_or(SLOW);
        key("slow-timeout", Some(json!(ShortDuration(slow).to_string())));
        let network = described.and_then(|it| it.network);
        key("network", Some(json!(network.unwrap_or_default())));
        let files = described.map(|it| &it.env_file);
        let files = files.filter(|files| !files.is_empty());
        key("env-file", files.map(|files| json!(files)));
        self.env(&mut rows);
        self.build(&mut rows);
        self.roles(&mut rows)?;
        Ok(rows)
    }

    /// Adds the environment of all roles: that of the manifest, and `[env]` of
    /// Cargo's configuration.
    fn env(&self, rows: &mut Vec<Row>) {
        let env = self.description.map(|it| &it.env);
        let mut all: BTreeMap<String, Row> = BTreeMap::new();
        let configured = self.workspace.map(|it| cargo_config::read(&it.root));
        let configured = configured.unwrap_or_default();
        for (name, variable) in configured.env {
            let set = environment::variable(&name).filter(|_| !variable.force);
            let file = configured.env_files.get(&name).cloned();
            let from = match &set {
                Some(_) => Source::Variable(name.clone()),
                None => file.map_or(Source::Default, Source::File),
            };
            let value = json!(set.unwrap_or(variable.value));
            all.insert(name.clone(), row(format!("env.{name}"), value, from));
        }
        for (name, value) in env.into_iter().flatten() {
            let from = self.source(&["env", name]);
            let row = row(format!("env.{name}"), json!(value.text()), from);
            all.insert(name.clone(), row);
        }
        rows.extend(all.into_values());
    }

    /// Adds the options for Cargo. Features add to each other; other options of
    /// the command line replace those of the manifest.
    fn build(&self, rows: &mut Vec<Row>) {
        let nothing = BuildOptions::default();
        let described = self.description.map_or(&nothing, |it| &it.build);
        let given = &self.options.build;
        let mut add = |name: &str, value: Value, is_given: bool, is_described: bool| {
            let given = is_given.then_some(Source::CommandLine);
            let described = is_described.then(|| self.source(&["build", name]));
            let sources: Vec<Source> = given.into_iter().chain(described).collect();
            if !sources.is_empty() {
                rows.push(Row {
                    key: format!("build.{name}"),
                    value,
                    sources,
                });
            }
        };
        let features: Vec<_> = given.features.iter().chain(&described.features).collect();
        add(
            "features",
            json!(features),
            !given.features.is_empty(),
            !described.features.is_empty(),
        );
        for (name, given, described) in [
            ("all-features", given.all_features, described.all_features),
            (
                "no-default-features",
                given.no_default_features,
                described.no_default_features,
            ),
        ] {
            add(name, json!(true), given, described);
        }
        for (name, given, described) in [
            (
                "packages",
                (!given.packages.is_empty()).then(|| json!(given.packages)),
                (!described.packages.is_empty()).then(|| json!(described.packages)),
            ),
            (
                "profile",
                given.profile.as_ref().map(|it| json!(it)),
                described.profile.as_ref().map(|it| json!(it)),
            ),
        ] {
            let (is_given, is_described) = (given.is_some(), described.is_some());
            let value = given.or(described).unwrap_or_default();
            add(name, value, is_given, is_described && !is_given);
        }
        for (name, value) in &described.env {
            let from = self.source(&["build", "env", name]);
            rows.push(row(format!("build.env.{name}"), json!(value.text()), from));
        }
        if self.lines.line(&["build", "needs"]).is_some() {
            let needs = json!(described.needs);
            rows.push(row("build.needs", needs, self.source(&["build", "needs"])));
        }
    }

    /// Adds the roles of the group, without those that are retired.
    fn roles(&self, rows: &mut Vec<Row>) -> Result<(), Error> {
        let mut all = BTreeMap::new();
        for (role, entry) in self
            .home
            .map(Home::entries)
            .transpose()?
            .unwrap_or_default()
        {
            if entry.origin == Origin::Hand {
                all.insert(role, (entry.executable, Source::Hand));
            }
        }
        for spec in self.description.iter().flat_map(|it| &it.roles) {
            let from = Source::Manifest(spec.line);
            all.insert(spec.name.clone(), (spec.executable.clone(), from));
        }
        rows.extend(all.into_iter().map(|(role, (executable, from))| {
            row(format!("role.{role}"), json!(executable.as_str()), from)
        }));
        Ok(())
    }

    /// Returns the values of a role.
    fn role(&self, role: &RoleName) -> Result<Vec<Row>, Error> {
        let spec = self.description.and_then(|it| it.role(role));
        let entry = self.entry(role, spec)?;
        let key = spec.and_then(|spec| self.lines.role(role, spec.line));
        let of = RoleScope {
            scope: self,
            role,
            spec,
            entry: &entry,
            key,
        };
        let mut rows = Vec::new();
        of.kind(&mut rows);
        of.settings(&mut rows)?;
        for property in PROPERTIES {
            if property.change.is_some() {
                let is_by_hand = entry.by_hand.properties.contains(property.name);
                let (value, default) = (property.value(&entry), property.default(&entry));
                of.property(&mut rows, property.name, value, default, is_by_hand);
            }
        }
        if let Some(home) = self.home {
            let ports = home.ports()?;
            let allocated = ports.of(role);
            let fixed = &entry.properties.ports;
            let allocated = allocated.filter(|(name, _)| !fixed.contains_key(*name));
            rows.extend(
                allocated.map(|(name, port)| {
                    row(format!("ports.{name}"), json!(port), Source::Allocated)
                }),
            );
        }
        Ok(rows)
    }

    /// Returns the role as the next deploy makes it.
    fn entry(&self, role: &RoleName, spec: Option<&RoleSpec>) -> Result<Entry, Error> {
        let stored = self.home.map(|home| home.entry(role)).transpose()?;
        let stored = stored.flatten();
        if let Some(spec) = spec {
            return Ok(described(spec, stored.as_ref()));
        }
        if let Some(entry) = stored {
            return Ok(entry);
        }
        let mut names = self
            .home
            .map(Home::role_names)
            .transpose()?
            .unwrap_or_default();
        let described = self.description.iter().flat_map(|it| &it.roles);
        names.extend(described.map(|spec| spec.name.clone()));
        let meant = similar_role(role.as_str(), names.iter().map(RoleName::as_str));
        Err(Error::Role(RoleError::NoSuchRole {
            role: role.clone(),
            meant: meant.and_then(|name| name.parse().ok()),
        }))
    }
}

/// Everything that the values of a role come from.
struct RoleScope<'a> {
    scope: &'a Scope<'a>,
    role: &'a RoleName,
    spec: Option<&'a RoleSpec>,
    entry: &'a Entry,
    /// Key of the table that describes the role.
    key: Option<&'a str>,
}

impl RoleScope<'_> {
    /// Returns the line of a key of the role, or else that of the same key of the
    /// group.
    fn line(&self, path: &[&str]) -> Option<Source> {
        let of_role = |path: &[&str]| {
            let key = self.key?;
            self.scope.lines.line(&[&["role", key], path].concat())
        };
        // A value in another form, such as an array, has the line of its table.
        let line = of_role(path).or_else(|| self.scope.lines.line(path));
        let whole = || of_role(&path[..1]).or_else(|| self.scope.lines.line(&path[..1]));
        line.or_else(whole).map(Source::Manifest)
    }

    /// Adds what the role runs.
    fn kind(&self, rows: &mut Vec<Row>) {
        let properties = &self.entry.properties;
        let (name, value) = match &properties.test {
            Some(test) => ("test", json!(test)),
            None if properties.is_program() => ("program", json!(properties.program)),
            None => ("executable", json!(self.entry.executable.as_str())),
        };
        let from = self.line(&[name]).unwrap_or(Source::Hand);
        rows.push(row(name, value, from));
        if let Some(package) = self.spec.and_then(|spec| spec.package.as_ref()) {
            // Another role of the executable may name it.
            let from = self.line(&["package"]).unwrap_or(Source::Default);
            rows.push(row("package", json!(package), from));
        }
    }

    /// Adds the settings and the input, as the component accepted them, or as
    /// the manifest has them before the first deploy.
    fn settings(&self, rows: &mut Vec<Row>) -> Result<(), Error> {
        let stored = |area| {
            let home = self.scope.home?;
            read_json::<Envelope<Value>>(&home.file(area, self.role)).transpose()
        };
        let stored = |area| stored(area).transpose();
        let snapshot = match self.scope.home {
            Some(home) => layer(self.scope.workspace, &home.deploy_state()?),
            None => None,
        };
        let by_hand = &self.entry.by_hand;
        let described = self.spec.map(|spec| &spec.settings);
        let settings = match stored(Area::Settings)? {
            Some(Envelope {
                value: Value::Object(fields),
                ..
            }) => fields,
            _ => described.cloned().unwrap_or_default(),
        };
        for (name, value) in settings {
            let file = || snapshot_file(snapshot.as_deref(), self.role, Some(&name));
            let from = if by_hand.settings.contains_key(&name) {
                Source::Hand
            } else if let Some(file) = file()? {
                Source::File(file)
            } else if described.is_some_and(|it| it.contains_key(&name)) {
                self.line(&["settings", &name]).unwrap_or(Source::Default)
            } else {
                Source::Default
            };
            rows.push(row(format!("settings.{name}"), value, from));
        }
        let input = self.spec.and_then(|spec| spec.input.clone());
        let value = stored(Area::Input)?.map(|it| it.value);
        if let Some(value) = value.or_else(|| input.clone()) {
            let from = if by_hand.input.is_some() {
                Source::Hand
            } else if let Some(file) = snapshot_file(snapshot.as_deref(), self.role, None)? {
                Source::File(file)
            } else {
                let line = input.and_then(|_| self.line(&["input"]));
                line.unwrap_or(Source::Default)
            };
            rows.push(row("input", value, from));
        }
        Ok(())
    }

    /// Adds a property; a table has a row for each of its fields.
    fn property(
        &self,
        rows: &mut Vec<Row>,
        name: &str,
        value: Value,
        default: Value,
        is_by_hand: bool,
    ) {
        let from = |path: &[&str]| {
            if is_by_hand {
                return Some(Source::Hand);
            }
            self.line(path)
        };
        let default = match (&value, default) {
            (Value::Object(_), Value::Null) => json!({}),
            (_, default) => default,
        };
        match (value, default) {
            (Value::Object(fields), Value::Object(mut defaults)) => {
                for (field, value) in fields {
                    defaults.remove(&field);
                    let from = from(&[name, &field]).unwrap_or(Source::Default);
                    rows.push(row(format!("{name}.{field}"), value, from));
                }
                let rest = defaults.into_iter();
                rows.extend(
                    rest.map(|(field, value)| {
                        row(format!("{name}.{field}"), value, Source::Default)
                    }),
                );
            }
            (value, default) => {
                let set = from(&[name]).filter(|_| !is_empty(&value));
                match (set, default) {
                    (None, Value::Null) => {}
                    (None, default) => rows.push(row(name, default, Source::Default)),
                    (Some(source), _) => {
                        let group = self.scope.lines.line(&[name]).map(Source::Manifest);
                        let is_added = name == "env-file" && group.as_ref() != Some(&source);
                        let mut sources = Vec::from_iter(group.filter(|_| is_added));
                        sources.push(source);
                        rows.push(Row {
                            key: name.to_owned(),
                            value,
                            sources,
                        });
                    }
                }
            }
        }
    }
}

/// Returns true for a property that is not set.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
