//! The files of a shard: those of the home that its roles need, and those of the
//! workspace that its roles name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ansar_contract::layout::Area;

use crate::deploy::ports::allocate_instances;
use crate::error::Error;
use crate::harness::TestSources;
use crate::home::Home;
use crate::home::deploy_state::{DeployState, TestFiles};
use crate::home::ports::Ports;
use crate::home::program::base;
use crate::home::role::Entry;
use crate::host::fs;
use crate::host::fs::{Hash, Kind};
use crate::model::name::RoleName;
use crate::remote::messages::{File, Link, ToAgent};
use crate::remote::plan::Shard;
use crate::supervisor::executable_kind::commands;
use crate::sync::manifest::Entry as Deployed;
use crate::sync::path::RelPath;
use crate::testing::agent::{HOME, WORK};
use crate::testing::shards::hashes::Hashes;
use crate::testing::shards::settings::Settings;
use crate::testing::shards::sources::Sources;

/// Mode of generated files.
const MODE: u32 = 0o600;

/// The bytes of a file.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Those of a file on this machine.
    Path(PathBuf),
    /// Generated ones.
    Bytes(Arc<[u8]>),
}

/// The files of a shard, by hash.
pub(super) type Contents = BTreeMap<String, (File, Content)>;

/// All files of a run.
pub(super) struct Files<'a> {
    home: &'a Home,
    entries: &'a BTreeMap<RoleName, Entry>,
    settings: Settings,
    ports: Ports,
    deploy_state: DeployState,
    shards: Vec<ShardFiles>,
}

/// The files of one shard that do not depend on its node.
#[derive(Default)]
struct ShardFiles {
    files: Vec<(File, Content)>,
    folders: BTreeSet<PathBuf>,
    links: Vec<Link>,
}

impl<'a> Files<'a> {
    /// Lists and hashes the files of all shards.
    pub(super) fn new(
        home: &'a Home,
        entries: &'a BTreeMap<RoleName, Entry>,
        settings: Settings,
        shards: &[Shard],
        hashes: &mut Hashes,
    ) -> Result<Self, Error> {
        let instances = entries.iter().filter(|(_, entry)| entry.instance.is_some());
        let instances: BTreeMap<RoleName, Entry> = instances
            .map(|(role, entry)| (role.clone(), entry.clone()))
            .collect();
        let mut files = Self {
            home,
            entries,
            settings,
            ports: allocate_instances(home, &instances)?,
            deploy_state: home.deploy_state()?,
            shards: Vec::new(),
        };
        for shard in shards {
            let listed = files.list(shard, hashes)?;
            files.shards.push(listed);
        }
        Ok(files)
    }

    /// Returns the ports of the home's roles and of instances.
    pub(super) fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Returns the sources of the roles that run test targets.
    pub(super) fn sources(&self) -> Sources {
        let tests = self.entries.iter().filter_map(|(role, entry)| {
            let files = self.deploy_state.tests.get(&entry.executable)?;
            Some((role.clone(), TestSources::of(&files.artifact)))
        });
        Sources(tests.collect())
    }

    fn list(&self, shard: &Shard, hashes: &mut Hashes) -> Result<ShardFiles, Error> {
        let mut found = Found::default();
        for role in shard.roles() {
            let Some(entry) = self.entries.get(role) else {
                continue;
            };
            self.of_home(role, entry, &mut found)?;
            self.of_workspace(entry, &mut found);
        }
        let mut listed = ShardFiles {
            folders: found.folders,
            links: found.links,
            ..ShardFiles::default()
        };
        for (to, from) in found.files {
            if !fs::is_file(&from) {
                continue;
            }
            let (hash, size, mode) = hashes.of(&from)?;
            let path = plain(to)?;
            let file = File {
                path,
                hash,
                size,
                mode,
            };
            listed.files.push((file, Content::Path(from)));
        }
        Ok(listed)
    }

    /// Adds the files of a role in the home.
    fn of_home(&self, role: &RoleName, entry: &Entry, found: &mut Found) -> Result<(), Error> {
        let home = self.home;
        for area in [Area::Entry, Area::Input] {
            found.add(area.name(), home.file(area, role));
        }
        let executable = entry.executable.as_str();
        found.add(Area::Bin.name(), home.executable(&entry.executable));
        let results = home.test_results(role);
        if let Some(folder) = results.parent().and_then(Path::file_name) {
            found.add(folder, results.clone());
        }
        let below = Path::new(HOME).join(Area::Resource.name()).join(executable);
        found.tree(&home.resource(&entry.executable), &below, |_| true)?;
        // Files that a role wrote when it ran here are not part of the test.
        let key = format!("{}/{role}", Area::Model.name());
        let material = self.deploy_state.materials.get(&key);
        let is_deployed = |path: &Path| {
            let path = RelPath::parse(path).ok();
            let entry = path.and_then(|path| material?.deployed.get(&path).cloned());
            entry.is_some_and(|entry| !matches!(entry, Deployed::Other(_)))
        };
        let below = Path::new(HOME).join(key.clone());
        found.tree(&home.folder(Area::Model, role), &below, is_deployed)
    }

