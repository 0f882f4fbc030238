//! Running a program as an ordinary user where this command runs as root.
//!
//! Some servers, such as `postgres`, refuse to run as root. In a user namespace
//! in which root has the id of an ordinary user they run, and the files that
//! they make belong to root outside. Linux only.

use std::ffi::OsString;
use std::io;

use crate::host::process::Program;

/// First argument of this program that asks it to run another one.
const WORD: &str = "unprivileged";

/// User and group id inside of the namespace.
#[cfg(target_os = "linux")]
const ID: u32 = 1000;

/// Returns true if this command runs as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Returns a program that runs `program` as an ordinary user: this program,
/// which replaces itself.
pub fn wrap(program: Program) -> io::Result<Program> {
    let path = crate::host::environment::own_executable()?;
    let arguments = [WORD.into(), program.path.into_os_string()];
    Ok(Program {
        path,
        arguments: arguments.into_iter().chain(program.arguments).collect(),
        ..program
    })
}

/// If the arguments of this process ask for it, runs another program in its
/// place. Returns only if this is not asked for, or with the error.
///
/// Must be called before a second thread exists.
pub fn run_if_asked(mut arguments: impl Iterator<Item = OsString>) -> Option<io::Result<()>> {
    if arguments.nth(1)? != WORD {
        return None;
    }
    let program = arguments.next()?;
    Some(Err(replace(&program, arguments)))
}

#[cfg(target_os = "linux")]
#[expect(
    clippy::disallowed_methods,
    reason = "this process becomes the program"
)]
fn replace(program: &OsString, arguments: impl Iterator<Item = OsString>) -> io::Error {
    use std::os::unix::process::CommandExt;

    if let Err(error) = enter() {
        let text = format!("failed to run it as an ordinary user: {error}");
        return io::Error::new(error.kind(), text);
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    let program = program.to_string_lossy();
    io::Error::new(error.kind(), format!("{program}: {error}"))
}

#[cfg(not(target_os = "linux"))]
fn replace(_: &OsString, _: impl Iterator<Item = OsString>) -> io::Error {
    io::Error::other("`unprivileged` needs Linux")
}

/// Enters a user namespace in which this user has an ordinary id.
#[cfg(target_os = "linux")]
fn enter() -> io::Result<()> {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)?;
    // The group can be mapped only by a process that cannot change its groups.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{ID} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{ID} {group} 1"))
}
