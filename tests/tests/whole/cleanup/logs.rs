//! Logs lose no line when processes are killed or output grows fast.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Sandbox, Signal, children_of, eventually, executable};

/// Number of lines that the fixture writes.
const LINES: usize = 100_000;

/// Creates a home with roles of the fixture.
fn with_flood() -> Sandbox {
    let sandbox = Sandbox::new();
    let bin = executable("floods")
        .parent()
        .expect("a file is in a folder");
    let bin = format!("--redirect-bin={}", bin.display());
    sandbox.ansar(["create", &bin]).run().success();
    sandbox.ansar(["add", "floods"]).run().success();
    sandbox
}

/// Returns the numbers of the stored lines with this beginning.
fn numbers(sandbox: &Sandbox, role: &str, beginning: &str) -> Vec<usize> {
    let log = sandbox.ansar(["log", role, "--last=MONTH"]).run();
    let lines = log.success().stderr_lacks("truncated").stdout.lines();
    lines
        .filter_map(|line| {
            let (_, text) = line.split_once(beginning)?;
            text.split(' ').next()?.parse().ok()
        })
        .collect()
}

#[track_caller]
fn are_all(numbers: &[usize], count: usize) {
    let wrong = numbers
        .iter()
        .enumerate()
        .find(|(at, number)| at != *number);
    assert_eq!(wrong, None, "a line is missing, or stored twice");
    assert_eq!(numbers.len(), count);
}

#[test]
fn a_flood_is_stored_line_by_line() {
    let sandbox = with_flood();
    sandbox.ansar(["run"]).run().success().stderr_lacks("lost");
    are_all(&numbers(&sandbox, "floods-0", " - Line "), LINES);
}

#[test]
fn a_killed_engine_loses_no_line() {
    let sandbox = with_flood();
    let run = sandbox.ansar(["run"]).start();
    let logs = sandbox.path().join(".ansar-home/logs/floods-0");
    let size = || {
        let files = fs::read_dir(&logs).into_iter().flatten().flatten();
        let sizes = files.filter_map(|file| Some(file.metadata().ok()?.len()));
        sizes.sum::<u64>()
    };
    let flows = eventually(|| (size() > 200_000).then_some(()));
    assert!(flows.is_some(), "nothing is stored");
    let engine = children_of(run.pid())[0];
    kill(Pid::from_raw(engine), Signal::SIGKILL).expect("the engine runs");
    run.wait().code(137);
    let stored = numbers(&sandbox, "floods-0", " - Line ");
    are_all(&stored, stored.len());
    assert!(stored.len() > 1000);
    sandbox.ansar(["run"]).run().success();
}

/// Writes lines in the tool's format and in others, and confirms each.
const WRITER: &str = r#"#!/bin/sh
# ansar-component: 1
number=0
while :; do
    printf '[%08d] 2026-01-01T00:00:00.000 ^ <00000001>writer - Number %d .\n' $$ $number >&2
    echo "other $number ." >&2
    echo $number > "$ANSAR_TEST_COUNT"
    number=$((number + 1))
done
"#;

#[test]
fn lines_written_before_a_kill_are_stored() {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    let home = sandbox.path().join(".ansar-home");
    let script = sandbox.write(".ansar-home/bin/writer", WRITER);
    fs::set_permissions(script, Permissions::from_mode(0o700)).expect("it is ours");
    let count = sandbox.path().join("count");
    let entry = serde_json::json!({"value": {
        "created": "2026-01-01T00:00:00Z",
        "executable": "writer",
        "origin": "hand",
        "env": {"ANSAR_TEST_COUNT": count},
    }});
    sandbox.write(".ansar-home/entry/writer-0.json", &entry.to_string());
    let written = || {
        fs::read_to_string(&count)
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()
    };
    for _ in 0..3 {
        let _ = fs::remove_dir_all(home.join("logs/writer-0"));
        let _ = fs::remove_file(&count);
        let run = sandbox.ansar(["run"]).start();
        let flows = eventually(|| written().filter(|number| *number > 500));
        assert!(flows.is_some(), "nothing is written");
        let engine = children_of(run.pid())[0];
        kill(Pid::from_raw(engine), Signal::SIGKILL).expect("the engine runs");
        run.wait().code(137);
        let written = written().unwrap_or_default();
        let files = fs::read_dir(home.join("logs/writer-0")).expect("it has a log");
        let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        let log: String = files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        let count = |beginning: &str| {
            let lines = log.lines().filter_map(|line| {
                let (_, text) = line.split_once(beginning)?;
                text.split(' ').next()?.parse().ok()
            });
            lines.collect::<Vec<usize>>()
        };
        let formed = count(" - Number ");
        are_all(&formed, formed.len());
        assert!(formed.len() > written, "{} of {written}", formed.len());
        // Lines without a time of their own may be stored twice.
        let mut others = count("^ other ");
        others.dedup();
        assert!(others.len() > written, "{} of {written}", others.len());
    }
}

