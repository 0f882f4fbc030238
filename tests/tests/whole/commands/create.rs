//! `create`: places of homes, and areas outside of them.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tests::{Sandbox, Workspace};

use super::{ACK, ends, hinted, in_place, listed, pairs, tree};

const ELSEWHERE: [&str; 8] = [
    "lock", "entry", "settings", "input", "logs", "resource", "tmp", "model",
];

#[test]
fn the_default_and_the_given_place() {
    let workspace = Workspace::new();
    let create = workspace.ansar(["create"]).in_dir("test-fixtures").run();
    create
        .success()
        .stdout_is("")
        .stderr_has("/scratch/.ansar-home`");
    assert_eq!(workspace.read(".ansar-home/.gitignore"), "*\n");
    let home: Value = serde_json::from_str(&workspace.read(".ansar-home/home.json")).unwrap();
    assert_eq!(home["version"], 1);
    let folder = workspace.path().join(".ansar-home").metadata().unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);

    for arguments in [["create", "a/b"], ["create", "--home-path=c"]] {
        workspace
            .ansar(arguments)
            .in_dir("test-fixtures")
            .run()
            .success();
    }
    workspace.read("test-fixtures/a/b/home.json");
    workspace.read("test-fixtures/c/home.json");
    let by_variable = workspace.ansar(["create"]).env("ANSAR_HOME", "d");
    by_variable.run().success();
    workspace.read("d/home.json");
    let before_variable = workspace.ansar(["--home-path=e", "create"]);
    before_variable.env("ANSAR_HOME", "f").run().success();
    workspace.read("e/home.json");
    let by_no_name = workspace.ansar(["list"]).env("ANSAR_HOME", "");
    by_no_name.run().success();
}

#[test]
fn a_home_that_exists_is_refused() {
    let sandbox = Sandbox::new();
    for path in [".ansar-home", "other"] {
        sandbox.ansar(["create", path]).run().success();
        let before = sandbox.read(format!("{path}/home.json"));
        let again = sandbox.ansar(["create", path]).run();
        again.code(96).stderr_has("is a home already");
        assert_eq!(sandbox.read(format!("{path}/home.json")), before);
        hinted(&sandbox, &again).run().success();
        assert!(!sandbox.path().join(path).exists());
    }
}

#[test]
fn a_folder_without_a_home_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("full/precious", "1");
    sandbox.write("file", "1");
    for path in ["full", "file"] {
        let create = sandbox.ansar(["create", path]).run();
        create
            .code(96)
            .stderr_has("is not a home, and not an empty folder")
            .stderr_has("hint: ");
        let destroy = sandbox.ansar(["destroy", path, "-f"]).run();
        destroy.code(96);
    }
    assert_eq!(tree(&sandbox, "full"), ["full/precious"]);
    assert_eq!(sandbox.read("file"), "1");
}

#[test]
fn a_failed_create_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "1");
    std::fs::create_dir(sandbox.path().join("empty")).unwrap();
    for home in ["new", "empty"] {
        let redirect = [
            "create",
            home,
            "--redirect-tmp=file",
            "--redirect-logs=logs",
        ];
        sandbox
            .ansar(redirect)
            .run()
            .code(96)
            .stderr_has("/scratch/file/");
    }
    assert_eq!(tree(&sandbox, "."), ["./empty", "./file", "./logs"]);
    assert!(tree(&sandbox, "logs").is_empty());
}

#[test]
fn a_redirected_bin_is_used_in_place() {
    let workspace = Workspace::new();
    let before = tree(&workspace, "target/debug");
    let create = ["create", "--redirect-bin=target/debug"];
    workspace.ansar(create).run().success();
    workspace.ansar(["add", "noop"]).run().success();
    let run = workspace.ansar(["run"]).run();
    assert_eq!(ends(run.success()), pairs(&[("noop-0", ACK)]));
    assert!(!workspace.path().join(".ansar-home/bin").exists());
    assert_eq!(tree(&workspace, "target/debug"), before);
    workspace.ansar(["destroy"]).run().success();
    assert_eq!(tree(&workspace, "target/debug"), before);
}

