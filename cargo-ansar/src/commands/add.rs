//! `cargo ansar add`: add roles to a home.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ansar_contract::marker::Kind;
use serde_json::Map;

use crate::commands::input_file;
use crate::deploy;
use crate::deploy::ask_component::{Answers, Proposal};
use crate::deploy::needs::with_needs;
use crate::deploy::plan::Sources;
use crate::deploy::prepare::deploy_method;
use crate::deploy::resolve_settings;
use crate::deploy::restart_affected::Running;
use crate::deploy::settings_context::SettingsResolver;
use crate::error::{DeployError, Error, decode_input_file};
use crate::events::Events;
use crate::home::pending::Transaction;
use crate::home::role::{ByHand, Entry, Origin};
use crate::home::{Home, HomeError};
use crate::host::fs;
use crate::host::fs::TransferMethod;
use crate::host::process::interrupts::{Interrupts, checkpoint};
use crate::host::{clock, environment};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::name_template::{RoleTemplate, Series};
use crate::supervisor::executable_kind::recognize;
use crate::supervisor::lock_roles::lock_home;
use crate::workspace::build;
use crate::workspace::targets::Wanted;
use crate::workspace::{Places, Workspace};

/// Options of `add`.
#[derive(Debug)]
pub struct Options {
    /// Build options for an executable that is missing in the home.
    pub build: build::Options,
    /// Executable of the roles.
    pub executable: ExecutableName,
    /// Template of role names.
    pub template: RoleTemplate,
    /// Count and numbering of the roles.
    pub series: Series,
    /// File with settings.
    pub settings_file: Option<PathBuf>,
    /// File with the input.
    pub input_file: Option<PathBuf>,
    /// Settings as names and texts.
    pub settings: Vec<(String, String)>,
}

/// Reads the name of an executable. For the path of a file, the error says what
/// to do about it.
pub fn executable(text: &str, folder: &Path) -> Result<ExecutableName, Error> {
    text.parse().map_err(|error| {
        let path = folder.join(text);
        if !text.contains('/') || !fs::is_file(&path) {
            return Error::Name(error);
        }
        match fs::marker(&path) {
            Err(error) => error.into(),
            Ok(Kind::Component(_) | Kind::Wrapped { .. }) => {
                Error::Deploy(DeployError::ExecutablePath(path))
            }
            Ok(kind) => Error::Deploy(DeployError::NotAComponent {
                subject: String::new(),
                executable: text.to_owned(),
                is_script: kind == Kind::Script,
            }),
        }
    })
}

/// Adds all roles or none, and returns their names. The component itself
/// returns its default settings and input, and validates the passed ones.
pub async fn add(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Vec<RoleName>, Error> {
    let (home, workspace) = places.open()?;
    let _lock = lock_home(&home, interrupts, events).await?;
    let roles =
        options
            .template
            .expand_all(&options.executable, options.series, environment::unique)?;
    let taken = home.entries()?;
    if let Some(role) = roles.iter().find(|role| taken.contains_key(*role)) {
        return Err(HomeError::RoleExists(role.clone()).into());
    }
    if !fs::is_file(&home.executable(&options.executable)) {
        let workspace = workspace.as_ref();
        deploy_missing(places, options, &home, workspace, interrupts, events).await?;
    }

    let proposal = proposal(&places.folder, options)?;
    let Some(first) = roles.first() else {
        return Ok(roles);
    };
    let ports = home.ports()?;
    let resolver = SettingsResolver {
        home: &home,
        workspace: None,
        snapshot: None,
        new: None,
        ports: &ports,
        events,
    };
    let created = clock::now();
    let new = |id| Entry::new(id, created, options.executable.clone(), Origin::Hand);
    let mut answers = Answers::default();
    let accepted = answers
        .ask(
            &resolver,
            first,
            &new(environment::unique()),
            proposal.clone(),
        )
        .await?;
    let by_hand = ByHand {
        settings: resolve_settings::by_name(
            &proposal.settings,
            &proposal.texts,
            &accepted.settings,
        ),
        input: proposal.input,
        properties: BTreeSet::new(),
    };
    let mut transaction = Transaction::default();
    for role in &roles {
        let mut entry = new(environment::unique());
        entry.by_hand = by_hand.clone();
        checkpoint().map_err(Error::stopped("add a role"))?;
        transaction.add(role);
        transaction.set_entry(role, &entry)?;
        resolve_settings::store(&home, role, &accepted, &mut transaction)?;
    }
    home.commit(transaction)?;
    Ok(roles)
}

/// Reads the settings and the input that a command gives.
fn proposal(folder: &Path, options: &Options) -> Result<Proposal, Error> {
    let text = |path: &Option<PathBuf>| {
        let path = path.as_ref();
        path.map(|path| input_file::read(&folder.join(path)))
            .transpose()
    };
    let (settings_text, input_text) = (text(&options.settings_file)?, text(&options.input_file)?);
    Ok(Proposal {
        settings: match &settings_text {
            Some(text) => decode_input_file(&text.name, &text.bytes)?,
            None => Map::new(),
        },
        input: match &input_text {
            Some(text) => Some(decode_input_file(&text.name, &text.bytes)?),
            None => None,
        },
        texts: options.settings.clone(),
        settings_text,
        input_text,
    })
}

/// Builds an executable that the home does not have, and deploys it.
async fn deploy_missing(
    places: &Places,
    options: &Options,
    home: &Home,
    workspace: Option<&Workspace>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    let mut deploy_state = home.deploy_state()?;
    let missing = |meant| {
        Error::Deploy(DeployError::NoExecutable {
            name: options.executable.clone(),
            meant,
        })
    };
    let Some(workspace) = workspace else {
        return Err(missing(None));
    };
    let wanted = Wanted {
        bins: BTreeMap::from([(options.executable.clone(), None)]),
        ..Wanted::default()
    };
    let cargo = async |interrupts: &mut Interrupts| {
        let how = options.build.described(workspace, Some(home))?;
        let (bins, folder) = (&deploy_state.bins, &places.folder);
        build::build(workspace, &wanted, bins, &how, folder, interrupts).await
    };
    let built = with_needs(home, workspace, interrupts, events, cargo).await?;
    // Roles that the build needed are deployed already.
    deploy_state = home.deploy_state()?;
    if built.artifacts.is_empty() {
        return Err(missing(built.nearest_bin(&options.executable)));
    }
    for (name, path) in &built.artifacts {
        recognize(String::new(), name, path)?;
    }
    let description = workspace.description.as_ref();
    let sources = Sources {
        workspace: None,
        description: None,
        artifacts: &built.artifacts,
        compiled: &built.compiled,
        how: description.map_or(TransferMethod::Link, deploy_method),
        materials: None,
        layer: None,
        named: None,
        take: None,
    };
    let mut none = BTreeMap::new();
    deploy::deploy(
        home,
        &mut none,
        &mut deploy_state,
        &sources,
        Running::Refuse,
        interrupts,
        events,
    )
    .await?;
    Ok(())
}
