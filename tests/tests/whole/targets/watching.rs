//! `watch` with test targets: a save runs the targets that include the file.

use tests::Signal;

use super::Package;

const ROLES: &str = "[test-one]\ntest = \"one\"\n\n[test-two]\ntest = \"two\"\n\n\
                     [test-three]\ntest = \"three\"\n";

fn package() -> Package {
    let package = Package::of(ROLES);
    package.write(
        "tests/common/mod.rs",
        "pub fn answer() -> u32 {\n    42\n}\n",
    );
    let with_common =
        "mod common;\n\n#[test]\nfn answers() {\n    assert_eq!(common::answer(), 42);\n}\n";
    package.write("tests/one.rs", with_common);
    package.write("tests/two.rs", with_common);
    package.write(
        "tests/three.rs",
        "#[test]\nfn adds() {\n    assert_eq!(1 + 2, 3);\n}\n",
    );
    package
}

#[test]
fn a_save_runs_the_targets_that_include_the_file() {
    let package = package();
    let mut watch = package.ansar(["watch"]).start();
    watch.wait_for_next("      Passed 3 checks in 3 roles");
    watch.wait_for_next("    Watching ");

    package.write(
        "tests/three.rs",
        "#[test]\nfn adds() {\n    assert_eq!(1 + 2, 4);\n}\n",
    );
    watch.wait_for_next("     Changed tests/three.rs");
    watch.wait_for_next("     Testing 1 role");
    watch.wait_for_next("      Failed 1 of 1 check");
    watch.wait_for_next("    Watching ");

    // A role that has failed runs until it has passed.
    package.write(
        "tests/common/mod.rs",
        "pub fn answer() -> u32 {\n    println!(\"asked\");\n    42\n}\n",
    );
    watch.wait_for_next("     Changed tests/common/mod.rs");
    watch.wait_for_next("     Testing 3 roles");
    watch.wait_for_next("    Watching ");

    package.write(
        "tests/three.rs",
        "#[test]\nfn adds() {\n    assert_eq!(1 + 2, 3);\n}\n",
    );
    watch.wait_for_next("     Testing 1 role");
    watch.wait_for_next("      Passed 1 check in 1 role");
    watch.wait_for_next("    Watching ");

    package.write(
        "tests/common/mod.rs",
        "pub fn answer() -> u32 {\n    41\n}\n",
    );
    watch.wait_for_next("     Testing 2 roles");
    watch.wait_for_next("      Failed 2 of 2 checks in 2 of 2 roles");
    watch.wait_for_next("    Watching ");
    watch.signal(Signal::SIGINT);
    let output = watch.wait();
    output.code(130);
    let place = package.place("tests/one.rs", "assert_eq!");
    output.stdout_has(&format!(
        "{place} - answers: assertion `left == right` failed, left: 41, right: 42\n"
    ));
    package.is_still();
}

#[test]
fn a_crate_that_only_tests_use_is_watched() {
    let package = Package::of("[test-one]\ntest = \"one\"\n");
    let manifest = package.read("Cargo.toml").replace(
        "[workspace]\n",
        "[workspace]\nmembers = [\"help\"]\n\n[dev-dependencies]\nhelp = { path = \"help\" }\n",
    );
    package.write("Cargo.toml", &manifest);
    package.write(
        "help/Cargo.toml",
        "[package]\nname = \"help\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    package.write("help/src/lib.rs", "pub fn answer() -> u32 {\n    42\n}\n");
    package.write(
        "tests/one.rs",
        "#[test]\nfn answers() {\n    assert_eq!(help::answer(), 42);\n}\n",
    );
    let mut watch = package.ansar(["watch"]).start();
    watch.wait_for_next("      Passed 1 check");
    watch.wait_for_next("    Watching ");
    package.write("help/src/lib.rs", "pub fn answer() -> u32 {\n    41\n}\n");
    watch.wait_for_next("     Changed help/src/lib.rs");
    watch.wait_for_next("      Failed 1 of 1 check");
    watch.wait_for_next("    Watching ");
    watch.signal(Signal::SIGINT);
    watch.wait().code(130);
}
