//! `cargo ansar watch` while builds and roles write into the workspace: it
//! reaches a verdict, names the written files each time, and still reacts to
//! saves of the user.

use tests::{Output, Running};

use crate::test::Group;
use crate::watch::probe::{CHANGED, FAILED_1, MAIN_RS, PASSED_1, WATCHING, ended, main_rs, probe};

/// An expression for a text that differs at each call.
const NOW: &str =
    "std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()";

/// Adds a build script with `statements`, in which `now` is a number that
/// differs each time. Cargo runs it at each build after a save in its package.
fn script(group: &Group, statements: &str) {
    group.write(
        "probe/build.rs",
        &format!("fn main() {{\n    let now = {NOW};\n    let _ = now;\n    {statements}\n}}\n"),
    );
}

/// Saves the source so that its check fails, and then so that it passes.
#[track_caller]
fn saves_count(group: &Group, watch: &mut Running<'_>, right: (&str, &str)) {
    for (from, to, verdict) in [(right.0, right.1, FAILED_1), (right.1, right.0, PASSED_1)] {
        group.edit(MAIN_RS, from, to);
        watch.wait_for_next(verdict);
        watch.wait_for_next(WATCHING);
    }
}

/// Waits for a run that a role's write has begun, for the next verdict, and for
/// this warning, which may come before or after it.
#[track_caller]
fn named_after_one_loop(watch: &mut Running<'_>, warning: &str) {
    watch.wait_for_next(CHANGED);
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    watch.wait_for(warning);
}

#[track_caller]
fn named_once(output: &Output, warning: &str) {
    let told = output.stderr.matches(warning).count();
    output.check(told == 1, || format!("`{warning}` is told {told} times"));
}

#[test]
fn a_script_that_always_writes_a_source() {
    let group = probe("mod made;", "made::MADE > 0");
    script(
        &group,
        "std::fs::write(\"src/made.rs\", format!(\"pub const MADE: u128 = {now};\\n\")).unwrap();",
    );
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next("warning: every build writes probe/src/made.rs: not counted as a change");
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    saves_count(&group, &mut watch, ("MADE > 0", "MADE < 9"));
    let output = ended(watch, 4);
    named_once(&output, "every build writes");
    // A save of the written file itself counts as well.
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next("warning: every build writes");
    watch.wait_for_next(WATCHING);
    group.write("probe/src/made.rs", "pub const MADE: u128 = 0;\n");
    watch.wait_for_next(CHANGED);
    watch.wait_for_next("warning: every build writes");
    watch.wait_for_next(WATCHING);
    ended(watch, 5);
}

#[test]
fn a_script_that_writes_once() {
    for ignored in ["", "made.rs\n"] {
        let group = probe("mod made;", "made::MADE");
        group.write("probe/.gitignore", ignored);
        script(
            &group,
            "std::fs::write(\"src/made.rs\", \"pub const MADE: bool = true;\\n\").unwrap();",
        );
        let mut watch = group.ansar(["watch"]).start();
        watch.wait_for_next(PASSED_1);
        watch.wait_for_next(WATCHING);
        saves_count(&group, &mut watch, ("made::MADE", "!made::MADE"));
        ended(watch, 3).stderr_lacks("every build writes");
    }
}

#[test]
fn a_script_that_alternates_between_files() {
    let group = probe("mod a;\nmod b;", "a::MADE + b::MADE > 0");
    for name in ["a", "b"] {
        group.write(
            format!("probe/src/{name}.rs"),
            "pub const MADE: u128 = 0;\n",
        );
    }
    script(
        &group,
        "let turn = std::fs::read_to_string(\"../target/turn\").unwrap_or_default();\n    \
         let (this, next) = if turn == \"b\" { (\"b\", \"a\") } else { (\"a\", \"b\") };\n    \
         std::fs::write(\"../target/turn\", next).unwrap();\n    \
         let text = format!(\"pub const MADE: u128 = {now};\\n\");\n    \
         std::fs::write(format!(\"src/{this}.rs\"), text).unwrap();",
    );
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    saves_count(&group, &mut watch, ("MADE > 0", "MADE < 9"));
    ended(watch, 5).stderr_has("every build writes");
}