    /// Adds the files of the workspace that the properties of a role name.
    fn of_workspace(&self, entry: &Entry, found: &mut Found) {
        let Some(root) = self.home.workspace() else {
            return;
        };
        let properties = &entry.properties;
        let env = properties.env_file.iter().map(|file| file.path.clone());
        let programs = properties.program.iter().cloned();
        let commands = commands(entry).map(|(_, name)| name.text().to_owned());
        let programs = programs.chain(commands).filter(|name| name.contains('/'));
        let watched = properties.watch.iter().cloned();
        for pattern in env.chain(programs).chain(watched) {
            for path in fs::matching(root, &pattern) {
                // Links are followed, as they are here.
                if let (Ok(below), Ok(file)) = (path.strip_prefix(root), fs::resolve(&path)) {
                    found.files.insert(Path::new(WORK).join(below), file);
                }
            }
        }
        let folder = properties
            .cwd
            .iter()
            .filter(|cwd| cwd.uses().next().is_none());
        for folder in folder {
            found.folders.insert(Path::new(WORK).join(folder.text()));
        }
        let tests = self.deploy_state.tests.get(&entry.executable);
        let package = tests.and_then(|it| it.package.strip_prefix(root).ok());
        // The root itself is there.
        if let Some(below) = package.filter(|below| !below.as_os_str().is_empty()) {
            found.folders.insert(Path::new(WORK).join(below));
        }
    }

    /// Returns the manifest of a shard whose agent has its home at `at`, and the
    /// contents of its files.
    pub(super) fn manifest(
        &self,
        shard: usize,
        roles: &Shard,
        at: &Home,
        ports: &Ports,
    ) -> Result<(ToAgent, Contents), Error> {
        let listed = &self.shards[shard];
        let mut all = listed.files.clone();
        let mut generated = |path: PathBuf, bytes: Vec<u8>| {
            let file = File {
                path: plain(path)?,
                hash: Hash::of(&bytes),
                size: bytes.len() as u64,
                mode: MODE,
            };
            all.push((file, Content::Bytes(bytes.into())));
            Ok::<_, Error>(())
        };
        let home = Path::new(HOME);
        for role in roles.roles() {
            if let Some(bytes) =
                self.settings
                    .of(self.home, role, &self.entries[role], at, ports)?
            {
                let name = format!("{role}.json");
                generated(home.join(Area::Settings.name()).join(name), bytes)?;
            }
        }
        generated(home.join("ports.json"), json(&self.ports))?;
        generated(home.join("deploy.json"), json(&self.tests(roles, at)))?;
        all.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
        let folders = listed.folders.iter().cloned().map(plain);
        let manifest = ToAgent::Manifest {
            home: self.home.id().to_owned(),
            files: all.iter().map(|(file, _)| file.clone()).collect(),
            folders: folders.collect::<Result<_, _>>()?,
            links: listed.links.clone(),
        };
        let contents = all.into_iter();
        let contents = contents.map(|(file, content)| (file.hash.to_string(), (file, content)));
        Ok((manifest, contents.collect()))
    }

    /// Returns the deploy state of an agent, which has nothing but the test
    /// targets.
    fn tests(&self, roles: &Shard, at: &Home) -> DeployState {
        let work = at.root().with_file_name(WORK);
        let tests = roles.roles().filter_map(|role| {
            let executable = &self.entries.get(role)?.executable;
            let files = self.deploy_state.tests.get(executable)?;
            let below = files.package.strip_prefix(base(self.home));
            let files = TestFiles {
                artifact: files.artifact.clone(),
                package: below.map_or_else(|_| work.clone(), |below| work.join(below)),
            };
            Some((executable.clone(), files))
        });
        DeployState {
            tests: tests.collect(),
            ..DeployState::default()
        }
    }
}

/// Files, folders and links, by path on the node.
#[derive(Default)]
struct Found {
    files: BTreeMap<PathBuf, PathBuf>,
    folders: BTreeSet<PathBuf>,
    links: Vec<Link>,
}

impl Found {
    /// Adds a file of the home that keeps its name.
    fn add(&mut self, folder: impl AsRef<Path>, from: PathBuf) {
        if let Some(name) = from.file_name() {
            let to = Path::new(HOME).join(folder).join(name);
            self.files.insert(to, from);
        }
    }

    /// Adds everything in a folder that `is_chosen`.
    fn tree(
        &mut self,
        folder: &Path,
        to: &Path,
        is_chosen: impl Fn(&Path) -> bool,
    ) -> Result<(), Error> {
        for found in fs::walk(folder)?.unwrap_or_default() {
            if !is_chosen(&found.path) {
                continue;
            }
            let (from, to) = (folder.join(&found.path), to.join(&found.path));
            match found.stat.kind {
                Kind::File => {
                    self.files.insert(to, from);
                }
                Kind::Folder => {
                    self.folders.insert(to);
                }
                Kind::Link => self.links.push(Link {
                    path: plain(to)?,
                    target: fs::read_link(&from)?,
                }),
                _ => {}
            }
        }
        Ok(())
    }
}

fn plain(path: PathBuf) -> Result<RelPath, Error> {
    let path = RelPath::parse(path);
    path.map_err(|error| crate::model::remote::RemoteError::Agent(error.to_string()).into())
}

/// Encodes plain data, which always succeeds.
fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
