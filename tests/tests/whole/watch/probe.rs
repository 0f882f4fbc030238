//! A workspace with one small test role, for tests of the files that `watch`
//! watches and of the changes it reacts to.

use tests::{Output, Running, Signal};

use crate::test::Group;

/// Source of the role's executable.
pub(super) const MAIN_RS: &str = "probe/src/main.rs";
pub(super) const WATCHING: &str = "    Watching ";
pub(super) const CHANGED: &str = "     Changed ";
pub(super) const PASSED_1: &str = "      Passed 1 check";
pub(super) const FAILED_1: &str = "      Failed 1 of 1 check";

/// Creates a workspace whose only role, `test-probe`, runs the package `probe`.
/// `items` are placed before its code, and its check is the expression
/// `is_right`.
pub(super) fn probe(items: &str, is_right: &str) -> Group {
    let group = Group::of(&[r#"test-probe = { executable = "probe" }"#]);
    group.edit(
        "Cargo.toml",
        "\"test-fixtures\"]",
        "\"test-fixtures\", \"probe\"]",
    );
    group.write("probe/Cargo.toml", MANIFEST);
    group.write(MAIN_RS, &main_rs(items, is_right));
    group.cargo(["generate-lockfile"]).run().success();
    group
}

const MANIFEST: &str = "[package]\nname = \"probe\"\nedition = \"2024\"\n\n\
                        [dependencies]\nansar-runtime.workspace = true\n";

/// Returns the source of an executable that checks `is_right`.
pub(super) fn main_rs(items: &str, is_right: &str) -> String {
    format!(
        "use ansar_runtime::{{Context, TestReport}};\n{items}\n\n\
         async fn probe(cx: Context) -> TestReport {{\n    cx.test({is_right}, \"wrong\");\n    \
         cx.report()\n}}\n\n\
         fn main() -> std::process::ExitCode {{\n    ansar_runtime::main(probe)\n}}\n"
    )
}

/// Starts `watch`, and waits until its first run has passed.
pub(super) fn watching(group: &Group) -> Running<'_> {
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next(PASSED_1);
    watch.wait_for_next(WATCHING);
    watch
}

/// Interrupts it, and asserts that it made at most so many runs after the
/// first.
#[track_caller]
pub(super) fn ended(watch: Running<'_>, most: usize) -> Output {
    watch.signal(Signal::SIGINT);
    let output = watch.wait();
    output.code(130);
    let loops = output.stderr.matches(CHANGED).count();
    output.check(loops <= most, || format!("{loops} loops, not {most}"));
    output
}
