//! Applying a plan.
//!
//! Defines the order in which bytes reach the disk, and checks that nothing has
//! changed since the plan was made. It decides nothing: the plan contains every
//! path that may be changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::host::fs;
use crate::host::fs::{Kind, Staged, Stamp};
use crate::host::process::interrupts::checkpoint;
use crate::sync::manifest::{Entry, File, Other};
use crate::sync::path::RelPath;
use crate::sync::plan::{Action, Plan, Reason, Step};

/// An error that ended the application of a plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Files(#[from] fs::Error),
    /// A signal ended it.
    #[error("interrupted")]
    Interrupted(#[source] io::Error),
    /// The target was changed after the plan was made.
    #[error("`{path}` was changed in the home while the deploy was under way")]
    TargetChanged {
        /// The changed path.
        path: PathBuf,
    },
    /// The source was changed after the plan was made.
    #[error("`{path}` was changed while it was deployed")]
    SourceChanged {
        /// The changed path.
        path: PathBuf,
    },
}

impl Error {
    /// Returns true if a new plan may succeed, because a file was changed in
    /// the meantime.
    pub fn is_change(&self) -> bool {
        matches!(
            self,
            Self::TargetChanged { .. } | Self::SourceChanged { .. }
        )
    }
}

/// The folders of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Roots<'a> {
    /// The folder that the plan's `source` describes.
    pub source: &'a Path,
    /// The folder that the plan's `home` describes; created if it does not
    /// exist.
    pub target: &'a Path,
    /// The folder for copies of what is overwritten, under their relative
    /// paths; created when needed. Existing files are not overwritten: the
    /// copy's name gets a number.
    pub kept: &'a Path,
}

/// Applies `plan`: [`Staging::begin`], then [`Staging::finish`].
pub fn apply(plan: &Plan, roots: Roots<'_>) -> Result<(), Error> {
    Staging::begin(plan, roots, &|_| {})?.finish().map(drop)
}

/// The files that a plan has placed, in their current state.
pub type Placed = Vec<(RelPath, Entry)>;

/// A plan that is ready to be applied: all bytes are on disk, beside their
/// targets. Dropping it leaves the target unchanged.
#[derive(Debug)]
pub struct Staging<'a> {
    applying: Applying<'a>,
    rest: &'a [Step],
}

impl<'a> Staging<'a> {
    /// Stages all files and syncs them to disk, so that a full disk or a
    /// changed source leaves the target unchanged. `copied` is called with
    /// numbers of bytes that were copied; their sum is the size of the files.
    ///
    /// The target must be locked against other deploys. Processes that write to
    /// it should have stopped *before* the scan that the plan was made from. A
    /// file that changed since is not overwritten but returned as an error; the
    /// caller then scans and plans again.
    pub fn begin(plan: &'a Plan, roots: Roots<'a>, copied: &dyn Fn(u64)) -> Result<Self, Error> {
        let mut applying = Applying {
            roots,
            staged: BTreeMap::new(),
            staging: None,
            inside: BTreeSet::new(),
            changed: BTreeSet::new(),
            placed: Placed::new(),
        };
        if plan.is_empty() {
            let rest = &[];
            return Ok(Self { applying, rest });
        }
        fs::make_private_folders(roots.target)?;
        let prepares = |step: &&Step| {
            step.action == Action::Clear
                || step.reason == Reason::Opened && matches!(step.action, Action::Mode { .. })
        };
        let (first, rest) = plan
            .steps
            .split_at(plan.steps.iter().take_while(prepares).count());
        for step in first {
            applying.perform(step)?;
        }
        let places = |step: &&Step| matches!(step.action, Action::Place { .. });
        if rest.iter().filter(places).count() >= MANY {
            applying.staging = Some(Staged::folder(roots.target)?);
        }
        for step in rest {
            applying.stage(step, copied)?;
        }
        let staged = applying.staged.values().map(|(staged, _)| staged.path());
        fs::sync_each(&staged.collect::<Vec<_>>())?;
        Ok(Self { applying, rest })
    }

