//! Waits for the end of a process that is not a child of this one.

use crate::host::process::orphans::is_alive;

/// Waits until the process `pid` that was started at `started` is gone; of one
/// that is gone already, nothing is waited for. May be dropped in the middle.
#[cfg(target_os = "linux")]
pub async fn gone(pid: u32, started: Option<u64>) {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let held = number.map(|number| pidfd_open(number, PidfdFlags::empty()));
    // Held first, then looked at: the number cannot come to mean another.
    match held {
        Some(Ok(held)) if is_alive(pid, started) => {
            #[expect(unsafe_code, reason = "there is no safe way to watch a descriptor")]
            // SAFETY: the descriptor is owned by what watches it, which
            // neither closes nor replaces it while it does.
            let watched = unsafe { AsyncFd::register_with_interest(held, Interest::READABLE) };
            match watched {
                Ok(watched) => drop(watched.readable().await),
                Err(_) => look_again(pid, started).await,
            }
        }
        Some(Err(rustix::io::Errno::NOSYS)) => look_again(pid, started).await,
        _ => {}
    }
}

/// The same, where no descriptor tells of the end of a process.
#[cfg(not(target_os = "linux"))]
pub async fn gone(pid: u32, started: Option<u64>) {
    look_again(pid, started).await;
}

async fn look_again(pid: u32, started: Option<u64>) {
    const AGAIN: std::time::Duration = std::time::Duration::from_millis(50);
    while is_alive(pid, started) {
        tokio::time::sleep(AGAIN).await;
    }
}
