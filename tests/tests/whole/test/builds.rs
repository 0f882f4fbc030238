//! The build before a run: its environment, its target folder, and its
//! failures.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tests::{Program, Workspace, eventually};

use super::{CLIENT, CLIENT_RS, Group, PASSED, SERVER, only_place};
use crate::commands::PLAIN_MARKER;

/// A compiler that stops before it compiles one crate.
pub(super) struct Gate {
    folder: PathBuf,
}

impl Gate {
    /// Creates a gate before the crate `name`.
    pub(super) fn before(workspace: &Workspace, name: &str) -> Self {
        let folder = workspace.path().join("gate");
        let script = format!(
            "#!/bin/sh\n\
             case \" $* \" in *\" --crate-name {name} \"*)\n\
             : > \"{0}/reached\"; cat \"{0}/fifo\" > \"{0}/passed\";;\n\
             esac\n\
             exec \"$@\"\n",
            folder.display()
        );
        script_at(&workspace.write("gate/rustc", &script));
        let fifo = workspace.program("mkfifo").arg(folder.join("fifo"));
        fifo.run().success();
        Self { folder }
    }

    /// Puts the gate before the builds of `program`.
    pub(super) fn holds<'s>(&self, program: Program<'s>) -> Program<'s> {
        program.env("RUSTC_WRAPPER", self.folder.join("rustc"))
    }

    /// Waits until a compiler has reached the gate.
    pub(super) fn wait(&self) {
        let reached = self.folder.join("reached");
        let there = eventually(|| reached.exists().then_some(()));
        assert!(there.is_some(), "nothing is compiled");
    }

    /// Lets the waiting compiler go on.
    pub(super) fn open(&self) {
        fs::write(self.folder.join("fifo"), "go").expect("the fifo is written");
    }
}

/// Makes a script executable.
fn script_at(path: &Path) {
    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, permissions).expect("a script of ours is ours");
}

/// Returns every file of a home with its bytes, without locks, whose notes
/// change.
fn contents(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a home can be read").flatten() {
            let path = entry.path();
            if path.ends_with("lock") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("a home can be read");
                files.insert(path, bytes);
            }
        }
    }
    files
}

#[test]
fn a_compile_error_changes_nothing() {
    let group = Group::demo();
    group.test([]).run().success();
    let before = contents(&group.home());
    group.edit(CLIENT_RS, "b\"eager\"", "7_u8");
    let failed = group.test([]).run();
    failed
        .code(101)
        .stdout_is("")
        .stderr_has("error[E0308]: mismatched types")
        .stderr_has("test-fixtures/src/bin/client.rs:")
        .stderr_lacks("Testing");
    assert!(before == contents(&group.home()), "the home has changed");

    group.edit(CLIENT_RS, "7_u8", "b\"eager\"");
    group.test([]).run().success().stdout_is(PASSED);
}

#[test]
fn a_workspace_that_cargo_cannot_read() {
    let group = Group::demo();
    group.edit(
        "test-fixtures/Cargo.toml",
        "serde.workspace = true",
        "serde.workspace = 7",
    );
    let failed = group.test([]).run();
    failed.stdout_is("").stderr_has("test-fixtures/Cargo.toml");
    let code = failed.status.code();
    failed.check(matches!(code, Some(101 | 102)), || {
        "expected 101 or 102".to_owned()
    });
}

#[test]
fn other_output_among_cargos_messages_is_ignored() {
    let group = Group::of(&[SERVER, CLIENT]);
    let script = "#!/bin/sh\n\
         case \" $* \" in *\" --crate-name client \"*)\n\
         printf '{\\n{\"reason\":\"nonsense\"}\\n{\"reason\":\\nno json\\n';;\n\
         esac\n\
         exec \"$@\"\n";
    let wrapper = group.write("wrapper.sh", script);
    script_at(&wrapper);
    group.edit(CLIENT_RS, "Connected to", "Joined to");
    let output = group.test([]).env("RUSTC_WRAPPER", &wrapper).run();
    output.success().stdout_is(PASSED).stderr_has("Compiling");
    assert!(group.log("test-client").contains("Joined to"));
}

#[test]
fn output_of_a_build_script_is_ignored() {
    let group = Group::of(&[SERVER, CLIENT]);
    let script = "//! Prints.\nfn main() { println!(\"{{\\n{{\\\"reason\\\":\\\"no\"); }\n";
    group.write("test-fixtures/build.rs", script);
    let output = group.test([]).run();
    output.success().stdout_is(PASSED).stderr_has("Compiling");
}

#[test]
fn the_target_folder_follows_cargos_configuration() {
    let group = Group::of(&[SERVER, CLIENT]);
    let elsewhere = group.path().join("elsewhere");
    fs::rename(group.path().join("target"), &elsewhere).expect("it moves");
    let test = group.test([]).env("CARGO_TARGET_DIR", &elsewhere);
    let output = test.run();
    output.success().stdout_is(PASSED).stderr_lacks("Compiling");
    let flag = ["--target-dir", "elsewhere"];
    group.test(flag).run().success().stderr_lacks("Deploying");
    assert!(!group.path().join("target").exists());
}