    /// Renames each file to its target. When this returns `Ok`, the result
    /// survives a power loss and can be recorded.
    ///
    /// After a kill, an interrupt or an error at any point, each file is the
    /// old or the new one, and a new plan completes the deploy.
    pub fn finish(mut self) -> Result<Placed, Error> {
        for step in self.rest {
            checkpoint().map_err(Error::Interrupted)?;
            self.applying.perform(step)?;
        }
        let changed = self.applying.changed.iter().map(PathBuf::as_path);
        fs::sync_each(&changed.collect::<Vec<_>>())?;
        Ok(std::mem::take(&mut self.applying.placed))
    }
}

#[derive(Debug)]
struct Applying<'a> {
    roots: Roots<'a>,
    /// Staged files, with their manifest entries.
    staged: BTreeMap<&'a RelPath, (Staged, File)>,
    /// The folder in which many files are staged.
    staging: Option<Staged>,
    /// Folders known to be real ones.
    inside: BTreeSet<RelPath>,
    /// Folders in which a name changed.
    changed: BTreeSet<PathBuf>,
    placed: Placed,
}

/// Number of files from which on they are staged in a separate folder.
const MANY: usize = 100;

impl Drop for Applying<'_> {
    /// Leaves many staged files to the next deploy after a signal, since
    /// removing them takes long.
    fn drop(&mut self) {
        if checkpoint().is_ok() {
            return;
        }
        if let Some(staging) = self.staging.take() {
            let staged = std::mem::take(&mut self.staged);
            for (staged, _) in staged.into_values() {
                staged.abandon();
            }
            staging.abandon();
        }
    }
}

impl<'a> Applying<'a> {
    /// Stages a file, or checks the target; fails before anything has changed.
    fn stage(&mut self, step: &'a Step, copied: &dyn Fn(u64)) -> Result<(), Error> {
        checkpoint().map_err(Error::Interrupted)?;
        match &step.action {
            Action::Place { file, seen } => {
                if seen.is_some() {
                    self.check_seen(&step.path, seen.as_ref())?;
                }
                let staged = self.copy(&step.path, file, copied)?;
                self.staged.insert(&step.path, staged);
                Ok(())
            }
            Action::Remove { seen }
            | Action::Link {
                seen: Some(seen), ..
            } => self.check_seen(&step.path, Some(seen)),
            _ => Ok(()),
        }
    }

    /// Stages a file of the source in the target's root, or in the folder for
    /// many files, because its own folder may not exist yet. Returns it with
    /// its entry, which now has a hash.
    fn copy(
        &self,
        path: &RelPath,
        file: &File,
        copied: &dyn Fn(u64),
    ) -> Result<(Staged, File), Error> {
        let from = path.under(self.roots.source);
        let hash = |path: &Path| fs::hash(path).map(|(hash, _)| hash);
        // A file that was written just before the scan may have been written
        // again without a visible change.
        let is_settled = file.stamp.settled;
        let staging = self.staging.as_ref();
        let folder = staging.map_or(self.roots.target, Staged::path);
        let (staged, read) = Staged::stage_durably(&from, folder, copied, |alias| {
            let must_read = !is_settled || file.hash.is_none();
            let read = must_read.then(|| hash(alias)).transpose()?;
            let expected = match file.hash {
                None if !is_settled => Some(hash(&from)?),
                known => known,
            };
            Ok::<_, fs::Error>((read, expected))
        })?;
        let (read, expected) = read?;
        let now = fs::stat(&from)?;
        let stands = is_settled && file.stamp.matches(&now);
        let known = match read.or(file.hash.filter(|_| stands)) {
            Some(known) => known,
            None => hash(staged.path())?,
        };
        if !stands && Some(known) != expected {
            return Err(Error::SourceChanged { path: from });
        }
        if now.mode != file.mode {
            staged.set_mode(file.mode)?;
        }
        let file = File {
            hash: Some(known),
            ..file.clone()
        };
        Ok((staged, file))
    }

