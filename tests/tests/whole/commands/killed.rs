//! Commands that are killed right before each of their file system changes, one
//! after the other: the state is entirely old or entirely new.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use tests::{Output, Sandbox};

use super::{listed, tree, with_roles};

/// Environment variable with the number of the change before which a command is
/// killed.
const KILL_AT: &str = "__ANSAR_TEST_KILL_AT";

fn copy(sandbox: &Sandbox, from: &str, to: &str) {
    let _ = fs::remove_dir_all(sandbox.path().join(to));
    let copied = sandbox.program("cp").args(["-a", from, to]).run();
    copied.success();
}

/// Returns the files of a home and their contents, except for locks and for
/// files that the next command that changes something removes: unfinished
/// notes, and files shown to a component.
fn contents(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(home).expect("it is in the home");
            let is_aside = name.to_string_lossy().starts_with(".ansar-alias-");
            if name.starts_with("lock") || name.starts_with("engine") || is_aside {
                continue;
            }
            found.insert(name.to_owned(), fs::read(&path).unwrap_or_default());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// Kills a command before its first, second, … change, until it runs to its
/// end; calls `check` after each kill. Returns the number of kills.
fn killed_everywhere(
    sandbox: &Sandbox,
    words: &str,
    stdin: &str,
    mut check: impl FnMut(usize),
) -> usize {
    for kills in 0.. {
        copy(sandbox, "before", ".ansar-home");
        let command = sandbox.ansar(words.split(' ')).stdin(stdin);
        let output = command.env(KILL_AT, (kills + 1).to_string()).run();
        if output.status.success() {
            return kills;
        }
        is_killed(&output);
        check(kills);
    }
    unreachable!("no command makes that many changes")
}

/// Checks that a command or its engine was killed; the guardian reports the
/// latter.
#[track_caller]
fn is_killed(output: &Output) {
    let is_killed = output.status.code() == Some(137) || output.status.signal() == Some(9);
    output.check(is_killed, || "expected it to be killed".to_owned());
}

fn run(sandbox: &Sandbox, words: &str, stdin: &str) -> Output {
    sandbox.ansar(words.split(' ')).stdin(stdin).run()
}

/// Creates two roles with everything that a role can have.
fn home() -> Sandbox {
    let sandbox = with_roles(&["noop"]);
    let add = ["add", "snooze", "snooze-{number}", "--count=2"];
    sandbox.ansar(add).run().success();
    sandbox
        .ansar(["run", "snooze-0", "snooze-1"])
        .run()
        .success();
    for role in ["snooze-0", "snooze-1"] {
        for path in [
            format!("model/{role}/deep/data"),
            format!("model/{role}.child/data"),
            format!("kept/model/{role}/data"),
            format!("kept/edit/{role}.timeout.json"),
        ] {
            sandbox.write(format!(".ansar-home/{path}"), "1");
        }
    }
    sandbox
}

#[test]
fn several_roles_are_changed_as_a_whole() {
    let sandbox = home();
    let home = sandbox.path().join(".ansar-home");
    copy(&sandbox, ".ansar-home", "before");
    let old = contents(&home);
    sandbox.write("given.json", r#"{"value": {"seconds": 9}}"#);
    for (words, stdin) in [
        ("update snooze-.* --seconds=7", ""),
        ("set timeout snooze-.*", r#"{"value": 30}"#),
        ("settings snooze-0 --set-file=given.json", ""),
        ("delete snooze-.*", ""),
    ] {
        copy(&sandbox, "before", ".ansar-home");
        run(&sandbox, words, stdin).success();
        let new = contents(&home);
        assert_ne!(old, new, "`{words}` changes nothing");
        let mut ends = [0, 0];
        let kills = killed_everywhere(&sandbox, words, stdin, |kills| {
            sandbox
                .ansar(["list"])
                .run()
                .success()
                .stderr_lacks("error");
            let now = contents(&home);
            let is_whole = [now == old, now == new];
            assert!(
                is_whole.contains(&true),
                "`{words}`, kill {kills}: {now:#?}"
            );
            ends[usize::from(is_whole[1])] += 1;
        });
        assert!(
            kills > 5 && !ends.contains(&0),
            "{words}: {kills}, {ends:?}"
        );
    }
}

#[test]
fn roles_are_added_all_or_none() {
    let sandbox = home();
    copy(&sandbox, ".ansar-home", "before");
    let words = "add snooze more-{number} --count=2 --seconds=3";
    let old = tree(&sandbox, ".ansar-home");
    run(&sandbox, words, "").success();
    let new = tree(&sandbox, ".ansar-home");
    killed_everywhere(&sandbox, words, "", |kills| {
        sandbox.ansar(["list"]).run().success();
        let mut now = tree(&sandbox, ".ansar-home");
        now.retain(|path| !path.starts_with(".ansar-home/.ansar-alias-"));
        assert!(now == old || now == new, "kill {kills}: {now:#?}");
        if now == new {
            let told = sandbox.ansar(["settings", "more-1"]).run();
            told.success().stdout_has("\"seconds\": 3");
        }
    });
}

#[test]
fn a_role_added_after_a_killed_delete() {
    let sandbox = home();
    copy(&sandbox, ".ansar-home", "before");
    let kills = killed_everywhere(&sandbox, "delete snooze-.*", "", |kills| {
        let add = sandbox.ansar(["add", "noop", "snooze-0"]).run();
        if !add.status.success() {
            // It was killed before it decided anything.
            add.code(2).stderr_has("exists already");
            sandbox.ansar(["delete", "snooze-.*"]).run().success();
            return;
        }
        assert_eq!(listed(&sandbox), ["noop-0", "snooze-0"], "kill {kills}");
        let own = tree(&sandbox, ".ansar-home").into_iter();
        let own = own.filter(|path| path.contains("snooze"));
        let own: Vec<_> = own.filter(|path| !path.contains("/lock/")).collect();
        let expected = [
            "entry/snooze-0.json",
            "logs/snooze-0",
            "model/snooze-0",
            "settings/snooze-0.json",
            "tmp/snooze-0",
        ];
        assert_eq!(own, expected.map(|path| format!(".ansar-home/{path}")));
        let told = sandbox.ansar(["history", "snooze-0"]).run();
        told.success().stdout_is("");
    });
    assert!(kills > 10, "{kills}");
}

#[test]
fn create_and_destroy_accept_an_incomplete_home() {
    let sandbox = with_roles(&[]);
    sandbox.ansar(["destroy"]).run().success();
    let create = ["create", "--redirect-model=models", "--redirect-logs=logs"];
    let bin = tests::executable("noop");
    let bin = bin.parent().expect("a file is in a folder").display();
    let bin = format!("--redirect-bin={bin}");
    let mut whole = 0;
    for kills in 1.. {
        sandbox.ansar(create).arg(&bin).run().success();
        sandbox.ansar(["add", "noop"]).run().success();
        let destroy = sandbox.ansar(["destroy"]);
        let destroy = destroy.env(KILL_AT, kills.to_string()).run();
        if destroy.status.success() {
            assert!(kills > 10, "{kills}");
            break;
        }
        is_killed(&destroy);
        let home = sandbox.path().join(".ansar-home");
        let has = |name: &str| home.join(name).exists();
        if has("home.json") && !has("pending.json") {
            assert_eq!(listed(&sandbox), ["noop-0"]);
            whole += 1;
            sandbox.ansar(["destroy"]).run().success();
        } else if kills % 2 == 0 {
            sandbox.ansar(["create", &bin]).run().success();
            assert!(listed(&sandbox).is_empty());
            sandbox.ansar(["destroy"]).run().success();
        } else {
            let list = sandbox.ansar(["list"]).run();
            list.code(96).stderr_has("error: no home at `");
        }
        // Killed before its last step, `destroy` leaves an empty folder.
        let rest = std::fs::read_dir(&home).into_iter().flatten().count();
        assert_eq!(rest, 0, "kill {kills}");
        for elsewhere in ["models", "logs"] {
            let left = tree(&sandbox, elsewhere);
            assert!(left.is_empty(), "kill {kills}: {left:?}");
        }
    }
    assert!(whole > 0);
}

#[test]
fn the_next_destroy_completes_a_killed_one() {
    let sandbox = with_roles(&["noop"]);
    copy(&sandbox, ".ansar-home", "before");
    killed_everywhere(&sandbox, "destroy", "", |kills| {
        sandbox.ansar(["destroy"]).run().success();
        assert!(!sandbox.path().join(".ansar-home").exists(), "kill {kills}");
    });
}
