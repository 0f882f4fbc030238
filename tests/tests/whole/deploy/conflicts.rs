//! Files that both sides changed are named and left alone, until the user says
//! which side wins.

use super::home;

#[test]
fn a_file_that_both_sides_changed() {
    let sandbox = home(&["noop"]);
    let (own, there) = (
        ".ansar-home/model/noop-0/file",
        "testing/model-by-role/noop-0/file",
    );
    let deploy = |more: &[&str]| {
        let words = ["deploy", "--storage-path=testing"];
        sandbox.ansar(words).args(more).run()
    };
    sandbox.write(there, "deployed");
    deploy(&[]).success();
    for (take, expected) in [("home", "of the role"), ("snapshot", "of the user")] {
        sandbox.write(own, "of the role");
        sandbox.write(there, &format!("before {take}"));
        sandbox.write(there, "of the user");
        // It is reported each time.
        for _ in 0..2 {
            let named = deploy(&[]);
            named
                .success()
                .stderr_has("model/noop-0/file` is left alone: changed in the snapshot and in")
                .stderr_has("Nothing to deploy");
            assert_eq!(sandbox.read(own), "of the role");
        }
        let planned = deploy(&["--dry-run"]);
        planned
            .success()
            .stdout_has("left alone: model/noop-0/file: ");
        deploy(&["--take", take]).success();
        assert_eq!(sandbox.read(own), expected);
        deploy(&[]).success().stderr_lacks("left alone");
        sandbox.write(there, "deployed");
        deploy(&["--take=snapshot"]).success();
    }
    let kept = sandbox.read(".ansar-home/kept/model/noop-0/file");
    assert_eq!(kept, "of the role");
}

#[test]
fn files_written_by_a_role_are_kept() {
    let sandbox = home(&["noop"]);
    sandbox.write(".ansar-home/model/noop-0/own", "of the role");
    sandbox.write("testing/model-by-role/noop-0/file", "1");
    let storage = ["deploy", "--storage-path=testing"];
    sandbox.ansar(storage).run().success();
    std::fs::remove_dir_all(sandbox.path().join("testing/model-by-role/noop-0"))
        .expect("it is there");
    let removed = sandbox.ansar(storage).run();
    removed.success().stderr_has("Deploying model/noop-0");
    assert!(
        !sandbox
            .path()
            .join(".ansar-home/model/noop-0/file")
            .exists()
    );
    assert_eq!(sandbox.read(".ansar-home/model/noop-0/own"), "of the role");
}