#[test]
fn a_script_that_writes_new_files() {
    let group = probe("", "true");
    script(
        &group,
        "std::fs::create_dir_all(\"made\").unwrap();\n    \
         std::fs::write(format!(\"made/{now}.txt\"), \"\").unwrap();",
    );
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next("warning: every build writes");
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    saves_count(&group, &mut watch, ("true", "false"));
    ended(watch, 3);
}

#[test]
fn a_script_that_formats_sources() {
    let group = probe("mod word;", "word::RIGHT");
    group.write("probe/src/word.rs", "pub const RIGHT: bool = true;\n");
    // Its writes are so far apart that each is seen as a change.
    script(
        &group,
        "let text = std::fs::read_to_string(\"src/word.rs\").unwrap();\n    \
         let formatted = text.replace(\"  \", \" \");\n    \
         if formatted != text {\n        \
         std::fs::write(\"src/word.rs\", \"pub const\").unwrap();\n        \
         std::thread::sleep(std::time::Duration::from_millis(300));\n        \
         std::fs::write(\"src/word.rs\", formatted).unwrap();\n    }",
    );
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    for (right, verdict) in [("false", FAILED_1), ("true", PASSED_1)] {
        let text = format!("pub  const  RIGHT: bool  = {right};\n");
        group.write("probe/src/word.rs", &text);
        watch.wait_for_next(verdict);
        watch.wait_for_next(WATCHING);
        let formatted = format!("pub const RIGHT: bool = {right};\n");
        assert_eq!(group.read("probe/src/word.rs"), formatted);
    }
    ended(watch, 4).stderr_lacks("every build writes");
}

#[test]
fn a_script_that_writes_and_fails() {
    let group = probe("mod made;", "made::MADE > 0");
    group.write("probe/src/made.rs", "pub const MADE: u128 = 0;\n");
    let write = "std::fs::write(\"src/made.rs\", \
                 format!(\"pub const MADE: u128 = {now};\\n\")).unwrap();";
    script(&group, &format!("{write} panic!(\"half-way\");"));
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next("error: the build failed");
    watch.wait_for_next(CHANGED);
    watch.wait_for_next("error: the build failed");
    watch.wait_for_next(WATCHING);
    watch.wait_for("warning: every build writes probe/src/made.rs");
    script(&group, write);
    watch.wait_for_next(PASSED_1);
    ended(watch, 2);
}

#[test]
fn a_script_that_only_touches_files() {
    let group = probe("mod made;", "made::MADE");
    group.write("probe/src/made.rs", "pub const MADE: bool = true;\n");
    script(
        &group,
        "let file = std::fs::File::options().write(true).open(\"src/made.rs\").unwrap();\n    \
         file.set_modified(std::time::SystemTime::now()).unwrap();",
    );
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    saves_count(&group, &mut watch, ("made::MADE", "!made::MADE"));
    ended(watch, 2).stderr_lacks("Unchanged");
}

#[test]
fn a_procedural_macro_that_writes_is_named_once() {
    let group = probe("maker::make!();\nmod made;", "made::MADE > 0");
    group.write("probe/src/made.rs", "pub const MADE: u128 = 1;\n");
    group.edit("Cargo.toml", "\"probe\"]", "\"probe\", \"maker\"]");
    group.write(
        "maker/Cargo.toml",
        "[package]\nname = \"maker\"\nedition = \"2024\"\n[lib]\nproc-macro = true\n",
    );
    group.write(
        "maker/src/lib.rs",
        &format!(
            "#[proc_macro]\npub fn make(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{\n    \
             let folder = std::env::var(\"CARGO_MANIFEST_DIR\").unwrap();\n    \
             let text = format!(\"pub const MADE: u128 = {{}};\\n\", {NOW});\n    \
             std::fs::write(format!(\"{{folder}}/src/made.rs\"), text).unwrap();\n    \
             Default::default()\n}}\n"
        ),
    );
    let manifest = group.read("probe/Cargo.toml");
    let manifest = format!("{manifest}maker = {{ path = \"../maker\" }}\n");
    group.write("probe/Cargo.toml", &manifest);
    group.cargo(["generate-lockfile"]).run().success();
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next("warning: every build writes probe/src/made.rs");
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    saves_count(&group, &mut watch, ("MADE > 0", "MADE < 9"));
    named_once(&ended(watch, 4), "every build writes");
}