#[test]
fn a_full_disk_loses_counted_lines() {
    let sandbox = with_flood();
    let logs = sandbox.path().join(".ansar-home/logs/floods-0");
    fs::create_dir_all(&logs).expect("the home is there");
    let full = logs.join("9000-01-01T00-00-00.000000.log");
    symlink("/dev/full", &full).expect("the folder is empty");
    let run = sandbox.ansar(["run"]).run();
    run.success()
        .stderr_has("log lines of role `floods-0` are lost: failed to write")
        .stderr_has(" log lines of role `floods-0` lost in all");
    let lost = run.log("lost in all").concat();
    let lost = lost
        .split_whitespace()
        .find_map(|word| word.parse::<usize>().ok());
    assert!(lost.is_some_and(|lost| lost >= LINES), "{lost:?}");
    fs::remove_file(full).expect("it is there");
    sandbox.ansar(["run"]).run().success().stderr_lacks("lost");
    are_all(&numbers(&sandbox, "floods-0", " - Line "), LINES);
}

/// Creates a home whose roles run a script.
fn with_script(script: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    let text = format!("#!/bin/sh\n# ansar-component: 1\n{script}");
    let script = sandbox.write(".ansar-home/bin/writer", &text);
    fs::set_permissions(script, Permissions::from_mode(0o700)).expect("it is ours");
    let entry = serde_json::json!({"value": {
        "created": "2026-01-01T00:00:00Z",
        "executable": "writer",
        "origin": "hand",
    }});
    sandbox.write(".ansar-home/entry/writer-0.json", &entry.to_string());
    sandbox
}

/// Returns the texts of the stored lines.
fn texts(sandbox: &Sandbox) -> Vec<String> {
    let log = sandbox.ansar(["log", "writer-0", "--last=MONTH"]).run();
    let lines = log.stdout.lines();
    let texts = lines.filter_map(|line| Some(line.get(24..)?.to_owned()));
    texts.collect()
}

#[test]
fn an_incomplete_line_is_stored_after_a_pause() {
    let sandbox = with_script(
        "printf 'waiting for the lock...' >&2\n\
         while ! [ -e go ]; do sleep 0.01; done\n\
         printf ' got it\\n' >&2\n\
         printf 'dots...[%08d] 2026-01-01T00:00:00.000 ^ <00000001>writer - Formed\\n' $$ >&2\n\
         printf 'prompt> ' >&2\n\
         while ! [ -e on ]; do sleep 0.01; done\n\
         printf '[%08d] 2026-01-01T00:00:00.000 ? <00000001>writer - Behind\\n' $$ >&2\n\
         printf end >&2\n",
    );
    let run = sandbox.ansar(["run", "--debug-level=CONSOLE"]).start();
    run.wait_for("waiting for the lock...");
    sandbox.write("go", "");
    run.wait_for("prompt> ");
    sandbox.write("on", "");
    run.wait();
    let log = sandbox
        .ansar(["log", "writer-0", "--from=2026-01-01"])
        .run();
    let texts: Vec<_> = log
        .success()
        .stdout
        .lines()
        .map(|line| &line[24..])
        .collect();
    assert_eq!(
        texts,
        [
            "^ waiting for the lock...",
            "|  got it",
            "^ dots...",
            "^ <00000001>writer - Formed",
            "^ prompt> ",
            "? <00000001>writer - Behind",
            "^ end",
        ]
    );
}

#[test]
fn a_removed_log_is_created_again() {
    let sandbox = with_script(
        "number=0\n\
         while ! [ -e stop ]; do echo \"tick $number\" >&2; number=$((number + 1)); sleep 0.01; done\n",
    );
    let home = sandbox.path().join(".ansar-home");
    let run = sandbox.ansar(["run"]).start();
    let last = || {
        let last = texts(&sandbox).pop()?;
        last.strip_prefix("^ tick ")?.parse::<u32>().ok()
    };
    for removed in ["logs/writer-0", "logs"] {
        let before = eventually(last).expect("something is stored");
        fs::remove_dir_all(home.join(removed)).expect("it is there");
        let later = eventually(|| last().filter(|later| *later > before));
        assert!(later.is_some(), "`{removed}` is not made again");
        let folder = fs::metadata(home.join("logs/writer-0")).expect("it is there");
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    }
    let segments = fs::read_dir(home.join("logs/writer-0")).expect("it is there");
    for segment in segments.flatten() {
        fs::remove_file(segment.path()).expect("it is there");
    }
    let later = eventually(last);
    assert!(later.is_some(), "a segment is not made again");
    sandbox.write("stop", "");
    run.wait();
    // No line is missing after that.
    let numbers: Vec<u32> = texts(&sandbox)
        .iter()
        .filter_map(|text| text.strip_prefix("^ tick ")?.parse().ok())
        .collect();
    let gap = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]);
    assert_eq!(gap, None);
}

#[test]
fn a_small_limit_holds_for_long_lines() {
    let sandbox = with_script(
        "yes \"a line as long as most, and not longer\" | head -n 20000 >&2\n\
         head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2\n\
         for n in 1 2 3 4 5 6 7 8 9; do head -c 30000 /dev/zero | tr '\\0' y >&2; echo >&2; done\n",
    );
    for storage in [65536, 80000, 200_000] {
        let set = sandbox.ansar(["set", "storage", "writer-0"]);
        let set = set.stdin(&format!("{{\"value\": {storage}}}")).run();
        set.success();
        sandbox.ansar(["run"]).run();
        let segments = fs::read_dir(sandbox.path().join(".ansar-home/logs/writer-0"));
        let sizes = segments.expect("there is a log").flatten();
        let stored: u64 = sizes
            .map(|file| file.metadata().map_or(0, |it| it.len()))
            .sum();
        let kept = (storage * 3 / 4..=storage * 11 / 10).contains(&stored);
        assert!(kept, "{stored} of {storage}");
    }
}
