//! `add`: roles by name and by template, with settings and input that their
//! component accepts; all are added, or none.

use serde_json::{Value, json};
use tests::{Sandbox, Workspace};

use super::{ACK, ends, hinted, listed, pairs, tree, with_home, with_roles};

#[track_caller]
fn kept(sandbox: &Sandbox, area: &str, role: &str) -> Value {
    let text = sandbox.read(format!(".ansar-home/{area}/{role}.json"));
    let mut kept: Value = serde_json::from_str(&text).expect("a home's files are JSON");
    kept["value"].take()
}

#[test]
fn the_default_name_comes_from_the_executable() {
    let sandbox = with_home();
    let add = sandbox.ansar(["add", "noop"]).run();
    add.success()
        .stdout_is("")
        .stderr_has("Added role `noop-0`");
    for (line, added) in [
        (&["add", "noop", "left-arm"][..], "role `left-arm`"),
        (
            &["add", "noop", "{executable}_{number}", "--start=7"],
            "role `noop_7`",
        ),
        (
            &[
                "add",
                "noop",
                "n{number}",
                "--start",
                "10",
                "--count",
                "3",
                "--step",
                "5",
            ],
            "3 roles",
        ),
    ] {
        sandbox
            .ansar(line)
            .run()
            .success()
            .stderr_has(&format!("Added {added}"));
    }
    assert_eq!(
        listed(&sandbox),
        ["left-arm", "n10", "n15", "n20", "noop-0", "noop_7"]
    );
    sandbox
        .ansar(["add", "noop", "u-{uuid}", "--count=2"])
        .run()
        .success();
    let list = sandbox.ansar(["list", "u-[0-9a-f-]{36}"]).run();
    assert_eq!(list.success().stdout.lines().count(), 2);
}

#[test]
fn the_home_as_argument_or_flag() {
    let sandbox = Sandbox::new();
    let bin = super::in_place();
    sandbox.ansar(["create", "toy-robot", &bin]).run().success();
    let arm = ["add", "snooze", "left-arm", "toy-robot", "--seconds=90.0"];
    sandbox.ansar(arm).run().success();
    let other = ["add", "snooze", "--home-path=toy-robot"];
    sandbox.ansar(other).run().success();
    let list = sandbox.ansar(["list", "--home-path", "toy-robot"]).run();
    list.success().stdout_is("left-arm\nsnooze-0\n");
    let settings = sandbox.read("toy-robot/settings/left-arm.json");
    assert!(settings.contains("\"seconds\": 90.0"), "{settings}");
}

#[test]
fn the_component_states_its_settings_and_input() {
    let sandbox = with_roles(&["snooze", "client", "talks"]);
    assert_eq!(
        kept(&sandbox, "settings", "snooze-0"),
        json!({"seconds": 2.0})
    );
    let defaults = json!({"host": "127.0.0.1", "port": 65432});
    assert_eq!(kept(&sandbox, "settings", "client-0"), defaults);
    assert_eq!(kept(&sandbox, "input", "talks-0"), "children");
    assert_eq!(
        tree(&sandbox, ".ansar-home/input"),
        [".ansar-home/input/talks-0.json"]
    );
    let entry = kept(&sandbox, "entry", "snooze-0");
    assert_eq!(entry["executable"], "snooze");
    assert_eq!(entry["origin"], "hand");
}

