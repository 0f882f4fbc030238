//! Folders named on the command line, and errors in them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{contents, home};

#[test]
fn a_folder_of_executables_is_copied() {
    let sandbox = home(&["noop"]);
    let bin = sandbox.path().join(".ansar-home/bin/noop");
    let dist = sandbox.path().join("dist/noop");
    let inode = |path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("there"));
    assert_ne!(inode(&bin), inode(&dist));
    let same = sandbox.ansar(["deploy", "--build-path=dist"]).run();
    same.success().stderr_has("Nothing to deploy").stdout_is("");
}

#[test]
fn a_storage_path_alone_is_materials_alone() {
    let sandbox = home(&["noop"]);
    fs::write(sandbox.path().join("dist/noop"), "no component").expect("it is written");
    sandbox.write("testing/model-by-role/noop-0/deep/file", "1");
    sandbox.write("testing/resource-by-executable/noop/shared", "2");
    sandbox.write("testing/model-by-role/nop-0/file", "misspelled");
    let plan = [
        "deploy",
        "--storage-path=testing",
        "--dry-run",
        "--format=json",
    ];
    let planned = sandbox.ansar(plan).run();
    let mut lines = planned.success().json_lines();
    // Besides the events, which are reported as usual.
    lines.retain(|line| line.get("step").is_some());
    let what: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["what"].as_str())
        .collect();
    assert_eq!(
        what,
        [
            "resource/noop/shared",
            "model/noop-0/deep",
            "model/noop-0/deep/file"
        ]
    );
    assert!(
        lines
            .iter()
            .all(|line| line["version"] == 1 && line["step"] == "material")
    );
    let done = sandbox.ansar(["deploy", "--storage-path=testing"]).run();
    done.success()
        .stderr_has("Deploying resource/noop, model/noop-0, 1 role affected")
        .stderr_has("no role of this name");
    assert_eq!(sandbox.read(".ansar-home/model/noop-0/deep/file"), "1");
    assert_eq!(sandbox.read(".ansar-home/resource/noop/shared"), "2");
    sandbox.ansar(["run", "noop-0"]).run().success();
}

#[test]
fn settings_of_a_named_folder_stay() {
    let sandbox = home(&["server"]);
    let settings = "testing/settings-by-role/server-0.json";
    sandbox.write(settings, "{\"value\": {\"port\": 7}}");
    let storage = ["deploy", "--storage-path", "testing"];
    let done = sandbox.ansar(storage).run();
    done.success().stderr_has("Deploying settings/server-0");
    let update = ["update", "server-0", "--host=::1"];
    sandbox.ansar(update).run().success();
    sandbox.ansar(["deploy", "dist"]).run().success();
    let told = sandbox.ansar(["settings", "server-0"]).run();
    told.success()
        .stdout_has("\"port\": 7")
        .stdout_has("\"::1\"");
}

#[test]
fn missing_or_read_only_folders() {
    let sandbox = home(&["noop"]);
    let none = sandbox.ansar(["deploy", "gone"]).run();
    none.code(2)
        .stderr_has("error: no folder `")
        .stderr_has("/gone`");
    sandbox.write("testing/model-by-role/noop-0/file", "1");
    let broken = sandbox.path().join("testing/model-by-role/noop-0/secret");
    fs::create_dir(&broken).expect("it is new");
    let model = sandbox.path().join(".ansar-home/model/noop-0");
    let lock = |path: &std::path::Path, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(path, mode).expect("it is ours");
    };
    // Root may write to any folder, but not below a file.
    fs::remove_dir(&model).expect("it is empty");
    fs::write(&model, "in the way").expect("it is written");
    let before = contents(&sandbox.path().join(".ansar-home/bin"));
    let failed = sandbox.ansar(["deploy", "--storage-path=testing"]).run();
    failed
        .code(103)
        .stderr_has("error: failed to deploy `model/noop-0`")
        .stderr_has("caused by: ");
    assert_eq!(failed.log("error: ").len(), 1);
    assert_eq!(contents(&sandbox.path().join(".ansar-home/bin")), before);
    assert_eq!(fs::read(&model).expect("it is there"), b"in the way");
    fs::remove_file(&model).expect("it is ours");
    lock(&broken, 0o700);
    sandbox
        .ansar(["deploy", "--storage-path=testing"])
        .run()
        .success();
}

#[test]
fn two_at_once_wait_for_each_other() {
    let sandbox = home(&["noop"]);
    for file in 0..50 {
        sandbox.write(format!("testing/model-by-role/noop-0/{file}"), "1");
    }
    let storage = ["deploy", "--storage-path=testing"];
    let running: Vec<_> = (0..3).map(|_| sandbox.ansar(storage).start()).collect();
    let outputs: Vec<_> = running.into_iter().map(tests::Running::wait).collect();
    let mut deployed = 0;
    for output in &outputs {
        output.success();
        deployed += output.log("Deploying").len();
    }
    assert_eq!(deployed, 1);
}

#[test]
fn the_trace_shows_phases() {
    let sandbox = home(&["noop"]);
    let phases = |words: &[&str]| {
        let output = sandbox.ansar(words).run();
        output.success();
        let lines = output.stderr.lines().map(str::trim);
        let phases = lines.filter_map(|line| line.strip_prefix("Phase "));
        phases.map(str::to_owned).collect::<Vec<_>>()
    };
    let all = [
        "the home is locked",
        "compare the home with its sources",
        "apply the changes",
    ];
    assert_eq!(phases(&["--debug-level=DEBUG", "deploy", "dist"]), all);
    assert_eq!(phases(&["deploy", "dist", "--debug-level=TRACE"]), all);
    assert!(phases(&["deploy", "dist"]).is_empty());
    assert!(phases(&["--debug-level=CONSOLE", "deploy", "dist"]).is_empty());
    let told = ["deploy", "dist", "--debug-level=DEBUG", "--format=json"];
    let told = sandbox.ansar(told).run().json_lines();
    let told = told.iter().filter(|line| line["event"] == "phase");
    let told: Vec<_> = told.map(|line| line["phase"].clone()).collect();
    assert_eq!(told, ["locked", "plan", "apply"]);
}

#[test]
fn the_bytes_of_a_large_file_are_reported() {
    let sandbox = home(&["noop"]);
    let large = sandbox.write("testing/model-by-role/noop-0/large", "");
    fs::write(large, vec![7; 40 << 20]).expect("it is ours");
    let deploy = ["deploy", "--storage-path=testing", "--format=json"];
    let told = sandbox.ansar(deploy).run().json_lines();
    let told = told.iter().filter(|line| line["event"] == "transferring");
    let told: Vec<_> = told.map(|line| line["done"].as_u64()).collect();
    let mebibytes = (0..=40_u64).map(|number| Some(number << 20));
    assert_eq!(told, mebibytes.collect::<Vec<_>>());
}