#[test]
fn a_redirected_bin_receives_missing_executables() {
    let workspace = Workspace::new();
    let create = ["create", "--redirect-bin=../target/debug"];
    workspace
        .ansar(create)
        .in_dir("test-fixtures")
        .run()
        .success();
    workspace.remove("target/debug/noop");
    let add = workspace.ansar(["add", "noop"]).run();
    add.success().stderr_has("Added role `noop-0`");
    let run = workspace.ansar(["run"]).run();
    assert_eq!(ends(run.success()), pairs(&[("noop-0", ACK)]));
}

#[test]
fn redirected_areas_have_folders_of_their_own() {
    let sandbox = Sandbox::new();
    sandbox.write("elsewhere/precious", "1");
    let bin = in_place();
    let redirect = ELSEWHERE.map(|area| format!("--redirect-{area}=elsewhere"));
    for home in ["one", "two"] {
        let create = sandbox.ansar(["create", home, &bin]).args(&redirect);
        create.run().success();
        let add = sandbox.ansar(["add", "talks", "{executable}", home]);
        add.run().success();
        let run = sandbox.ansar(["run", "--home-path", home]).run();
        assert_eq!(
            run.success().returned(super::RUN)["completed"][0][0],
            json!("talks")
        );
        assert_eq!(
            tree(&sandbox, home),
            [
                ".gitignore",
                "engine",
                "history",
                "history/talks",
                "home.json"
            ]
            .map(|name| format!("{home}/{name}"))
        );
    }
    assert_eq!(
        std::fs::read_dir(sandbox.path().join("elsewhere"))
            .unwrap()
            .count(),
        17
    );
    sandbox.ansar(["destroy", "one"]).run().success();
    sandbox
        .ansar(["list", "--home-path=two"])
        .run()
        .success()
        .stdout_is("talks\n");
    sandbox.ansar(["destroy", "two"]).run().success();
    assert_eq!(tree(&sandbox, "."), ["./elsewhere", "./elsewhere/precious"]);
}

#[test]
fn each_area_can_be_redirected_by_itself() {
    let sandbox = Sandbox::new();
    let bin = in_place();
    for area in ELSEWHERE {
        let redirect = format!("--redirect-{area}=there");
        sandbox.ansar(["create", &bin, &redirect]).run().success();
        sandbox.ansar(["add", "talks"]).run().success();
        sandbox.ansar(["run", "-q"]).run().success();
        assert_eq!(listed(&sandbox), ["talks-0"]);
        assert!(
            !sandbox.path().join(".ansar-home").join(area).exists(),
            "{area}"
        );
        sandbox.ansar(["destroy"]).run().success();
        assert_eq!(tree(&sandbox, "."), ["./there"], "{area}");
    }
}

#[test]
fn home_behind_a_symlink_is_used_and_destroyed_with_the_link() {
    for path in ["link", "link/", "via/../link"] {
        let sandbox = Sandbox::new();
        let link = sandbox.path().join("link");
        std::fs::create_dir(sandbox.path().join("disk")).unwrap();
        std::fs::create_dir(sandbox.path().join("via")).unwrap();
        std::os::unix::fs::symlink("disk", &link).unwrap();
        let home = format!("--home-path={path}");
        let bin = in_place();
        sandbox.ansar(["create", path, &bin]).run().success();
        assert!(link.is_symlink());
        sandbox.read("disk/home.json");
        for command in [
            &["add", "noop"][..],
            &["run"],
            &["add", "zombie"],
            &["start", "zombie-0"],
        ] {
            let command = sandbox.ansar(command).arg(&home).run();
            command.success();
        }
        let destroy = sandbox.ansar(["destroy", "-f", path]).run();
        destroy.success();
        assert!(!link.is_symlink(), "the link is left");
        assert!(!sandbox.path().join("disk").exists());
        sandbox.ansar(["create", path]).run().success();
    }
}

#[test]
fn failed_create_behind_a_symlink_keeps_the_link_and_its_folder() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("disk")).unwrap();
    std::os::unix::fs::symlink("disk", sandbox.path().join("link")).unwrap();
    sandbox.write("file", "1");
    let create = ["create", "link", "--redirect-logs=file/below"];
    let create = sandbox.ansar(create).run();
    create.check(create.status.code() != Some(0), || "an error".to_owned());
    assert!(sandbox.path().join("link").is_symlink());
    assert!(tree(&sandbox, "disk").is_empty());
    sandbox.ansar(["create", "link"]).run().success();
}
