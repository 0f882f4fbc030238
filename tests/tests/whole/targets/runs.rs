//! Choosing, building and running tests.

use std::os::unix::fs::PermissionsExt;

use tests::Signal;

use super::Package;

/// Two targets, and unit tests of a library and of a binary.
fn targets(more: &str) -> Package {
    let roles = "[test-api]\ntest = \"api\"\n\n\
                 [test-lib]\ntest = { lib = true }\n\n\
                 [test-bin]\ntest = { bin = \"app\" }\n";
    let package = Package::of(&format!("{roles}{more}"));
    package.write(
        "src/lib.rs",
        "#[test]\nfn of_lib() {}\n#[test]\n#[ignore]\nfn later() {}\n",
    );
    package.write("src/main.rs", "fn main() {}\n#[test]\nfn of_bin() {}\n");
    package.write(
        "tests/api.rs",
        "mod orders {\n    #[test]\n    fn cancels() {}\n}\n\
         mod items {\n    #[test]\n    fn adds() {\n        \
         assert!(std::path::Path::new(\"Cargo.toml\").exists());\n        \
         assert!(std::path::Path::new(env!(\"CARGO_BIN_EXE_app\")).exists());\n        \
         assert_eq!(std::env::var(\"CARGO_MANIFEST_DIR\").unwrap(), env!(\"CARGO_MANIFEST_DIR\"));\n    \
         }\n}\n",
    );
    package
}

#[test]
fn targets_of_each_kind_run() {
    let package = targets("");
    let run = package.runs("test");
    run.success().stdout_is(
        "role \"test-api\" (pass/fail): 2/0\n\
         role \"test-bin\" (pass/fail): 1/0\n\
         role \"test-lib\" (pass/fail): 1/0\n",
    );
    run.stderr_has("1 ignored");
    package.is_still();
}

#[test]
fn a_command_chooses_roles_and_tests() {
    let package = targets("");
    let run = package.runs("test test-api::orders test-lib");
    run.success()
        .stdout_is("role \"test-api\" (pass/fail): 1/0\nrole \"test-lib\" (pass/fail): 1/0\n");
    let run = package.runs("test test-api::order_items");
    run.code(100);
    run.stdout_has("test-api: no test matches `order_items`");
}

#[test]
fn tests_share_a_process_without_isolation() {
    let package = Package::of("[test-api]\ntest = \"api\"\nisolate = false\n");
    package.write(
        "tests/api.rs",
        "#[test]\nfn passes() {}\n#[test]\nfn fails() {\n    println!(\"a word before\");\n    \
         assert_eq!(1, 2);\n}\n#[test]\nfn errs() -> Result<(), u8> {\n    Err(7)\n}\n\
         #[test]\n#[ignore]\nfn later() {}\n",
    );
    let run = package.runs("test --context=always");
    run.code(100);
    run.stdout_has("role \"test-api\" (pass/fail): 1/2\n");
    let failed = package.place("tests/api.rs", "assert_eq!(1, 2)");
    run.stdout_has(&format!(
        "{failed} - fails: assertion `left == right` failed, left: 1, right: 2\n"
    ));
    let errs = package.place("tests/api.rs", "fn errs()");
    run.stdout_has(&format!("{errs} - errs: 7\n"));
    run.stderr_has("a word before").stderr_has("1 ignored");
}

#[test]
fn a_crash_names_the_tests_that_did_not_finish() {
    let package = Package::of("[test-api]\ntest = \"api\"\nisolate = false\n");
    package.write(
        "tests/api.rs",
        "#[test]\nfn aborts() {\n    std::process::abort();\n}\n",
    );
    let run = package.runs("test");
    run.code(100);
    let place = package.place("tests/api.rs", "fn aborts()");
    run.stdout_has(&format!(
        "{place} - aborts: the process of all tests was killed by SIGABRT"
    ));
}

#[test]
fn the_timeout_of_a_role_leaves_the_verdict_of_the_rest() {
    let package = Package::of("[test-api]\ntest = \"api\"\ntimeout = \"3s\"\n");
    package.write(
        "tests/api.rs",
        "#[test]\nfn passes() {}\n#[test]\nfn waits() {\n    loop {\n        \
         std::thread::park();\n    }\n}\n",
    );
    let run = package.runs("test");
    run.code(100);
    run.stdout_has("role \"test-api\" (pass/fail): 1/1\n");
    run.stdout_has("test-api: timed out after 3s, before the end of `waits`");
    package.is_still();
}

/// The first test passes, and the second one never ends.
const ENDLESS: &str = "#[test]\nfn passes() {}\n#[test]\nfn waits() {\n    loop {\n        \
                       std::thread::park();\n    }\n}\n";

#[test]
fn a_slow_test_is_named() {
    let package = Package::of("[test-api]\ntest = \"api\"\ntest-timeout = \"3s\"\n");
    package.write("tests/api.rs", ENDLESS);
    let run = package.runs("test --slow-timeout 500ms");
    run.code(100);
    run.stderr_has("        Slow test-api::waits, 500ms\n");
    run.stderr_lacks("Slow test-api,");
}

#[test]
fn a_slow_test_is_named_without_isolation() {
    let roles = "[test-api]\ntest = \"api\"\nisolate = false\ntest-timeout = \"3s\"\n";
    let package = Package::of(roles);
    package.write("tests/api.rs", ENDLESS);
    let run = package.runs("test --slow-timeout 500ms");
    run.code(100);
    let place = package.place("tests/api.rs", "fn waits()");
    run.stdout_has(&format!("{place} - waits: no test finished within 3s\n"));
    run.stderr_has("        Slow test-api::waits, 500ms\n");
}

