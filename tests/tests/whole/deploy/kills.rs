//! A deploy that is killed right before each of its file system changes, one
//! after the other, and is repeated.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tests::Sandbox;

use super::contents;

/// Writes a small component that prints its settings.
pub(super) fn component(sandbox: &Sandbox, version: u32) {
    let script = format!(
        "#!/bin/sh\n# ansar-component: 1\necho '{{\"value\": {{\"version\": {version}}}}}'\necho '{{\"value\": null}}'\n"
    );
    let path = sandbox.write("dist/app", &script);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).expect("a script of ours is ours");
}

pub(super) fn materials(sandbox: &Sandbox, version: u32) {
    let text = format!("version {version}");
    sandbox.write("testing/model-by-role/app-0/deep/file", &text);
    sandbox.write("testing/model-by-role/app-0/other", &text);
    sandbox.write("testing/resource-by-executable/app/shared", &text);
    let (old, new) = if version == 1 { ("a", "b") } else { ("b", "a") };
    let folder = sandbox.path().join("testing/model-by-role/app-1");
    let _ = fs::remove_dir_all(folder.join(new));
    sandbox.write(format!("testing/model-by-role/app-1/{old}/only"), &text);
}

/// Returns the deployed files of a home, by path.
pub(super) fn deployed(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let areas = ["bin", "entry", "settings", "input", "model", "resource"];
    let all = areas.iter().flat_map(|area| contents(&home.join(area)));
    all.map(|(path, bytes)| {
        let path = path.strip_prefix(home).expect("it is in the home");
        (path.to_owned(), bytes)
    })
    .collect()
}

fn copy(sandbox: &Sandbox, from: &str, to: &str) {
    let _ = fs::remove_dir_all(sandbox.path().join(to));
    let copied = sandbox.program("cp").args(["-a", from, to]).run();
    copied.success();
}

#[test]
#[expect(clippy::print_stderr, reason = "how often it was killed is part of it")]
fn a_deploy_killed_before_each_change() {
    let sandbox = Sandbox::new();
    let deploy = ["deploy", "dist", "testing"];
    component(&sandbox, 1);
    sandbox.ansar(["create"]).run().success();
    sandbox.ansar(["deploy", "dist"]).run().success();
    sandbox.ansar(["add", "app", "--count=2"]).run().success();
    materials(&sandbox, 1);
    sandbox.ansar(deploy).run().success();
    let home = sandbox.path().join(".ansar-home");
    let old = deployed(&home);
    copy(&sandbox, ".ansar-home", "before");

    component(&sandbox, 2);
    materials(&sandbox, 2);
    sandbox.ansar(deploy).run().success();
    let new = deployed(&home);
    assert_ne!(old, new);

    let mut kills = 0;
    loop {
        copy(&sandbox, "before", ".ansar-home");
        let nth = (kills + 1).to_string();
        let killed = sandbox.ansar(deploy).env("__ANSAR_TEST_KILL_AT", nth);
        let killed = killed.run();
        if killed.status.success() {
            break;
        }
        killed.code(137);
        kills += 1;
        for (path, bytes) in deployed(&home) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let whole = [&old, &new].map(|side| side.get(&path) == Some(&bytes));
            assert!(
                whole.contains(&true) || name.starts_with(".ansar-alias-"),
                "kill {kills}: `{}` is torn",
                path.display()
            );
        }
        let again = sandbox.ansar(deploy).run();
        again.success();
        assert!(deployed(&home) == new, "after kill {kills}: another end");
        sandbox
            .ansar(deploy)
            .run()
            .success()
            .stderr_has("Nothing to deploy");
    }
    assert!(kills > 20, "only {kills} changes");
    eprintln!("killed {kills} times, before each change that a deploy makes");
}
