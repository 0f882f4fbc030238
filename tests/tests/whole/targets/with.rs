//! Ordinary runners of tests, whose failures are the last run.

use super::Package;

const API: &str = "#[test]\nfn passes() {}\n\n#[test]\nfn errs() -> Result<(), String> {\n    \
                   Err(\"no luck\".to_owned())\n}\n\n\
                   #[test]\nfn panics() {\n    assert_eq!(1, 2);\n}\n";

#[track_caller]
fn are_told(runner: &[&str]) {
    let package = Package::of("[test-api]\ntest = \"api\"\n");
    package.write("tests/api.rs", API);
    let with = ["with", "-q", "--"].iter().chain(runner);
    let with = package.ansar(with).run();
    assert!(!with.status.success(), "{with:?}");
    let report = package.runs("report");
    let panics = package.place("tests/api.rs", "assert_eq!(1, 2)");
    let errs = package.place("tests/api.rs", "fn errs()");
    report.stdout_has("role \"command\" (pass/fail): 0/2\n");
    report.stdout_has(&format!(
        "{panics} - panics: assertion `left == right` failed\n"
    ));
    report.stdout_has(&format!("{errs} - errs: \"no luck\"\n"));
    package.is_still();
}

#[test]
fn an_error_that_cargo_test_tells_is_a_failure() {
    are_told(&["cargo", "test", "--offline"]);
}

#[test]
fn an_error_that_nextest_tells_is_a_failure() {
    let finds = Package::of("").shell("command -v cargo-nextest").run();
    if !finds.status.success() {
        return;
    }
    are_told(&["cargo", "nextest", "run", "--no-fail-fast", "--offline"]);
}
