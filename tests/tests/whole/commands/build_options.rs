//! `[workspace.metadata.ansar.build]`: options for every Cargo that the tool
//! runs.

use tests::Sandbox;

/// A package whose binary compiles only with the feature `local` and the
/// variable `WORD`.
fn sandbox(options: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let manifest = format!(
        "[package]\nname = \"api\"\nedition = \"2024\"\n[features]\nlocal = []\nother = []\n\
         [workspace]\n[workspace.metadata.ansar.build]\n{options}\n\
         [workspace.metadata.ansar.role.api-0]\nexecutable = \"api\"\ncomponent = false\n"
    );
    sandbox.write("Cargo.toml", &manifest);
    sandbox.write(
        "src/main.rs",
        "#[cfg(not(feature = \"local\"))]\ncompile_error!(\"not local\");\n\
         fn main() { println!(\"{} {}\", env!(\"WORD\"), cfg!(feature = \"other\")); }\n",
    );
    sandbox
}

#[track_caller]
fn prints(sandbox: &Sandbox, profile: &str, expected: &str) {
    let path = format!("target/{profile}/api");
    sandbox.shell(&path).run().success().stdout_is(expected);
}

#[test]
fn options_apply_to_every_command() {
    let sandbox =
        sandbox("features = [\"local\"]\nprofile = \"release\"\nenv = { WORD = \"word\" }");
    sandbox.ansar(["build"]).run().success();
    prints(&sandbox, "release", "word false\n");
    sandbox.ansar(["check"]).run().success();
}

#[test]
fn flags_add_features_and_replace_the_profile() {
    let sandbox =
        sandbox("features = [\"local\"]\nprofile = \"release\"\nenv = { WORD = \"word\" }");
    sandbox
        .ansar(["build", "--profile=dev", "-F", "other"])
        .run()
        .success();
    prints(&sandbox, "debug", "word true\n");
}

#[test]
fn a_profile_that_does_not_exist_is_an_error_of_cargo() {
    let sandbox = sandbox("features = [\"local\"]\nprofile = \"no-such\"");
    sandbox
        .ansar(["build"])
        .run()
        .code(101)
        .stderr_has("`no-such`");
}
