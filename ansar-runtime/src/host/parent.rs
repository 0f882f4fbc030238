//! The parent process.

use nix::unistd::getppid;

/// The parent that started this process as its component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent(u32);

impl Parent {
    /// Asks the kernel to send SIGTERM when the parent ends.
    ///
    /// On a platform without this request, only a parent that is gone already is
    /// noticed.
    pub(crate) fn follow(pid: u32) -> Self {
        #[cfg(target_os = "linux")]
        let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM);
        Self(pid)
    }

    /// Returns true if the parent has exited.
    pub(crate) fn is_gone(self) -> bool {
        u32::try_from(getppid().as_raw()) != Ok(self.0)
    }
}
