//! The limit on open files: raised for this process, unchanged for its
//! children.
//!
//! A child inherits the limit at the time it is spawned. While spawning, the
//! original limit is restored, and the few descriptors that spawning needs are
//! kept free below it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::host::process::tag;

/// Descriptors that spawning needs: the ends of two pipes, `/dev/null`, and
/// some to spare.
const FOR_SPAWN: usize = 8;

/// Descriptors that every command needs at least.
const MINIMUM: usize = 24;

/// The limits and the reserved descriptors, once the limit was raised.
static RAISED: Mutex<Option<Raised>> = Mutex::new(None);

struct Raised {
    before: u64,
    now: u64,
    most: u64,
    reserved: Vec<OwnedFd>,
}

/// Raises the limit to `needed` descriptors. The error is the maximum that is
/// possible.
pub fn make_room(needed: u64) -> Result<(), u64> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Ok(());
    };
    let mut raised = RAISED.lock().unwrap_or_else(PoisonError::into_inner);
    if needed <= soft {
        return Ok(());
    }
    if needed > hard {
        return Err(hard);
    }
    let before = raised.as_ref().map_or(soft, |raised| raised.before);
    let reserved = match raised.take() {
        Some(raised) => raised.reserved,
        None => reserve(),
    };
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard).map_err(|_| soft)?;
    *raised = Some(Raised {
        before,
        now: needed,
        most: hard,
        reserved,
    });
    Ok(())
}

/// Checks that this process can open the few files that every command needs,
/// raising the limit if that helps.
pub fn check() -> io::Result<()> {
    if has_room() {
        return Ok(());
    }
    let allowed = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    // Reserved descriptors come on top.
    let needed = allowed + (MINIMUM + FOR_SPAWN) as u64;
    if make_room(needed).is_ok() && has_room() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "no room for {MINIMUM} more file descriptors: the limit is {allowed}\n\
         hint: allow more with `ulimit -n {}`",
        needed.max(256)
    )))
}

/// Returns true if the descriptors that every command needs are free.
fn has_room() -> bool {
    let opened = (0..MINIMUM).map(|_| File::open("/dev/null"));
    opened.collect::<io::Result<Vec<File>>>().is_ok()
}

/// Spawns a process with the original limit, and with a [`tag`].
pub fn spawn(command: &mut Command, tag: Option<u64>) -> io::Result<Child> {
    // Kept locked until the end: limits belong to the whole process.
    let mut raised = RAISED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(raised) = raised.as_mut() else {
        return tag::during(tag, || command.spawn());
    };
    raised.reserved.clear();
    setrlimit(Resource::RLIMIT_NOFILE, raised.before, raised.most)?;
    let spawned = tag::during(tag, || command.spawn());
    setrlimit(Resource::RLIMIT_NOFILE, raised.now, raised.most)?;
    let mut child = spawned?;
    // Move the pipes above the range that the next spawn needs.
    let moved = move_up(child.stdout.take(), raised.before).and_then(|stdout| {
        child.stdout = stdout;
        move_up(child.stderr.take(), raised.before)
    });
    raised.reserved = reserve();
    match moved {
        Ok(stderr) => {
            child.stderr = stderr;
            Ok(child)
        }
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

fn move_up<T: From<OwnedFd> + Into<OwnedFd>>(low: Option<T>, above: u64) -> io::Result<Option<T>> {
    let Some(low) = low else {
        return Ok(None);
    };
    let low: OwnedFd = low.into();
    let above = i32::try_from(above).map_err(io::Error::other)?;
    Ok(Some(rustix::io::fcntl_dupfd_cloexec(low, above)?.into()))
}

/// Runs `work`, which may close every descriptor, without reserved ones.
pub(crate) fn without_reserved(work: impl FnOnce()) {
    let mut raised = RAISED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(raised) = raised.as_mut() {
        raised.reserved.clear();
    }
    work();
    if let Some(raised) = raised.as_mut() {
        raised.reserved = reserve();
    }
}

/// Reserves the lowest free descriptors.
fn reserve() -> Vec<OwnedFd> {
    let open = || File::open("/dev/null").map(OwnedFd::from);
    (0..FOR_SPAWN).map_while(|_| open().ok()).collect()
}
