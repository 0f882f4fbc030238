//! Waiting for the exit of a process that is not a child.

use crate::host::process::orphans::is_alive;
use std::time::Duration;

/// Waits until the process `pid` that was started at `started` has exited;
/// returns at once if it already has. Cancel safe.
#[cfg(target_os = "linux")]
pub async fn gone(pid: u32, started: Option<u64>) {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pidfd = number.map(|number| pidfd_open(number, PidfdFlags::empty()));
    // Opened before the check, so that the id cannot be reused in between.
    match pidfd {
        Some(Ok(pidfd)) if is_alive(pid, started) => {
            #[expect(unsafe_code, reason = "there is no safe way to watch a descriptor")]
            // SAFETY: `AsyncFd` owns the descriptor and neither closes nor
            // replaces it while it is registered.
            let watched = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
            match watched {
                Ok(watched) => drop(watched.readable().await),
                Err(_) => poll(pid, started).await,
            }
        }
        Some(Err(rustix::io::Errno::NOSYS)) => poll(pid, started).await,
        _ => {}
    }
}

/// Polls, as this platform has no pidfds.
#[cfg(not(target_os = "linux"))]
pub async fn gone(pid: u32, started: Option<u64>) {
    poll(pid, started).await;
}

async fn poll(pid: u32, started: Option<u64>) {
    const INTERVAL: std::time::Duration = std::time::Duration::from_millis(50);
    while is_alive(pid, started) {
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits until these processes, given by process ID and start time, have
/// exited, for at most `limit`. Returns true if they have. Processes without a
/// start time had exited before and are ignored.
pub async fn all_gone(processes: &[(u32, Option<u64>)], limit: Duration) -> bool {
    let all = async {
        for &(pid, started) in processes {
            if started.is_some() {
                gone(pid, started).await;
            }
        }
    };
    tokio::time::timeout(limit, all).await.is_ok()
}
