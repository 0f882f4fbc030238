//! Components are recognized by their marker; other files are never run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::json;
use tests::{Sandbox, Workspace, executable};

use super::FAULTED;

const REFUSED: &str = "is not a component: it does not link ansar-runtime";

/// Writes an executable script into the home.
fn script(sandbox: &Sandbox, name: &str, text: &str) -> PathBuf {
    let path = sandbox.write(format!(".ansar-home/bin/{name}"), text);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is there");
    path
}

/// Creates a home with the role `foreign-0`, which an older version added
/// without a check.
fn with_foreign() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    let ran = sandbox.path().join("ran");
    let text = format!("#!/bin/sh\necho \"$*\" >> '{}'\n", ran.display());
    script(&sandbox, "foreign", &text);
    let entry = json!({"value": {
        "created": "2026-01-01T00:00:00Z", "executable": "foreign", "origin": "hand",
    }});
    sandbox.write(".ansar-home/entry/foreign-0.json", &entry.to_string());
    let settings = r#"{"value": {"port": 1}}"#;
    sandbox.write(".ansar-home/settings/foreign-0.json", settings);
    (sandbox, ran)
}

#[test]
fn a_foreign_executable_is_never_asked() {
    let (sandbox, ran) = with_foreign();
    let settings = sandbox.write("given", r#"{"value": {"port": 2}}"#);
    let settings = settings.display().to_string();
    for words in [
        &["add", "foreign", "other"][..],
        &["add", "foreign", "other", "--settings-file", &settings],
        &["update", "foreign-0", "--port=2"],
        &["settings", "foreign-0", "--set-file", &settings],
        &["run", "--test-analyzer=foreign"],
    ] {
        let refused = sandbox.ansar(words).run();
        refused
            .code(103)
            .stderr_has("executable `foreign`")
            .stderr_has(REFUSED)
            .stderr_has("hint: ");
    }
    let build = sandbox.write("build/foreign", "#!/bin/sh\necho\n");
    fs::set_permissions(&build, PermissionsExt::from_mode(0o755)).expect("it is there");
    let deploy = ["deploy", "build", "--dry-run"];
    sandbox.ansar(deploy).run().success();
    sandbox.ansar(["list", "-l"]).run().success();
    assert!(!ran.exists(), "{}", sandbox.read("ran"));
    assert!(sandbox.read(".ansar-home/bin/foreign").contains("ran"));
}

#[test]
fn a_foreign_bin_with_settings_is_refused_at_its_line() {
    let workspace = Workspace::new();
    let ran = workspace.path().join("ran");
    // A migration: it shares a library with a component, whose `main` it does not call.
    let foreign = format!(
        "//! Foreign.\n\
         use ansar_runtime::{{Context, Settings, TestReport}};\n\
         fn main() {{\n\
             std::fs::write({ran:?}, \"\").unwrap();\n\
             println!(\"{{}}\", serde_json::to_string(&TestReport::default()).unwrap());\n\
             println!(\"{{}}\", test_fixtures::shared::shared());\n\
             println!(\"{{:?}}\", (size_of::<Settings<u8>>(), size_of::<Context>()));\n\
         }}\n"
    );
    let library = workspace.read("test-fixtures/src/lib.rs");
    let library = library + "\npub mod shared;\n";
    workspace.write("test-fixtures/src/lib.rs", &library);
    workspace.write(
        "test-fixtures/src/shared.rs",
        "//! Shared.\n\
         /// The server.\n\
         pub fn server() -> std::process::ExitCode { ansar_runtime::main(serve) }\n\
         async fn serve() {}\n\
         /// A part of it.\n\
         pub fn shared() -> u32 { std::env::args().map(|_| 1).sum() }\n",
    );
    workspace.write("test-fixtures/src/bin/foreign.rs", &foreign);
    workspace.manifest(
        "[workspace.metadata.ansar.role.test-foreign]\nexecutable = \"foreign\"\n\
         settings = { port = 1 }\n",
    );
    let manifest = workspace.read("Cargo.toml");
    let is_role = |line: &str| line.starts_with("[workspace.metadata.ansar.role");
    let line = manifest
        .lines()
        .position(is_role)
        .map_or(0, |line| line + 1);
    for words in [&["test"][..], &["test", "--no-run"]] {
        let refused = workspace.ansar(words).run();
        refused
            .code(103)
            .stderr_has("error: role `test-foreign` (")
            .stderr_has(&format!(
                "Cargo.toml:{line}): `settings` is for components, and `foreign` does not link \
                 ansar-runtime\nhint: use `args` and `env`"
            ));
    }
    assert!(!ran.exists(), "it was run");
}

#[test]
fn a_component_of_another_contract() {
    let (sandbox, ran) = with_foreign();
    let text = format!("#!/bin/sh\n# ansar-component: 7\n: > '{}'\n", ran.display());
    script(&sandbox, "later", &text);
    let refused = sandbox.ansar(["add", "later"]).run();
    refused.code(103).stderr_has(
        "executable `later` was built for contract version 7; this `cargo ansar` supports 1",
    );
    assert!(!ran.exists());
}

#[test]
fn a_stripped_component_is_recognized() {
    let (sandbox, _) = with_foreign();
    let bin = sandbox.path().join(".ansar-home/bin");
    std::os::unix::fs::symlink(executable("noop"), bin.join("linked")).expect("it is new");
    fs::copy(executable("noop"), bin.join("stripped")).expect("it is copied");
    let strip = sandbox.program("strip").arg("-s").arg(bin.join("stripped"));
    strip.run().success();
    for name in ["linked", "stripped"] {
        sandbox.ansar(["add", name]).run().success();
        let run = sandbox.ansar(["run", &format!("{name}-0")]).run();
        run.success();
    }
    // An ordinary program, and a file that is no program.
    fs::copy("/bin/true", bin.join("true")).expect("it is copied");
    script(&sandbox, "text", "\x7fELF\x02\x01 and no more");
    for name in ["true", "text"] {
        let refused = sandbox.ansar(["add", name]).run();
        refused.code(103).stderr_has(REFUSED);
    }
}

#[test]
fn a_component_is_queried_in_its_roles_environment() {
    let (sandbox, _) = with_foreign();
    let text = "#!/bin/sh\n# ansar-component: 1\n\
                echo \"{\\\"value\\\": {\\\"seen\\\": \\\"$SEEN\\\"}} {\\\"value\\\": null}\"\n";
    script(&sandbox, "asked", text);
    sandbox.ansar(["add", "asked"]).run().success();
    let env = sandbox.write("env", r#"{"value": {"SEEN": "yes"}}"#);
    let set = sandbox.ansar(["set", "env", "asked-0", "--encoding-file"]);
    set.arg(&env).run().success();
    let update = sandbox.ansar(["update", "asked-0", "--any=thing"]).run();
    update.success();
    let settings = sandbox.ansar(["settings", "asked-0"]).run();
    settings.success().stdout_has("\"seen\": \"yes\"");
}

#[test]
fn only_components_are_called() {
    let (sandbox, ran) = with_foreign();
    let bin = sandbox.path().join(".ansar-home/bin");
    std::os::unix::fs::symlink(executable("calls"), bin.join("calls")).expect("it is new");
    let add = ["add", "calls", "--executable=foreign"];
    sandbox.ansar(add).run().success();
    let run = sandbox.ansar(["run", "calls-0"]).run();
    run.code(1)
        .stdout_has(FAULTED)
        .stdout_has("`foreign` does not link ansar-runtime");
    assert!(!ran.exists());
}
