//! Locks, in a process that starts no others: a child that is being born shares
//! for a moment what its parent has locked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cargo_ansar::host::fs::lock::{Attempt, holder, try_lock};

#[test]
fn whoever_only_looks_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    drop(try_lock(&path, "").unwrap());
    let looks = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            while looks.load(Ordering::Relaxed) {
                let held = holder(&path).unwrap();
                assert!(held.is_none_or(|(note, _)| note == "taken"));
            }
        });
        let attempts = (0..2000).map(|_| try_lock(&path, "taken").unwrap());
        let refused = attempts.filter(|attempt| matches!(attempt, Attempt::Busy(_)));
        let refused = refused.count();
        looks.store(false, Ordering::Relaxed);
        assert_eq!(refused, 0);
    });
}
