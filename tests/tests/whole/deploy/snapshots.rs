//! `snapshot`, and deploys of the files that it copied out.

use super::{home, pids};

#[test]
fn a_snapshot_can_be_deployed() {
    let sandbox = home(&["server", "zombie"]);
    sandbox.write(".ansar-home/model/server-0/data", "of the role");
    let taken = sandbox.ansar(["snapshot", "testing"]).run();
    taken.success().stderr_has("Copied 3 materials to `");
    for folder in [
        "resource-by-executable/server",
        "resource-by-executable/zombie",
        "model-by-role/server-0",
        "model-by-role/zombie-0",
        "input-by-role",
    ] {
        assert!(
            sandbox.path().join("testing").join(folder).is_dir(),
            "{folder}"
        );
    }
    assert_eq!(
        sandbox.read("testing/model-by-role/server-0/data"),
        "of the role"
    );
    let settings = sandbox.read("testing/settings-by-role/server-0.json");
    assert!(settings.contains("\"port\": 65432"), "{settings}");
    // It is already deployed.
    let deploy = ["deploy", "--storage-path=testing"];
    let nothing = sandbox.ansar(deploy).run();
    nothing.success().stderr_has("Nothing to deploy");
    let again = sandbox.ansar(["snapshot", "testing"]).run();
    again.success().stderr_has("Nothing to copy to");

    // Edits there are deployed to the home, and removals too.
    sandbox.write("testing/model-by-role/server-0/data", "of the user");
    sandbox.ansar(deploy).run().success();
    assert_eq!(
        sandbox.read(".ansar-home/model/server-0/data"),
        "of the user"
    );
    sandbox.write(".ansar-home/model/server-0/data", "of the role again");
    sandbox.ansar(["snapshot", "testing"]).run().success();
    assert_eq!(
        sandbox.read("testing/model-by-role/server-0/data"),
        "of the role again"
    );
}

#[test]
fn an_edit_in_the_folder_is_not_undone() {
    let sandbox = home(&["server"]);
    let (own, there) = (
        ".ansar-home/model/server-0/data",
        "backup/model-by-role/server-0/data",
    );
    let settings = "backup/settings-by-role/server-0.json";
    sandbox.write(own, "1");
    sandbox.ansar(["snapshot", "backup"]).run().success();
    sandbox.write(there, "edited");
    sandbox.write(settings, "{\"value\": {\"port\": 7}}");
    let named = sandbox.ansar(["snapshot", "backup"]).run();
    named.success().stderr_has("server-0.json` is left alone");
    assert_eq!(sandbox.read(there), "edited");

    sandbox.write(own, "changed, too");
    let named = sandbox.ansar(["snapshot", "backup"]).run();
    named
        .success()
        .stderr_has("data` is left alone: changed in the snapshot and in the home")
        .stderr_has("hint: choose the side that wins with `--take home`");
    assert_eq!(sandbox.read(there), "edited");
    let take = ["snapshot", "backup", "--take=home"];
    sandbox
        .ansar(take)
        .run()
        .success()
        .stderr_lacks("left alone");
    assert_eq!(sandbox.read(there), "changed, too");
    assert!(sandbox.read(settings).contains("65432"));
    let kept = ".ansar-home/kept/snapshot/model-by-role/server-0/data";
    assert_eq!(sandbox.read(kept), "edited");
}

#[test]
fn a_dry_run_copies_nothing() {
    let sandbox = home(&["server", "zombie"]);
    sandbox.write(".ansar-home/model/server-0/data.json", "{\"one\": 1}\n");
    sandbox.ansar(["start", "zombie-0"]).run().success();
    let first = pids(&sandbox);
    let plan = ["snapshot", "testing", "--dry-run"];
    let planned = sandbox.ansar(plan).run();
    planned
        .success()
        .stdout_has("settings-by-role/server-0.json: new in the home\n")
        .stdout_has("model-by-role/server-0/data.json: new in the home\n")
        .stdout_has("    +{\"one\": 1}\n")
        .stdout_has("zombie-0: stopped, and started again (process ")
        .stderr_lacks("Copied");
    assert!(!sandbox.path().join("testing").exists());
    assert_eq!(pids(&sandbox), first);
    let json = sandbox.ansar(plan).arg("--format=json").run();
    let steps: Vec<String> = json
        .success()
        .json_lines()
        .into_iter()
        .filter(|line| line["version"] == 1)
        .filter_map(|line| line["step"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(steps, ["settings", "settings", "material", "restart"]);
    sandbox.ansar(["-f", "stop"]).run().success();

    sandbox.ansar(["snapshot", "testing"]).run().success();
    let nothing = sandbox.ansar(plan).run();
    nothing
        .success()
        .stdout_is("")
        .stderr_has("Nothing to copy to");
    // Edited on both sides, and removed in the home.
    let there = "testing/model-by-role/server-0/data.json";
    sandbox.write(there, "edited");
    sandbox.write(".ansar-home/model/server-0/data.json", "changed");
    let deploy_state = sandbox.read(".ansar-home/deploy.json");
    let named = sandbox.ansar(plan).run();
    named
        .success()
        .stdout_has("left alone: model-by-role/server-0/data.json: ")
        .stderr_has("Nothing to copy to");
    let taken = sandbox.ansar(plan).arg("--take=home").run();
    taken
        .success()
        .stdout_has("overruled: model-by-role/server-0/data.json: ")
        .stdout_has("model-by-role/server-0/data.json: the home was taken");
    assert_eq!(sandbox.read(there), "edited");
    assert_eq!(sandbox.read(".ansar-home/deploy.json"), deploy_state);
}

#[test]
fn a_backup_does_not_claim_a_roles_files() {
    let sandbox = home(&["noop"]);
    sandbox.write("testing/model-by-role/noop-0/file", "1");
    let deploy = ["deploy", "--storage-path=testing"];
    sandbox.ansar(deploy).run().success();
    sandbox.write(".ansar-home/model/noop-0/own", "of the role");
    sandbox.ansar(["snapshot", "backup"]).run().success();
    sandbox.ansar(deploy).run().success();
    assert_eq!(sandbox.read(".ansar-home/model/noop-0/own"), "of the role");
}

#[test]
fn roles_do_not_run_meanwhile() {
    let sandbox = home(&["zombie"]);
    sandbox.ansar(["start"]).run().success();
    let first = pids(&sandbox);
    let refused = sandbox.ansar(["snapshot", "testing"]).run();
    refused.code(104).stderr_has("already running: `zombie-0`");
    assert!(!sandbox.path().join("testing").exists());
    let forced = sandbox.ansar(["-f", "snapshot", "testing"]).run();
    forced.success().stderr_has("Restored zombie-0");
    let second = pids(&sandbox);
    assert!(second.len() == 1 && second != first);
    sandbox.ansar(["-f", "stop"]).run().success();
}
