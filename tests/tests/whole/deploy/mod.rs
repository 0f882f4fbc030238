//! `deploy`, `snapshot` and `why`, also while roles run.

mod builds;
mod conflicts;
mod files;
mod folders;
mod interrupts;
mod kills;
mod running;
mod snapshots;
mod strangers;
mod trouble;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tests::{Sandbox, executable};

/// Returns the process of each running role.
fn pids(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let status = sandbox.ansar(["status", "--format=json"]).run();
    let lines = status.success().json_lines().into_iter();
    let pair = |line: serde_json::Value| {
        let role = line["role"].as_str()?.to_owned();
        Some((role, line["pid"].as_u64()?))
    };
    lines.filter_map(pair).collect()
}

/// Copies these fixtures into the folder `dist`.
fn fill(sandbox: &Sandbox, names: &[&str]) {
    let dist = sandbox.path().join("dist");
    fs::create_dir_all(&dist).expect("the folder is made");
    for name in names {
        fs::copy(executable(name), dist.join(name)).expect("it is copied");
    }
}

/// Creates a home without a workspace, with these roles, deployed from `dist`.
fn home(roles: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    fill(&sandbox, roles);
    sandbox.ansar(["create"]).run().success();
    sandbox.ansar(["deploy", "dist"]).run().success();
    for role in roles {
        sandbox.ansar(["add", role]).run().success();
    }
    sandbox
}

/// Returns every file below a folder, with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(&path).unwrap_or_default());
            }
        }
    }
    files
}