    fn perform(&mut self, step: &Step) -> Result<(), Error> {
        self.check_inside(&step.path)?;
        let at = step.path.under(self.roots.target);
        match &step.action {
            Action::Clear => Self::clear(&at)?,
            Action::Keep => return self.keep(&step.path, &at),
            Action::Mode { mode } => return Ok(fs::set_mode(&at, *mode)?),
            Action::Remove { seen } => {
                self.check_seen(&step.path, Some(seen))?;
                fs::remove_file(&at)?;
            }
            Action::RemoveFolder => {
                // It stays if something was written into it.
                if fs::remove_empty_folder(&at)? {
                    self.changed.remove(&at);
                    self.inside.remove(&step.path);
                }
            }
            Action::MakeFolder { mode } => fs::make_folder(&at, *mode)?,
            Action::Place { file, seen } => {
                self.check_seen(&step.path, seen.as_ref())?;
                let (staged, file) = match self.staged.remove(&step.path) {
                    Some(staged) => staged,
                    None => self.copy(&step.path, file, &|_| {})?,
                };
                let now_ns = fs::now_ns();
                staged.commit(&at)?;
                let stat = fs::stat(&at)?;
                let stamp = Stamp::placed(&stat, now_ns);
                let placed = Entry::File(File { stamp, ..file });
                self.placed.push((step.path.clone(), placed));
            }
            Action::Link { target, seen } => {
                self.check_seen(&step.path, seen.as_ref())?;
                fs::place_link(&at, target)?;
            }
        }
        self.changed.extend(at.parent().map(Path::to_owned));
        Ok(())
    }

    /// Removes a staged file or folder that a killed or interrupted deploy
    /// left.
    fn clear(at: &Path) -> Result<(), Error> {
        if fs::stat(at)?.kind == Kind::Folder {
            for name in fs::names(at)? {
                checkpoint().map_err(Error::Interrupted)?;
                fs::remove_file(&at.join(name))?;
            }
        }
        Ok(fs::remove_tree(at)?)
    }

    /// Copies a file that is overwritten to the folder for kept files, and
    /// syncs it.
    fn keep(&self, path: &RelPath, at: &Path) -> Result<(), Error> {
        let to = free_name(&path.under(self.roots.kept))?;
        let folder = to.parent().unwrap_or(self.roots.kept);
        fs::make_private_folders(folder)?;
        if fs::stat(at)?.kind == Kind::Link {
            fs::place_link(&to, &fs::read_link(at)?)?;
        } else {
            let (staged, ()) = Staged::stage_durably(at, folder, &|_| (), |_| ())?;
            staged.sync()?;
            staged.commit(&to)?;
        }
        for folder in folder.ancestors() {
            fs::sync(folder)?;
            if folder == self.roots.kept {
                break;
            }
        }
        Ok(())
    }

    /// Checks that each folder of the path is a folder: a symlink in its place
    /// would lead outside.
    fn check_inside(&mut self, path: &RelPath) -> Result<(), Error> {
        let mut folder = path.folder();
        while let Some(one) = folder {
            if self.inside.contains(&one) {
                break;
            }
            let at = one.under(self.roots.target);
            if fs::stat(&at)?.kind != Kind::Folder {
                return Err(Error::TargetChanged { path: at });
            }
            folder = one.folder();
            self.inside.insert(one);
        }
        Ok(())
    }

    /// Checks that the target still has at `path` what the plan expects.
    fn check_seen(&self, path: &RelPath, seen: Option<&Entry>) -> Result<(), Error> {
        let at = path.under(self.roots.target);
        let stat = match fs::stat(&at) {
            Ok(stat) => Some(stat),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let as_seen = match (seen, stat) {
            // A file that is gone cannot be lost.
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(Entry::File(file)), Some(stat)) => file.stamp.matches(&stat),
            (Some(Entry::Link { target }), Some(stat)) => {
                stat.kind == Kind::Link && fs::read_link(&at)? == *target
            }
            (Some(Entry::Folder { .. }), Some(stat)) => stat.kind == Kind::Folder,
            (Some(Entry::Other(other)), Some(stat)) => match other {
                Other::LinkOutside => stat.kind == Kind::Link,
                Other::Socket => stat.kind == Kind::Socket,
                Other::Fifo => stat.kind == Kind::Fifo,
                Other::Device => stat.kind == Kind::Device,
                Other::Alias => true,
            },
        };
        if as_seen {
            Ok(())
        } else {
            Err(Error::TargetChanged { path: at })
        }
    }
}

/// Returns the path, with a number appended if it exists.
pub fn free_name(path: &Path) -> Result<PathBuf, Error> {
    let mut free = path.to_owned();
    let mut number = 1;
    loop {
        match fs::stat(&free) {
            Err(error) if error.is_not_found() => return Ok(free),
            Err(error) => return Err(error.into()),
            Ok(_) => {
                let mut name = OsString::from(path.as_os_str());
                name.push(format!(".{number}"));
                free = PathBuf::from(name);
                number += 1;
            }
        }
    }
}
