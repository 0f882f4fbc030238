//! The limits of the system for this user, and the services of the kernel that
//! the tool uses.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
#[cfg(target_os = "linux")]
use nix::unistd::Uid;

use crate::host::net::sockets::Sockets;
use crate::host::process::{orphans, unprivileged};

/// The limits of the system for this user; unset where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Number of open descriptors to which a process can raise its limit.
    pub descriptors: Option<u64>,
    /// Number of processes and threads, and the number that exist.
    pub processes: Option<(u64, u64)>,
    /// Number of files that can be watched.
    pub watches: Option<u64>,
    /// Number of watchers.
    pub watchers: Option<u64>,
}

/// Reads the limits.
pub fn read() -> Limits {
    let finite = |limit: u64| (limit != RLIM_INFINITY).then_some(limit);
    let limit = |resource| getrlimit(resource).ok();
    let descriptors = limit(Resource::RLIMIT_NOFILE);
    let processes = limit_of_processes().filter(|_| !unprivileged::is_root());
    Limits {
        descriptors: descriptors.and_then(|(_, hard)| finite(hard)),
        processes: processes
            .and_then(|(soft, _)| finite(soft))
            .map(|limit| (limit, own_threads())),
        watches: smallest(["fs/inotify/max_user_watches", "user/max_inotify_watches"]),
        watchers: smallest([
            "fs/inotify/max_user_instances",
            "user/max_inotify_instances",
        ]),
    }
}

/// Returns the soft and the hard limit of a user's processes and threads.
#[cfg(target_os = "linux")]
fn limit_of_processes() -> Option<(u64, u64)> {
    getrlimit(Resource::RLIMIT_NPROC).ok()
}

/// Returns nothing: the nix crate does not know this limit here.
#[cfg(not(target_os = "linux"))]
fn limit_of_processes() -> Option<(u64, u64)> {
    None
}

/// Returns the smallest of some kernel settings; a namespace can have a lower
/// limit than the system.
fn smallest(names: [&str; 2]) -> Option<u64> {
    let settings = names.map(|name| {
        let text = std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
        text.trim().parse().ok()
    });
    settings.into_iter().flatten().min()
}

/// Returns the number of threads of this user.
#[cfg(target_os = "linux")]
fn own_threads() -> u64 {
    use std::os::unix::fs::MetadataExt;

    let user = Uid::current().as_raw();
    let threads = orphans::all().into_iter().filter_map(|pid| {
        let tasks = format!("/proc/{pid}/task");
        let is_own = std::fs::metadata(&tasks).ok()?.uid() == user;
        is_own.then(|| std::fs::read_dir(tasks).map_or(0, Iterator::count) as u64)
    });
    threads.sum()
}

#[cfg(not(target_os = "linux"))]
fn own_threads() -> u64 {
    0
}

/// Services of the kernel, each with the error if it is missing.
#[derive(Debug)]
pub struct Services {
    /// Adopting orphans.
    pub subreaper: Option<String>,
    /// Handles of processes.
    pub pidfd: Option<String>,
    /// The list of listening sockets.
    pub sockets: Option<String>,
}

/// Tries the services.
pub fn services() -> Services {
    let sockets = Sockets::open().and_then(|mut sockets| sockets.listeners());
    Services {
        subreaper: orphans::adopt().err().map(|error| error.to_string()),
        pidfd: pidfd().err().map(|error| error.to_string()),
        sockets: sockets.err().map(|error| error.to_string()),
    }
}

#[cfg(target_os = "linux")]
fn pidfd() -> std::io::Result<()> {
    use rustix::process::{PidfdFlags, getpid, pidfd_open};

    pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn pidfd() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