#[test]
fn a_profile_has_its_own_target_folder() {
    let group = Group::of(&[]);
    let role = r#"test-plain = { executable = "plain" }"#;
    let quick = "[profile.quick]\ninherits = \"release\"\n\n";
    group.manifest(&format!("{quick}{}", group.description(&[role])));
    plain_component(&group, "plain", "plain");
    for (flags, folder, passed) in [
        (["--release"].as_slice(), "release", 2),
        (&["--profile", "quick"], "quick", 2),
        (&[], "debug", 1),
    ] {
        let built = group.path().join("target").join(folder).join("plain");
        assert!(!built.exists());
        let output = group.test([]).args(flags).run();
        let row = format!("role \"test-plain\" (pass/fail): {passed}/0\n");
        output.success().stdout_is(&row);
        assert!(built.exists());
    }
}

#[test]
fn the_flags_of_cargo_reach_cargo() {
    let group = Group::of(&[SERVER, CLIENT]);
    for flags in [
        ["--offline", "-p", "test-fixtures"].as_slice(),
        &["--locked"],
        &["--frozen", "--package=test-fixtures"],
        &["--build-jobs", "1", "--profile", "dev"],
        &["--no-default-features"],
    ] {
        let output = group.test([]).args(flags).run();
        output.success().stdout_is(PASSED);
    }
    let unknown = group.test(["--profile=nothing"]).run();
    unknown.code(101).stdout_is("").stderr_has("`nothing`");
    let unknown = group.test(["--features=nothing"]).run();
    unknown.code(101).stdout_is("").stderr_has("nothing");
}

#[test]
fn features_reach_cargo() {
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit(
        "test-fixtures/Cargo.toml",
        "[lints]",
        "[features]\nkeen = []\n\n[lints]",
    );
    let word = "if cfg!(feature = \"keen\") { b\"keen!\" } else { b\"eager\" }";
    group.edit(
        CLIENT_RS,
        "(b\"fervent\", b\"eager\")",
        &format!("(b\"fervent\", {word})"),
    );
    group.test([]).run().success().stdout_is(PASSED);
    for flags in ["--features=keen", "--all-features"] {
        let failed = group.test([flags]).run();
        failed.code(100);
        assert!(only_place(&failed).text.contains("expected b\"keen!\""));
    }
    group.test([]).run().success().stdout_is(PASSED);
}

#[test]
fn a_bin_that_needs_missing_features() {
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit(
        "test-fixtures/Cargo.toml",
        "[lints]",
        "[features]\nkeen = []\n\n[[bin]]\nname = \"client\"\nrequired-features = [\"keen\"]\n\n[lints]",
    );
    let failed = group.test([]).run();
    failed.code(101).stdout_is("").stderr_has("keen");
    group
        .test(["--features=keen"])
        .run()
        .success()
        .stdout_is(PASSED);
}

/// Adds a package with a bin `name` to the workspace: a component without the
/// library, which builds quickly. It reports one check, or two if it is
/// optimized.
fn plain_component(group: &Group, package: &str, name: &str) {
    const SOURCE: &str = r##"fn main() {
    if std::env::args().any(|argument| argument.starts_with("--dump-")) {
        return println!(r#"{{"value": {{}}}} {{"value": null}}"#);
    }
    let passed = if cfg!(debug_assertions) { 1 } else { 2 };
    println!(
        r#"{{"value": ["ansar.create.test.TestReport", {{"passed": {passed}, "failed": 0, "tested": []}}, []]}}"#
    );
}
"##;
    let source = format!("//! A component by hand.\n{PLAIN_MARKER}{SOURCE}");
    group.write(format!("{package}/src/bin/{name}.rs"), &source);
    let manifest = format!("[package]\nname = \"{package}\"\nedition = \"2024\"\n");
    group.write(format!("{package}/Cargo.toml"), &manifest);
    let members = format!("\"test-fixtures\", \"{package}\"]");
    group.edit("Cargo.toml", "\"test-fixtures\"]", &members);
}

#[test]
fn a_bin_name_in_two_packages_is_ambiguous() {
    let group = Group::of(&[]);
    let describe = |role: &str| {
        group.describe(&[role]);
        plain_component(&group, "other", "noop");
    };
    describe(r#"test-noop = { executable = "noop" }"#);
    let ambiguous = group.test([]).run();
    ambiguous
        .code(96)
        .stdout_is("")
        .stderr_has("executable `noop` is a binary of `")
        .stderr_has("hint: choose one with `package = \"");

    describe(r#"test-noop = { executable = "noop", package = "other" }"#);
    let passed = group.test([]).run();
    passed
        .success()
        .stdout_is("role \"test-noop\" (pass/fail): 1/0\n");
    describe(r#"test-noop = { executable = "noop", package = "test-fixtures" }"#);
    let failed = group.test([]).run();
    failed.code(100).stderr_has("Deploying noop");
    describe(r#"test-noop = { executable = "noop", package = "oter" }"#);
    let unknown = group.test([]).run();
    unknown
        .code(96)
        .stderr_has("package `oter` has no binary `noop`");

    describe(r#"test-noop = { executable = "noop" }"#);
    group.test(["-p", "other"]).run().success();
}

#[test]
fn a_bin_that_moved_to_another_package() {
    let group = Group::of(&[r#"test-noop = { executable = "noop" }"#]);
    group.test([]).run().code(100);
    plain_component(&group, "other", "noop");
    group.remove("test-fixtures/src/bin/noop.rs");
    let output = group.test([]).run();
    output.success().stderr_has("Deploying noop");
}
