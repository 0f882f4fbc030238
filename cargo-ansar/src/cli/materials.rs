//! `deploy`, `snapshot` and `why`: transfer of executables and materials, and
//! the restarts that it causes.

use crate::commands;
use crate::workspace;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::commands::deploy;
use crate::commands::snapshot;
use crate::commands::snapshot::Side;
use crate::deploy::restart_affected::Restored;
use crate::error::Error;
use crate::model::name::RoleName;
use crate::report::materials;
use crate::report::shell::Form;
use crate::sync::plan::Take;

/// Build flags, which conflict with `BUILD_DIR` because nothing is built then.
const FOR_CARGO: [&str; 11] = [
    "all_features",
    "build_jobs",
    "features",
    "frozen",
    "locked",
    "no_default_features",
    "offline",
    "package",
    "profile",
    "release",
    "target_dir",
];

/// Arguments of `deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Deploy executables from this folder instead of building them
    #[arg(conflicts_with_all = FOR_CARGO)]
    build_dir: Option<PathBuf>,
    /// Deploy materials from this folder
    snapshot_dir: Option<PathBuf>,
    /// The same as `BUILD_DIR`
    #[arg(long, value_name = "DIR", conflicts_with = "build_dir", conflicts_with_all = FOR_CARGO)]
    build_path: Option<PathBuf>,
    /// The same as `SNAPSHOT_DIR`
    #[arg(long, value_name = "DIR", conflicts_with = "snapshot_dir", conflicts_with_all = FOR_CARGO)]
    storage_path: Option<PathBuf>,
    /// Side that wins if both changed a material: snapshot, home
    #[arg(long, value_name = "SIDE", hide_possible_values = true)]
    take: Option<TakeSide>,
    /// Print what would be done and why, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// Folder for the materials
    dir: PathBuf,
    /// Side that wins if both changed a material: snapshot, home
    #[arg(long, value_name = "SIDE", hide_possible_values = true)]
    take: Option<TakeSide>,
    /// Print what would be done and why, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// Name of the role
    role: RoleName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TakeSide {
    /// Take the material of the snapshot.
    Snapshot,
    /// Take the material of the home.
    Home,
}

impl Session<'_> {
    pub(super) async fn deploy(
        &self,
        args: &DeployArgs,
        build: workspace::build::Options,
    ) -> Result<Exit, Error> {
        let either = |one: &Option<PathBuf>, other: &Option<PathBuf>| one.clone().or(other.clone());
        let options = deploy::Options {
            build,
            build_path: either(&args.build_dir, &args.build_path),
            storage_path: either(&args.snapshot_dir, &args.storage_path),
            take: args.take.map(|take| match take {
                TakeSide::Snapshot => Take::Snapshot,
                TakeSide::Home => Take::Home,
            }),
            dry_run: args.dry_run,
            lines: self.general.form() == Form::Json,
            force: self.force,
        };
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let outcome = deploy::deploy(&self.places, &options, &mut interrupts, &events).await?;
        let done = outcome.done.as_ref();
        let exit = done.map_or(Exit::Success, |done| exit(&done.restored));
        self.printer.show(move |shell| match shell.form() {
            Form::Json => materials::steps_as_json(shell, &outcome.lines),
            Form::Human | Form::Messages | Form::Rustc => materials::deployed(shell, &outcome),
        });
        Ok(exit)
    }

    pub(super) async fn snapshot(&self, args: &SnapshotArgs) -> Result<Exit, Error> {
        let options = snapshot::Options {
            folder: args.dir.clone(),
            take: args.take.map(|take| match take {
                TakeSide::Snapshot => Side::Snapshot,
                TakeSide::Home => Side::Home,
            }),
            dry_run: args.dry_run,
            lines: self.general.form() == Form::Json,
            force: self.force,
        };
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let outcome = snapshot::snapshot(&self.places, &options, &mut interrupts, &events).await?;
        let exit = exit(&outcome.restored);
        self.printer.show(move |shell| match shell.form() {
            Form::Json => materials::steps_as_json(shell, &outcome.lines),
            Form::Human | Form::Messages | Form::Rustc => materials::taken(shell, &outcome),
        });
        Ok(exit)
    }

    pub(super) fn why(&self, args: &WhyArgs) -> Result<Exit, Error> {
        let outcome = commands::why::why(&self.places, &args.role)?;
        self.printer
            .show(move |shell| materials::why(shell, &outcome));
        Ok(Exit::Success)
    }
}

/// Returns a failure if a role that ran before could not be restarted.
fn exit(restored: &Restored) -> Exit {
    if restored.broken.is_empty() {
        Exit::Success
    } else {
        Exit::RoleFailed
    }
}
