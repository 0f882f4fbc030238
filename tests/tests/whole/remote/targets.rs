//! Test targets of a workspace, and instances that belong to one test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::Sandbox;

use super::{runs, scratch};

/// Creates a package with these files, some of which are scripts.
fn package(roles: &str, files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    let roles = roles.replace("\n[", "\n[workspace.metadata.ansar.role.");
    let manifest = format!(
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n{roles}"
    );
    sandbox.write("Cargo.toml", &manifest);
    sandbox.write("src/lib.rs", "");
    for (path, text) in files {
        let file = sandbox.write(path, text);
        if text.starts_with("#!") {
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
    }
    sandbox
}

/// Returns the output of a test run on agents.
fn divided(sandbox: &Sandbox, arguments: &[&str]) -> tests::Output {
    let agents = sandbox.path().join("agents");
    let agents = if agents.exists() {
        agents
    } else {
        scratch(sandbox)
    };
    let run = sandbox.ansar(["test", "--on=local", "--shards=3"]);
    let output = run.args(arguments).env("ANSAR_SCRATCH", &agents).run();
    sandbox.is_still();
    assert!(runs(&agents).is_empty(), "{:?}", runs(&agents));
    output
}

/// Returns the lines of stdout, sorted.
fn lines(output: &tests::Output) -> Vec<&str> {
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    lines.sort_unstable();
    lines
}

const API: &str = "mod orders {\n    #[test]\n    fn adds() {}\n    #[test]\n    fn cancels() {\n        assert_eq!(1, 2);\n    }\n}\n\
                   #[test]\nfn errs() -> Result<(), u8> {\n    Err(7)\n}\n\
                   #[test]\nfn breaks() {\n    assert_eq!(2, 3);\n}\n#[test]\n#[ignore]\nfn later() {}\n";

#[test]
fn tests_of_targets_have_the_same_places() {
    let roles = "\n[test-api]\ntest = \"api\"\n\n[test-more]\ntest = \"more\"\nisolate = false\n";
    let package = package(roles, &[("tests/api.rs", API), ("tests/more.rs", API)]);
    let local = package.ansar(["test"]).run();
    let there = divided(&package, &[]);
    assert_eq!(lines(there.code(100)), lines(local.code(100)));
    there.stderr_has("2 ignored");
    // Those that failed there are known here.
    let failed = package.ansar(["test", "--failed"]).run();
    failed
        .code(100)
        .stdout_has("role \"test-api\" (pass/fail): 0/3\n");
    let chosen = divided(&package, &["test-api::orders::adds"]);
    chosen
        .success()
        .stdout_is("role \"test-api\" (pass/fail): 1/0\n");
}

#[test]
fn instances_run_beside_their_tests() {
    let check = |name: &str| {
        format!(
            "[{name}]\nprogram = \"./check\"\nargs = [\"{{address:db-0}}\"]\nfresh = [\"db-0\"]\n\n"
        )
    };
    let roles = format!(
        "\n[db-0]\nprogram = \"./db\"\nargs = [\"{{model}}\", \"{{port}}\"]\n\
         setup = [[\"./init\", \"{{model}}\"]]\nready = {{ log = \"^accepting\" }}\n\n{}",
        ["test-a", "test-b", "test-c", "test-d"]
            .map(check)
            .join("\n")
    );
    let roles = roles.replace("\n\n\n", "\n\n");
    let scripts = [
        ("init", "#!/bin/sh\ntouch \"$1/made\"\n"),
        (
            "db",
            "#!/bin/sh\ntest -e \"$1/made\" || exit 1\n\
             case $ANSAR_ROLE in fresh-*) mkdir \"$1/used\" || exit 1;; esac\n\
             trap 'exit 0' INT; echo \"accepting $2\"\nwhile :; do sleep 0.02; done\n",
        ),
        (
            "check",
            "#!/bin/sh\ntest \"$1\" = \"$ANSAR_DB_0_ADDRESS\" || exit 9\n",
        ),
    ];
    let package = package(&roles, &scripts);
    let there = divided(&package, &[]);
    there.success();
    let local = package.ansar(["test"]).run();
    assert_eq!(lines(&there), lines(local.success()));
    let failing = package.write("check", "#!/bin/sh\nexit 4\n");
    fs::set_permissions(failing, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let failed = divided(&package, &[]);
    failed.code(100).stdout_has("test-a: exited with 4");
    let log = package.ansar(["log", "fresh-test-a-db-0"]).run();
    log.success().stdout_has("accepting");
}

/// A test target with the tests `t0` to `t8`, which write down the folder that they
/// run in, and each start.
fn nine(body: &str) -> String {
    let ran = "use std::io::Write;\n\
               fn ran(name: &str) -> usize {\n    \
               let role = std::env::var(\"ANSAR_ROLE\").unwrap();\n    \
               let path = format!(\"{}/ran/{role}/{name}\", env!(\"CARGO_MANIFEST_DIR\"));\n    \
               let mut file = std::fs::File::options().append(true).create(true).open(&path).unwrap();\n    \
               let folder = std::env::current_dir().unwrap();\n    \
               writeln!(file, \"{}\", folder.display()).unwrap();\n    \
               std::fs::read_to_string(path).unwrap().lines().count()\n}\n";
    let tests = (0..9).map(|number| {
        let name = format!("t{number}");
        format!(
            "#[test]\nfn {name}() {{\n    let (_name, _starts) = (\"{name}\", ran(\"{name}\"));\n    {body}\n}}\n"
        )
    });
    tests.fold(ran.to_owned(), |text, test| text + &test)
}

/// Returns the tests of a role by the folder that they last ran in, and removes what
/// they wrote down.
fn folders(package: &Sandbox, role: &str) -> BTreeMap<String, Vec<String>> {
    let ran = package.path().join("ran").join(role);
    let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(&ran).expect("the role ran") {
        let path = entry.expect("it is read").path();
        let text = fs::read_to_string(&path).expect("it is read");
        let name = path.file_name().expect("it is a file").to_string_lossy();
        let folder = text.lines().last().unwrap_or_default().to_owned();
        folders.entry(folder).or_default().push(name.into_owned());
        fs::remove_file(path).expect("it is ours");
    }
    folders
}

/// Creates a package with the target `nine`.
fn package_of_nine(roles: &[&str], body: &str) -> Sandbox {
    let tables = roles.iter().map(|role| format!("\n[{role}\n"));
    let files = [("tests/nine.rs", nine(body))];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let package = package(&tables.collect::<String>(), &files);
    for role in roles {
        let (name, _) = role.split_once(']').expect("it is the head of a table");
        let ran = package.path().join("ran").join(name);
        fs::create_dir_all(ran).expect("the folder is made");
    }
    package
}

#[test]
fn single_tests_are_divided_over_shards() {
    let package = package_of_nine(
        &[
            "test-many]\ntest = \"nine\"",
            "test-one-process]\ntest = \"nine\"\nisolate = false",
            "test-whole]\ntest = \"nine\"\nexclusive = [\"db\"]",
        ],
        "",
    );
    let there = divided(&package, &[]);
    let sizes = |role: &str| -> Vec<usize> {
        let folders = folders(&package, role);
        folders.into_values().map(|tests| tests.len()).collect()
    };
    assert_eq!(sizes("test-many"), [3, 3, 3]);
    assert_eq!(sizes("test-one-process"), [3, 3, 3]);
    assert_eq!(sizes("test-whole"), [9]);
    let local = package.ansar(["test"]).run();
    assert_eq!(lines(there.success()), lines(local.success()));
    assert_eq!(sizes("test-many"), [9]);
}

#[test]
fn a_failed_part_alone_runs_again() {
    let body = "assert!(_starts > 1 || _name != \"t4\");";
    let package = package_of_nine(&["test-many]\ntest = \"nine\""], body);
    let there = divided(&package, &["--retries=1"]);
    there
        .success()
        .stdout_is("role \"test-many\" (pass/fail): 9/0\n");
    there.stderr_has("Rerunning test-many, try 2 of 2\n");
    let starts = |name: &str| {
        let path = package.path().join("ran/test-many").join(name);
        fs::read_to_string(path).expect("it ran").lines().count()
    };
    let again: Vec<usize> = (0..9).map(|number| starts(&format!("t{number}"))).collect();
    assert_eq!(again, [1, 1, 1, 1, 2, 1, 1, 1, 1]);
}

#[test]
fn a_lost_part_is_a_failed_check() {
    let body = "if _name == \"t4\" {\n        \
                let agent = std::env::var(\"ANSAR_PARENT\").unwrap();\n        \
                std::process::Command::new(\"kill\").args([\"-9\", &agent]).status().unwrap();\n        \
                std::thread::sleep(std::time::Duration::from_secs(600));\n    }";
    let package = package_of_nine(&["test-many]\ntest = \"nine\""], body);
    let there = divided(&package, &[]);
    there
        .code(100)
        .stdout_has("role \"test-many\" (pass/fail): 6/1\n");
    there.stdout_has("Cargo.toml:8 - test-many: lost with node ");
    there.stdout_has(", its stream ended (exit code 137)\n");
}

#[test]
fn jobs_divide_single_tests_as_shards_do() {
    let body = "assert!(_name != \"t4\");";
    let roles = [
        "test-many]\ntest = \"nine\"",
        "test-one-process]\ntest = \"nine\"\nisolate = false",
    ];
    let package = package_of_nine(&roles, body);
    divided(&package, &[]).code(100);
    let names = |role: &str| -> BTreeSet<Vec<String>> {
        let folders = folders(&package, role).into_values();
        let sorted = folders.map(|mut names| {
            names.sort_unstable();
            names
        });
        sorted.collect()
    };
    let of_shards = roles.map(|role| names(role.split_once(']').expect("a head").0));
    let mut of_jobs = [BTreeSet::new(), BTreeSet::new()];
    for job in 1..=3 {
        let (part, home) = (
            format!("--partition={job}/3"),
            format!("--home-path=j{job}"),
        );
        let run = package.ansar(["test", &part, &home]).run();
        assert!([0, 100].contains(&run.status.code().expect("it exits")));
        of_jobs[0].extend(names("test-many"));
        of_jobs[1].extend(names("test-one-process"));
    }
    assert_eq!(of_jobs, of_shards);
    let merged = package.ansar(["report", "--merge", "j1", "j2", "j3"]).run();
    let local = package.ansar(["test"]).run();
    assert_eq!(lines(merged.code(100)), lines(local.code(100)));
    merged.stdout_has("role \"test-many\" (pass/fail): 8/1\n");
}

#[test]
fn a_part_that_has_passed_runs_again() {
    let package = package_of_nine(&["test-many]\ntest = \"nine\""], "");
    for more in [[].as_slice(), &["--failed"], &["--failed", "--retries=1"]] {
        let part = package.ansar(["test", "--partition=1/3"]).args(more).run();
        part.success()
            .stdout_is("role \"test-many\" (pass/fail): 3/0\n");
        // So does a whole that has passed on agents.
        let there = divided(&package, &["--failed"]);
        there
            .success()
            .stdout_is("role \"test-many\" (pass/fail): 9/0\n");
    }
}

#[test]
fn tests_run_although_the_tool_was_replaced() {
    let roles =
        "\n[setup-0]\nprogram = \"./replace\"\nready = \"done\"\n\n[test-api]\ntest = \"api\"\n";
    let files = [
        ("tests/api.rs", "#[test]\nfn adds() {}\n"),
        ("replace", "#!/bin/sh\nmv new tool\n"),
        ("new", "#!/bin/sh\nexit 9\n"),
    ];
    let package = package(roles, &files);
    let tool = package.path().join("tool");
    fs::copy(tests::executable("cargo-ansar"), tool).expect("the tool is copied");
    let run = package.shell("./tool ansar test").run();
    run.success()
        .stdout_is("role \"test-api\" (pass/fail): 1/0\n");
}

#[test]
fn agents_with_one_empty_store_run_their_parts() {
    let package = package_of_nine(&["test-many]\ntest = \"nine\""], "");
    let agents = package.path().join("agents");
    fs::create_dir(&agents).expect("the folder is made");
    let there = divided(&package, &[]);
    there
        .success()
        .stdout_is("role \"test-many\" (pass/fail): 9/0\n");
    let stored = fs::read_dir(agents.join("store")).expect("there is a store");
    let names = stored.map(|entry| entry.expect("it is read").file_name());
    let mut names = names.map(|name| name.to_string_lossy().into_owned());
    assert!(
        names.all(|name| !name.contains('.')),
        "no file in part is left"
    );
}