#[test]
fn the_first_lock_file_is_no_change() {
    let group = probe("", "true");
    group.remove("Cargo.lock");
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    saves_count(&group, &mut watch, ("true", "false"));
    ended(watch, 2).stderr_lacks("writes");
}

/// Returns statements of a role that write `text` to a file of its package.
fn writes(file: &str, text: &str) -> String {
    format!(
        "std::fs::write(format!(\"{{}}/{file}\", env!(\"CARGO_MANIFEST_DIR\")), {text}).unwrap();"
    )
}

#[test]
fn files_written_by_a_role() {
    let is_right = format!(
        "{{ {} true }}",
        writes("src/out.txt", &format!("{NOW}.to_string()"))
    );
    let group = probe("", &is_right);
    let mut watch = group.ansar(["watch"]).start();
    named_after_one_loop(
        &mut watch,
        "warning: roles write probe/src/out.txt: not counted as a change",
    );
    saves_count(&group, &mut watch, (" true }", " false }"));
    named_once(&ended(watch, 3), "roles write");
}

#[test]
fn new_files_written_by_roles() {
    let file = format!("let file = format!(\"out-{{}}.txt\", {NOW});");
    let write =
        "std::fs::write(std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).join(file), \"\")";
    let group = probe("", &format!("{{ {file} {write}.unwrap(); true }}"));
    let mut watch = group.ansar(["watch"]).start();
    named_after_one_loop(&mut watch, "warning: roles write probe/out-");
    saves_count(&group, &mut watch, (" true }", " false }"));
    named_once(&ended(watch, 3), "roles write");
}

#[test]
fn materials_written_by_a_role() {
    let to = "../test-fixtures/testing/model-by-role/test-probe/seen.txt";
    let is_right = format!("{{ {} true }}", writes(to, &format!("{NOW}.to_string()")));
    let group = probe("", &is_right);
    group.write(
        "test-fixtures/testing/model-by-role/test-probe/seen.txt",
        "",
    );
    let mut watch = group.ansar(["watch"]).start();
    named_after_one_loop(
        &mut watch,
        "warning: roles write test-fixtures/testing/model-by-role/test-probe/seen.txt",
    );
    saves_count(&group, &mut watch, (" true }", " false }"));
    ended(watch, 3);
}

#[test]
fn every_reported_change_runs_the_tests() {
    let path = "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/tests/expected.txt\")";
    let read = format!("std::fs::read_to_string({path}).unwrap().contains(\"right\")");
    let group = probe("", &read);
    group.write("probe/tests/expected.txt", "right\n");
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    for (text, verdict) in [("wrong\n", FAILED_1), ("right\n", PASSED_1)] {
        group.write("probe/tests/expected.txt", text);
        watch.wait_for_next("     Changed probe/tests/expected.txt");
        watch.wait_for_next(verdict);
        watch.wait_for_next(WATCHING);
    }
    // Such a change is remembered while it does not build.
    group.write(MAIN_RS, "garbage");
    watch.wait_for_next("       Stale passed: 1 check");
    watch.wait_for_next(WATCHING);
    group.write("probe/tests/expected.txt", "wrong\n");
    watch.wait_for_next("       Stale passed: 1 check");
    watch.wait_for_next(WATCHING);
    group.write(MAIN_RS, &main_rs("", &read));
    watch.wait_for_next(FAILED_1);
    watch.wait_for_next(WATCHING);
    // A change of a comment alone has no effect.
    group.write(MAIN_RS, &format!("{}// The end.\n", main_rs("", &read)));
    watch.wait_for_next("   Unchanged failed: ");
    ended(watch, 6);
}
