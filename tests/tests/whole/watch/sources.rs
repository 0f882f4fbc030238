//! `cargo ansar watch` reacts to a save of any file that Cargo would compile,
//! at any path and however it is included.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use tests::{Running, Signal};

use crate::test::Group;
use crate::watch::probe::{
    CHANGED, FAILED_1, MAIN_RS, PASSED_1, WATCHING, ended, main_rs, probe, watching,
};

const RIGHT: &str = "pub const RIGHT: bool = true;\n";
const WRONG: &str = "pub const RIGHT: bool = false;\n";

/// Waits for a verdict and the end of its run.
#[track_caller]
fn judged(watch: &mut Running<'_>, verdict: &str) {
    watch.wait_for_next(verdict);
    watch.wait_for_next(WATCHING);
}

#[test]
fn a_symlinked_source_and_its_target() {
    let group = probe("mod n;", "n::RIGHT");
    let link = group.path().join("probe/src/n.rs");
    group.write("../shared/right.rs", RIGHT);
    symlink("../../../shared/right.rs", &link).unwrap();
    let mut watch = watching(&group);
    group.write("../shared/right.rs", WRONG);
    judged(&mut watch, FAILED_1);
    group.write("../shared/right.rs", RIGHT);
    judged(&mut watch, PASSED_1);
    let wrong = group.write("../shared/deep/wrong.rs", WRONG);
    // The link now has another target, over a second link, by an absolute path.
    let middle = group.path().join("../shared/middle.rs");
    symlink("deep/wrong.rs", &middle).unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&middle, &link).unwrap();
    judged(&mut watch, FAILED_1);
    fs::write(&wrong, RIGHT).unwrap();
    judged(&mut watch, PASSED_1);
    ended(watch, 5);
}

#[test]
fn a_symlinked_folder_of_sources() {
    let group = probe("mod shared;", "shared::n::RIGHT");
    group.write("../shared/mod.rs", "pub mod n;\n");
    group.write("../shared/n.rs", RIGHT);
    symlink("../../../shared", group.path().join("probe/src/shared")).unwrap();
    // Following the parent or the circle would never end.
    symlink("..", group.path().join("probe/src/up")).unwrap();
    let mut watch = watching(&group);
    group.write("../shared/n.rs", WRONG);
    judged(&mut watch, FAILED_1);
    // A module that was missing in a build.
    group.write("../shared/mod.rs", "pub mod n;\npub mod m;\n");
    judged(&mut watch, "       Stale failed");
    group.write("../shared/m.rs", "");
    watch.wait_for_next(CHANGED);
    watch.wait_for_next(WATCHING);
    // The link now has another target.
    group.write("../other/mod.rs", "pub mod n;\n");
    group.write("../other/n.rs", RIGHT);
    let link = group.path().join("probe/src/shared");
    fs::remove_file(&link).unwrap();
    symlink("../../../other", &link).unwrap();
    judged(&mut watch, PASSED_1);
    group.write("../other/n.rs", WRONG);
    judged(&mut watch, FAILED_1);
    ended(watch, 7);
}

#[test]
fn sources_with_relative_paths_in_dep_info() {
    // Their paths are relative to the folder above `.cargo`, and the executable
    // is outside of it.
    let group = probe("mod n;", "n::RIGHT");
    group.write("probe/src/n.rs", RIGHT);
    group.write("probe/.gitignore", "n.rs\n");
    group.write(
        ".cargo/config.toml",
        "[build]\ndep-info-basedir = \"probe\"\n",
    );
    let mut watch = group.ansar(["watch"]).in_dir("probe/src").start();
    judged(&mut watch, PASSED_1);
    group.write("probe/src/n.rs", WRONG);
    judged(&mut watch, FAILED_1);
    ended(watch, 1);
}

#[test]
fn configuration_above_the_workspace_is_watched() {
    let group = probe("", "option_env!(\"PROBE\").is_none()");
    let set = "[env]\nPROBE = \"set\"\n";
    let mut watch = watching(&group);
    group.write("../.cargo/config.toml", set);
    judged(&mut watch, FAILED_1);
    group.write("../.cargo/config.toml", "");
    judged(&mut watch, PASSED_1);
    fs::remove_dir_all(group.path().join("../.cargo")).unwrap();
    // The older name of the configuration file, and a file that it includes.
    group.write(".cargo/config", set);
    judged(&mut watch, FAILED_1);
    watch.signal(Signal::SIGINT);
    watch.wait().code(130);
}