#[test]
fn tests_of_one_process_have_their_times() {
    let package = Package::of("[test-api]\ntest = \"api\"\nisolate = false\n");
    let tests = (0..9).map(|number| format!("#[test]\nfn test_{number}() {{}}\n"));
    package.write("tests/api.rs", &tests.collect::<String>());
    package.runs("test -j 2 --junit run.xml").success();
    let junit = package.read("run.xml");
    let cases = junit.lines().filter(|line| line.contains("<testcase"));
    let timed = cases.filter(|line| line.contains(" time=\""));
    assert_eq!(timed.count(), 9, "{junit}");
}

/// Each test is alone, and a child process prints in the middle of its line.
const ONE_BY_ONE: &str = "#[test]\nfn first() {\n    alone();\n}\n\
    #[test]\nfn second() {\n    alone();\n    panic!(\"the second\");\n}\n\
    #[test]\nfn third() {\n    alone();\n}\n\
    fn alone() {\n    std::fs::create_dir(\"one\").expect(\"it is alone\");\n    \
    std::process::Command::new(\"echo\").arg(\"ok\").status().unwrap();\n    \
    std::fs::remove_dir(\"one\").unwrap();\n}\n";

#[test]
fn tests_of_one_process_run_one_by_one() {
    let package = Package::of("[test-api]\ntest = \"api\"\nisolate = false\n");
    package.write("tests/api.rs", ONE_BY_ONE);
    let run = package.runs("test -j 1 --junit run.xml");
    run.code(100);
    run.stdout_has("role \"test-api\" (pass/fail): 2/1\n");
    let place = package.place("tests/api.rs", "the second");
    run.stdout_has(&format!("{place} - second: the second\n"));
    let junit = package.read("run.xml");
    let mut cases = junit
        .lines()
        .filter(|line| line.contains("name=\"second\""));
    // A time that is not known is left out.
    assert!(cases.all(|line| !line.contains(" time=")), "{junit}");
}

#[test]
fn an_interrupt_leaves_the_verdict_of_what_ran() {
    let package = Package::of("[test-api]\ntest = \"api\"\n");
    package.write("tests/api.rs", ENDLESS);
    let mut run = package.ansar(["test", "--debug-level", "TRACE"]).start();
    run.wait_for_next("passes passed");
    run.signal(Signal::SIGINT);
    let output = run.wait();
    output.code(130);
    output.stdout_has("role \"test-api\" (pass/fail): 1/0\n");
    output.stderr_has("  Unfinished test-api: waits\n");
    package.is_still();
}

#[test]
fn a_broken_role_leaves_the_verdict_of_what_ran() {
    let package = Package::of(
        "[test-api]\ntest = \"api\"\n\n[workspace.metadata.ansar.role.db-0]\n\
         program = \"./db.sh\"\nready = { log = \"up\" }\n",
    );
    let script = package.write(
        "db.sh",
        "#!/bin/sh\nmkfifo go\necho $$ > pid\necho up\nread line < go\nexit 3\n",
    );
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(script, mode).expect("it is ours");
    package.write(
        "tests/api.rs",
        "#[test]\nfn breaks_it() {\n    let pid = std::fs::read_to_string(\"pid\").unwrap();\n    \
         std::fs::write(\"go\", \"now\\n\").unwrap();\n    \
         while std::path::Path::new(\"/proc\").join(pid.trim()).exists() {\n        \
         std::thread::yield_now();\n    }\n}\n",
    );
    let run = package.runs("test");
    run.code(100);
    let place = package.place("Cargo.toml", "role.db-0]");
    run.stdout_has("role \"test-api\" (pass/fail): 1/0\n");
    run.stdout_has(&format!("{place} - db-0: exited with 3: up\n"));
    package.is_still();
}

#[test]
fn targets_share_the_number_of_tests_at_once() {
    let package = Package::of("[test-one]\ntest = \"one\"\n\n[test-two]\ntest = \"two\"\n");
    // Each test claims one of two folders.
    let test = "#[test]\nfn first() {\n    claim();\n}\n#[test]\nfn second() {\n    claim();\n}\n\
                #[test]\nfn third() {\n    claim();\n}\nfn claim() {\n    \
                let is_free = |name: &&str| std::fs::create_dir(name).is_ok();\n    \
                let mine = [\"one\", \"two\"].into_iter().find(is_free);\n    \
                let mine = mine.expect(\"two run at most\");\n    \
                std::thread::sleep(std::time::Duration::from_millis(20));\n    \
                std::fs::remove_dir(mine).unwrap();\n}\n";
    package.write("tests/one.rs", test);
    package.write("tests/two.rs", test);
    package.runs("test -j 2").success();
}

#[test]
fn another_harness_runs_as_a_program() {
    let package =
        Package::of("[test-own]\ntest = \"own\"\n\n[[test]]\nname = \"own\"\nharness = false\n");
    let own = |code: &str| {
        let text = format!("fn main() {{\n    println!(\"checking\");\n    {code}\n}}\n");
        package.write("tests/own.rs", &text);
    };
    own("");
    let run = package.runs("test --debug-level CONSOLE");
    run.success()
        .stdout_has("role \"test-own\" (pass/fail): 1/0\n");
    run.stderr_has("does not list its tests, so it runs as a program");
    own("assert!(std::env::args().len() > 1, \"no arguments\");");
    let run = package.runs("test");
    run.code(100);
    let place = package.place("tests/own.rs", "assert!");
    run.stdout_has(&format!("{place} - own: no arguments"));
}

#[test]
fn a_target_that_does_not_exist_is_named() {
    let package = Package::of("[test-api]\ntest = \"apo\"\n");
    package.write("tests/api.rs", "");
    let run = package.runs("test");
    run.stderr_has("test target not found: no test `apo` in this workspace");
    run.stderr_has("hint: did you mean `api`?");
    assert!(!run.status.success());
}