#[test]
fn named_settings_override_those_of_a_file() {
    let sandbox = with_home();
    sandbox.write("s.json", r#"{"value": {"host": "h", "port": 1}}"#);
    sandbox.write("i.json", r#"{"value": "many"}"#);
    for (line, expected) in [
        (
            &["add", "client", "a", "--port=7"][..],
            json!({"host": "127.0.0.1", "port": 7}),
        ),
        (
            &["add", "client", "b", "--settings-file=../s.json"],
            json!({"host": "h", "port": 1}),
        ),
        (
            &[
                "add",
                "client",
                "c",
                "--settings-file",
                "../s.json",
                "--port=2",
            ],
            json!({"host": "h", "port": 2}),
        ),
        // Text if the field is text, also if it looks like a number.
        (
            &["add", "client", "d", "--host=12"],
            json!({"host": "12", "port": 65432}),
        ),
        (
            &["add", "client", "e", "--host=a=b c"],
            json!({"host": "a=b c", "port": 65432}),
        ),
        (
            &["add", "client", "f", "--", "--host=x", "--port=3"],
            json!({"host": "x", "port": 3}),
        ),
    ] {
        sandbox.write("sub/here", "");
        let home = ["--home-path", "../.ansar-home"];
        sandbox.ansar(home).args(line).in_dir("sub").run().success();
        assert_eq!(kept(&sandbox, "settings", line[2]), expected);
    }
    let c = kept(&sandbox, "entry", "c");
    assert_eq!(c["by_hand"]["settings"], json!({"host": "h", "port": 2}));
    let talks = ["add", "talks", "t", "--input-file", "i.json"];
    sandbox.ansar(talks).run().success();
    assert_eq!(kept(&sandbox, "input", "t"), "many");
    assert_eq!(kept(&sandbox, "entry", "t")["by_hand"]["input"], "many");
}

#[test]
fn settings_have_the_types_of_the_component() {
    let workspace = Workspace::new();
    workspace.edit(
        "test-fixtures/src/bin/snooze.rs",
        "    seconds: f64,\n}",
        "    seconds: f64,\n    #[serde(default)]\n    rotation_angle: i32,\n    \
         #[serde(default)]\n    names: Vec<String>,\n}",
    );
    workspace.edit(
        "test-fixtures/src/bin/snooze.rs",
        "Self { seconds: 2.0 }",
        "Self { seconds: 2.0, rotation_angle: 0, names: Vec::new() }",
    );
    workspace.ansar(["create"]).run().success();
    // Everything after `--` is a setting, also if it looks like a flag.
    let arm = [
        "add",
        "snooze",
        "arm",
        "--rotation-angle=-90",
        "--names=[\"a\", \"b c\"]",
        "--seconds=-1e-3",
    ];
    let add = workspace.ansar(arm).run();
    add.success()
        .stderr_has("Compiling")
        .stderr_has("Added role `arm`");
    assert_eq!(
        kept(&workspace, "settings", "arm"),
        json!({"seconds": -0.001, "rotation_angle": -90, "names": ["a", "b c"]})
    );
    let wrong = workspace.ansar(["add", "snooze", "--names=[1]"]).run();
    wrong
        .code(103)
        .stderr_has("setting `names` cannot be `[1]`");
}

#[test]
fn a_setting_that_the_component_refuses() {
    let sandbox = with_roles(&["noop"]);
    sandbox.write("type.json", "{\"value\": {\n  \"seconds\": \"long\"\n}}");
    sandbox.write("field.json", "{\"value\": {\n  \"secs\": 1}}");
    sandbox.write("list.json", "{\"value\": [1]}");
    sandbox.write("cut.json", "{\"value\": {\"seconds\": 1");
    sandbox.write("topic.json", "{\"value\":\n \"weather\"}");
    let before = tree(&sandbox, ".ansar-home");
    for (line, code, expected) in [
        (
            &["snooze", "--seconds=long"][..],
            103,
            "setting `seconds` cannot be `long`",
        ),
        (
            &["snooze", "--secnds=1"],
            103,
            "unexpected argument '--secnds'",
        ),
        (
            &["snooze", "--", "--count=1"],
            103,
            "unexpected argument '--count'",
        ),
        (
            &["noop", "x", "--seconds=1"],
            103,
            "unexpected argument '--seconds'",
        ),
        (
            &["snooze", "--settings-file=type.json"],
            103,
            "/type.json:2:19: field `seconds`: invalid type",
        ),
        (
            &["snooze", "--settings-file=field.json"],
            103,
            "/field.json:2:8: unknown setting `secs`, expected `seconds`",
        ),
        (&["snooze", "--settings-file=list.json"], 2, "/list.json:1:"),
        (
            &["snooze", "--settings-file=cut.json"],
            2,
            "/cut.json:1:23: field `value`: EOF",
        ),
        (
            &["snooze", "--settings-file=none.json"],
            2,
            "failed to read `",
        ),
        (&["talks", "--input-file=topic.json"], 103, "/topic.json:2:"),
        (
            &["noop", "x", "--input-file=topic.json"],
            103,
            "this component takes no input",
        ),
        (
            &["snooze", "--seconds", "1"],
            2,
            "`--seconds` is not a flag; write a setting as `--seconds=VALUE`",
        ),
        (
            &["snooze", "--", "seconds=1"],
            2,
            "`seconds=1` is not a setting, expected `--name=value`",
        ),
        (
            &["snooze", "r{number}", "--count=40", "--seconds=long"],
            103,
            "`seconds`",
        ),
    ] {
        let add = sandbox.ansar(["add"]).args(line).run();
        let errors = add.log("error: ");
        add.code(code)
            .stderr_has(expected)
            .check(errors.len() == 1, || "expected one error".to_owned());
        assert_eq!(tree(&sandbox, ".ansar-home"), before, "{line:?}");
    }
    let mistyped = sandbox.ansar(["add", "snooze", "--secnds=1"]).run();
    mistyped.stderr_has("hint: ").stderr_has("'--seconds'");
}

#[test]
fn a_series_is_added_entirely_or_not() {
    let sandbox = with_roles(&["noop"]);
    sandbox.ansar(["add", "noop", "many-39"]).run().success();
    let before = tree(&sandbox, ".ansar-home");
    let many = ["add", "noop", "many-{number}", "--count=40"];
    let taken = sandbox.ansar(many).run();
    taken
        .code(2)
        .stderr_has("error: role `many-39` exists already");
    assert_eq!(tree(&sandbox, ".ansar-home"), before);
    hinted(&sandbox, &taken)
        .run()
        .success()
        .stdout_is("many-39\nnoop-0\n");

    // The last role cannot be stored, so the first ones are removed again.
    let stopper = sandbox.path().join(".ansar-home/settings/some-39.json");
    std::fs::create_dir(stopper).unwrap();
    let before = tree(&sandbox, ".ansar-home");
    let some = ["add", "noop", "some-{number}", "--count=40"];
    sandbox
        .ansar(some)
        .run()
        .code(96)
        .stderr_has("some-39.json");
    assert_eq!(tree(&sandbox, ".ansar-home"), before);
    assert_eq!(listed(&sandbox), ["many-39", "noop-0"]);

    let others = ["add", "noop", "many-{number}", "--start=40", "--count=40"];
    sandbox
        .ansar(others)
        .run()
        .success()
        .stderr_has("Added 40 roles");
    assert_eq!(listed(&sandbox).len(), 42);
}

#[test]
fn a_missing_executable_is_built_and_deployed_first() {
    let workspace = Workspace::new();
    workspace.remove("target/debug/noop");
    workspace.ansar(["create"]).run().success();
    let add = workspace
        .ansar(["add", "noop"])
        .in_dir("test-fixtures")
        .run();
    add.success().stderr_has("Deploying noop");
    assert_eq!(
        tree(&workspace, ".ansar-home/bin"),
        [".ansar-home/bin/noop"]
    );
    let run = workspace.ansar(["run"]).run();
    assert_eq!(ends(run.success()), pairs(&[("noop-0", ACK)]));
    let again = workspace.ansar(["add", "noop", "noop-1"]).run();
    again.success().stderr_lacks("Finished");
    // A home elsewhere gets it from the workspace of the working folder.
    workspace.ansar(["create", "elsewhere"]).run().success();
    let add = ["add", "snooze", "{executable}", "elsewhere"];
    workspace.ansar(add).run().success();
    workspace
        .program("elsewhere/bin/snooze")
        .arg("--help")
        .run()
        .success();
}

#[test]
fn an_executable_that_does_not_build_adds_nothing() {
    let workspace = Workspace::new();
    workspace.ansar(["create"]).run().success();
    workspace.edit(
        "test-fixtures/src/bin/noop.rs",
        "cx.console(",
        "cx.konsole(",
    );
    let add = workspace.ansar(["add", "noop"]).run();
    add.code(101).stderr_has("no method named `konsole`");
    assert!(listed(&workspace).is_empty());
    let missing = workspace.ansar(["add", "snoze"]).run();
    missing
        .code(2)
        .stderr_has("executable `snoze` not found: not a binary of this workspace, and not deployed in this home")
        .stderr_has("hint: did you mean `snooze`?");
    assert!(tree(&workspace, ".ansar-home/bin").is_empty());
}

#[test]
fn an_unknown_executable_is_refused() {
    let sandbox = with_roles(&["noop"]);
    let missing = sandbox.ansar(["add", "missing"]).run();
    missing
        .code(2)
        .stderr_has("error: executable `missing` not found");
    assert_eq!(listed(&sandbox), ["noop-0"]);
}

#[test]
fn a_path_in_place_of_an_executable() {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    for path in ["/bin/true", "../scratch/dist/script"] {
        sandbox.write("dist/script", "#!/bin/sh\n");
        let add = sandbox.ansar(["add", path]).run();
        add.code(103)
            .stderr_has(&format!("error: executable `{path}` is not a component"))
            .stderr_has("\nhint: ")
            .stderr_lacks("did you mean");
    }
    let nothing = sandbox.ansar(["add", "bin/true"]).run();
    nothing
        .code(2)
        .stderr_has("executable name `bin/true` holds `/`");
    hinted(&sandbox, &nothing).run().success();

    let (noop, own) = (tests::executable("noop"), sandbox.path().join("dist/noop"));
    std::fs::copy(noop, own).expect("the folder is there");
    let add = sandbox.ansar(["add", "dist/noop"]).run();
    add.code(2)
        .stderr_has("expected the name of an executable, found the path `")
        .stderr_has(", then name it `noop`");
    hinted(&sandbox, &add).run().success();
    sandbox.ansar(["add", "noop"]).run().success();
    assert_eq!(listed(&sandbox), ["noop-0"]);
}

#[test]
fn a_component_that_prints_no_settings() {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    for (name, script) in [
        ("says", "echo hello"),
        ("fails", "echo no >&2; exit 3"),
        ("waits", "exec sleep 600"),
    ] {
        let path = sandbox.write(
            format!(".ansar-home/bin/{name}"),
            &format!("#!/bin/sh\n# ansar-component: 1\n{script}\n"),
        );
        sandbox.program("chmod").arg("+x").arg(path).run().success();
    }
    let add = sandbox.ansar(["add", "says"]).run();
    add.code(103)
        .stderr_has("`says` printed something else than its settings");
    let add = sandbox.ansar(["add", "fails"]).run();
    add.code(103).stderr_has("error: role `fails-0`: no");
    let add = sandbox.ansar(["add", "waits"]).run();
    add.code(103)
        .stderr_has("error: role `waits-0`: `waits` did not print its settings within 2s");
    assert!(listed(&sandbox).is_empty());
}

#[test]
fn invalid_names_and_templates() {
    let sandbox = with_home();
    let long = "x".repeat(101);
    for (line, expected) in [
        (&["add", "noop", "a/b"][..], "role name `a/b` holds `/`"),
        (&["add", "noop", "a.b"], "role name `a.b` holds `.`"),
        (&["add", "noop", ""], "the role name is empty"),
        (
            &["add", "noop", &long],
            "has 101 bytes, expected at most 100",
        ),
        (&["add", "../noop"], "executable name `../noop` holds `.`"),
        (&["add", ""], "the executable name is empty"),
        (&["add", &long], "has 101 bytes"),
        (&["add", "noop", "a-{numbr}"], "unknown variable `{numbr}`"),
        (&["add", "noop", "a-{"], "unbalanced `{`"),
        (
            &["add", "noop", "same", "--count=2"],
            "makes 2 roles of one name",
        ),
        (&["add", "noop", "--count=0"], "count is 0"),
        (&["add", "noop", "--count=-1"], "--count"),
        (&["add"], "<EXECUTABLE>"),
    ] {
        let add = sandbox.ansar(line).run();
        add.code(2).stderr_has("error: ").stderr_has(expected);
    }
    let template = sandbox.ansar(["add", "noop", "a-{numbr}"]).run();
    template.stderr_has("hint: did you mean `{number}`?");
    assert!(listed(&sandbox).is_empty());
    let longest = "x".repeat(100);
    sandbox.ansar(["add", "noop", &longest]).run().success();
    sandbox.ansar(["run", "-q"]).run().success();
}

#[test]
fn roles_are_added_side_by_side() {
    let sandbox = with_home();
    let names: Vec<String> = (0..8).map(|number| format!("side-{number}")).collect();
    let adding = names
        .iter()
        .map(|name| sandbox.ansar(["add", "noop", name]).start());
    for running in adding.collect::<Vec<_>>() {
        running.wait().success();
    }
    assert_eq!(listed(&sandbox), names);
    assert!(tree(&sandbox, ".ansar-home/engine").is_empty());
}