#[test]
fn configuration_of_the_user_is_watched() {
    // Nothing is built: dependencies are compiled for another target folder.
    let group = probe("", "true");
    group.write("probe/Cargo.toml", "garbage");
    let home = group.path().join("../cargo-home");
    let mut watch = group.ansar(["watch"]).env("CARGO_HOME", &home).start();
    watch.wait_for_next(WATCHING);
    for name in ["config.toml", "config"] {
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join(name), "# nothing\n").unwrap();
        watch.wait_for_next(&format!("cargo-home/{name}"));
        watch.wait_for_next(WATCHING);
    }
    ended(watch, 2);
}

#[test]
fn inherited_manifests_outside_are_watched() {
    let group = probe("", "outside::VERSION == \"1.0.0\"");
    let root = "[workspace]\nmembers = [\"part\"]\n[workspace.package]\nversion = \"1.0.0\"\n";
    group.write("../outside/Cargo.toml", root);
    group.write(
        "../outside/part/Cargo.toml",
        "[package]\nname = \"outside\"\nedition = \"2024\"\nversion.workspace = true\n",
    );
    group.write(
        "../outside/part/src/lib.rs",
        "pub const VERSION: &str = env!(\"CARGO_PKG_VERSION\");\n",
    );
    let manifest = group.read("probe/Cargo.toml");
    let manifest = format!("{manifest}outside = {{ path = \"../../outside/part\" }}\n");
    group.write("probe/Cargo.toml", &manifest);
    let mut watch = watching(&group);
    group.write("../outside/Cargo.toml", &root.replace("1.0.0", "2.0.0"));
    judged(&mut watch, FAILED_1);
    ended(watch, 1);
}

#[test]
fn missing_modules_are_watched() {
    let group = probe("mod n;", "n::RIGHT && n::deep::RIGHT");
    group.write(".gitignore", "*\n");
    // Nothing was ever built.
    let mut watch = group.ansar(["watch"]).start();
    judged(&mut watch, "error: the build failed");
    group.write("probe/src/n.rs", &format!("pub mod deep;\n{RIGHT}garbage"));
    judged(&mut watch, "error: the build failed");
    group.write("probe/src/n.rs", &format!("pub mod deep;\n{RIGHT}"));
    judged(&mut watch, "error: the build failed");
    group.write("probe/src/n/deep.rs", RIGHT);
    judged(&mut watch, PASSED_1);
    // A module that becomes missing later, and includes a file.
    group.write(MAIN_RS, &main_rs("mod n;\nmod m;", "m::TEXT == \"right\""));
    judged(&mut watch, "       Stale ");
    group.write(
        "probe/src/m.rs",
        "pub const TEXT: &str = include_str!(\"m.txt\");\n",
    );
    judged(&mut watch, "       Stale ");
    group.write("probe/src/m.txt", "right");
    watch.wait_for_next(CHANGED);
    judged(&mut watch, PASSED_1);
    group.write("probe/src/m.txt", "wrong");
    judged(&mut watch, FAILED_1);
    ended(watch, 7);
}

#[test]
fn a_source_with_an_older_date() {
    let group = probe("mod n;", "n::RIGHT");
    group.write("probe/src/n.rs", RIGHT);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(365 * 24 * 60 * 60);
    let older = |text: &str| {
        let path = group.write("target/old.rs", text);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        fs::rename(path, group.path().join("probe/src/n.rs")).unwrap();
    };
    let mut watch = watching(&group);
    older(WRONG);
    let source = group.path().join("probe/src/n.rs");
    let warning = format!("warning: {} changed but was not compiled", source.display());
    watch.wait_for_next(&warning);
    let hint = watch.wait_for_next("hint: `touch ");
    judged(&mut watch, "       Stale passed: 1 check");
    // The next build compiles it.
    group.write(
        MAIN_RS,
        &format!("{}// The end.\n", main_rs("mod n;", "n::RIGHT")),
    );
    watch.wait_for_next(CHANGED);
    judged(&mut watch, FAILED_1);
    older(RIGHT);
    judged(&mut watch, "       Stale failed");
    let command = hint.split('`').nth(1).expect("a command to type");
    group.shell(command).run().success();
    watch.wait_for_next(CHANGED);
    judged(&mut watch, PASSED_1);
    ended(watch, 4);
}

#[test]
fn polling_on_request() {
    for poll in [&["--poll"][..], &["--poll", "50ms"], &["--poll=0.05"]] {
        let group: Group = probe("", "true");
        let mut watch = group.ansar(["watch"]).args(poll).start();
        judged(&mut watch, PASSED_1);
        group.edit(MAIN_RS, "true", "false");
        judged(&mut watch, FAILED_1);
        ended(watch, 1);
    }
}
