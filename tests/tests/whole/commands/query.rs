//! `history`, `returned`, `log` and `folder`: queries about earlier runs.

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Running, Sandbox, Signal, children_of, eventually};

use super::{ABORTED, ACK, with_home, with_roles};

/// Stores a log of a role that never ran: one line a minute, from two processes
/// in turn.
fn stored(sandbox: &Sandbox, role: &str, minutes: impl Iterator<Item = u32>) {
    let lines = minutes.map(|minute| {
        let pid = 100 + minute % 2;
        let tag = if minute % 5 == 0 { '!' } else { '^' };
        format!(
            "[{pid:08}] 2023-04-06T01:{minute:02}:17.317 {tag} <00000009>{role} - at {minute}\n\
             [{pid:08}] 2023-04-06T01:{minute:02}:17.317 | <00000009>{role} - of {minute}\n"
        )
    });
    let text: String = lines.collect();
    sandbox.write(
        format!(".ansar-home/logs/{role}/2023-04-06T01-00-17.400000.log"),
        &text,
    );
}

/// Returns the last words of the lines that `log` prints.
#[track_caller]
fn logged(sandbox: &Sandbox, arguments: &[&str]) -> Vec<String> {
    let log = sandbox.ansar(["log"]).args(arguments).run();
    let lines = log.success().stderr_lacks("truncated").stdout.lines();
    lines
        .map(|line| {
            let text = line.rsplit_once(" - ").map_or(line, |(_, text)| text);
            text.to_owned()
        })
        .collect()
}

/// Starts `run` of a role that does not exit by itself.
fn up(sandbox: &Sandbox) -> Running<'_> {
    let run = sandbox.ansar(["run", "-v", "zombie-0"]).start();
    run.wait_for("Ready zombie-0");
    run
}

#[test]
fn history_has_starts_and_results() {
    let sandbox = with_roles(&["noop", "silent"]);
    let never = sandbox.ansar(["history", "noop-0"]).run();
    never.success().stdout_is("");
    let never = sandbox.ansar(["returned", "noop-0"]).run();
    never.code(2).stderr_has("role `noop-0` has not run yet");
    super::hinted(&sandbox, &never).run().success();
    sandbox.ansar(["run"]).run().code(1);

    let history = sandbox.ansar(["history", "noop-0"]).run();
    let lines: Vec<_> = history.success().stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (index, line) in lines.iter().enumerate() {
        let fits = line.starts_with(&format!("[{index}] "))
            && line.contains("s ago ... ")
            && line.ends_with("s (Ack)");
        assert!(fits, "{line}");
    }
    let long = sandbox.ansar(["history", "-l", "silent-0"]).run();
    let line = long.success().stdout.lines().next().unwrap_or_default();
    assert!(
        line.contains(">  exited with code 0 (Faulted)") && line.contains('T'),
        "{line}"
    );
    for arguments in [&["noop-0"][..], &["noop-0", "--start=0"]] {
        let returned = sandbox.ansar(["returned"]).args(arguments).run();
        returned.success().returned(ACK);
    }
    let wrong = sandbox.ansar(["returned", "noop-0", "--start=2"]).run();
    wrong.code(2).stderr_has("no start 2; the latest is 1");
    let wrong = sandbox.ansar(["history", "none"]).run();
    wrong.code(2).stderr_has("no role `none`");
}

#[test]
fn returned_waits_for_a_running_role() {
    let sandbox = with_roles(&["zombie"]);
    let run = up(&sandbox);
    let history = sandbox.ansar(["history", "zombie-0"]).run();
    history.success().stdout_has(" ago ... running\n");
    let impatient = ["returned", "zombie-0", "--timeout=0.1"];
    let impatient = sandbox.ansar(impatient).run();
    impatient.code(106).stderr_has("did not end within 100ms");
    let returned = sandbox.ansar(["returned", "zombie-0"]).start();
    run.signal(Signal::SIGINT);
    run.wait().code(130);
    returned.wait().success().returned(ABORTED);
    let history = sandbox.ansar(["history", "zombie-0"]).run();
    history.success().stdout_has("s (Aborted)\n");
}

#[test]
fn returned_reports_a_killed_engine() {
    let sandbox = with_roles(&["zombie"]);
    let run = up(&sandbox);
    let returned = sandbox.ansar(["returned", "zombie-0"]).start();
    let engine = children_of(run.pid())[0];
    kill(Pid::from_raw(engine), Signal::SIGKILL).expect("the engine runs");
    let lost = returned.wait();
    lost.code(1)
        .stderr_has("role `zombie-0` returned nothing: its engine was killed");
    run.wait();
    super::hinted(&sandbox, &lost).run().success();
    let history = sandbox.ansar(["history", "zombie-0"]).run();
    history.success().stdout_has(" ago ... (engine killed)\n");
    // Later runs do not change a lost result.
    let run = up(&sandbox);
    let history = sandbox.ansar(["history", "zombie-0"]).run();
    let lines: Vec<_> = history.success().stdout.lines().collect();
    assert!(
        lines[0].ends_with("(engine killed)") && lines[1].ends_with("running"),
        "{lines:?}"
    );
    run.signal(Signal::SIGINT);
    run.wait().code(130);
}

#[test]
fn a_damaged_history() {
    let sandbox = with_roles(&["noop"]);
    for _ in 0..2 {
        sandbox.ansar(["run"]).run().success();
    }
    let file = ".ansar-home/history/noop-0";
    let text = sandbox.read(file).replacen("\"pid\":", "\"pid\":1", 1);
    sandbox.write(file, &format!("{text}\ntorn"));
    sandbox.ansar(["run"]).run().success();
    let history = sandbox.ansar(["history", "noop-0"]).run();
    history.success().stderr_has("records of the history");
    assert_eq!(history.stdout.lines().count(), 2);
    assert!(history.stdout.lines().all(|line| line.ends_with("(Ack)")));
}

#[test]
fn a_log_is_queried_by_time() {
    let sandbox = with_home();
    for role in ["one", "two"] {
        sandbox.ansar(["add", "noop", role]).run().success();
    }
    stored(&sandbox, "one", 0..60);
    let at = |numbers: &[u32]| {
        let both = numbers
            .iter()
            .flat_map(|number| [format!("at {number}"), format!("of {number}")]);
        both.collect::<Vec<_>>()
    };
    let from = |time: &str| format!("--from=2023-04-06T01:{time}");
    for (arguments, expected) in [
        (vec![from("57")], &[57, 58, 59][..]),
        (vec![from("57:17.317")], &[57, 58, 59]),
        (vec![from("57:17.318")], &[58, 59]),
        (
            vec![from("10"), "--to=2023-04-06T01:12Z".to_owned()],
            &[10, 11],
        ),
        (vec![from("10"), "--span=2m".to_owned()], &[10, 11]),
        (vec![from("10"), "--count=2".to_owned()], &[10, 11]),
        (
            vec![
                from("00"),
                "--level=FAULT".to_owned(),
                "--count=2".to_owned(),
            ],
            &[0, 5],
        ),
        (
            vec![from("00"), "--grep=(at|of) 5[34]$".to_owned()],
            &[53, 54],
        ),
        // A continuation belongs to its line.
        (vec![from("00"), "--grep=of 53".to_owned()], &[53]),
        (vec!["--back=5m".to_owned()], &[]),
        (vec![], &[]),
    ] {
        let mut all = vec!["one"];
        all.extend(arguments.iter().map(String::as_str));
        assert_eq!(logged(&sandbox, &all), at(expected), "{all:?}");
    }
    // The process is named only if there are several.
    let one = sandbox
        .ansar(["log", "one", "--count=1", &from("10")])
        .run();
    one.success().stdout_is(
        "2023-04-06T01:10:17.317 ! <00000009>one - at 10\n\
         2023-04-06T01:10:17.317 | <00000009>one - of 10\n",
    );
    let two = sandbox
        .ansar(["log", "one", "--count=2", &from("10")])
        .run();
    two.success().stdout_has("[00000101] 2023-04-06T01:11");
    // Local time, in arguments and in output.
    let local = [
        "log",
        "one",
        "--clock",
        "--count=1",
        "--from=2023-04-06T03:10",
    ];
    let local = sandbox.ansar(local).env("TZ", "XYZ-2").run();
    local.success().stdout_has("2023-04-06T03:10:17.317 ! ");

    stored(&sandbox, "two", 10..12);
    let merged = logged(&sandbox, &["one", "two", &from("09:30"), "--count=4"]);
    assert_eq!(merged, [at(&[10, 10]), at(&[11, 11])].concat());
}

#[test]
fn a_log_of_several_roles_names_them() {
    let sandbox = with_home();
    for role in ["web", "worker", "other"] {
        sandbox.ansar(["add", "noop", role]).run().success();
    }
    stored(&sandbox, "web", 10..11);
    stored(&sandbox, "worker", 11..12);
    stored(&sandbox, "other", 11..12);
    let log = |words: &[&str]| {
        let log = sandbox
            .ansar(["log", "--from=2023-04-06"])
            .args(words)
            .run();
        log.success().stdout.clone()
    };
    let two = "web    | [00000100] 2023-04-06T01:10:17.317 ! <00000009>web - at 10\n\
               web    | [00000100] 2023-04-06T01:10:17.317 | <00000009>web - of 10\n\
               worker | [00000101] 2023-04-06T01:11:17.317 ^ <00000009>worker - at 11\n\
               worker | [00000101] 2023-04-06T01:11:17.317 | <00000009>worker - of 11\n";
    assert_eq!(log(&["w.*"]), two);
    assert_eq!(log(&["worker", "web"]), two);
    assert_eq!(log(&["-i", "other"]), two);
    // The role is named only if there are several.
    let one = "2023-04-06T01:10:17.317 ! <00000009>web - at 10\n\
               2023-04-06T01:10:17.317 | <00000009>web - of 10\n";
    assert_eq!(log(&["we.*"]), one);
    assert_eq!(log(&["--executable=noop"]).lines().count(), 6);
    let wrong = sandbox.ansar(["log", "web", "wrker"]).run();
    wrong.code(2).stdout_is("").stderr_has("wrker");
}

#[test]
fn a_clock_that_was_set_hides_no_line() {
    let sandbox = with_roles(&["noop"]);
    // One hour, set back by fifty minutes, and one set forward by mistake.
    let minutes = (0..60).chain(10..40).chain(50..60).chain(40..45);
    let lines: Vec<String> = minutes
        .enumerate()
        .map(|(nth, minute)| format!("[00000100] 2023-04-06T01:{minute:02}:00.000 ^ {nth}\n"))
        .collect();
    let names = ["01-00-00.000000", "01-59-00.000000", "01-59-00.000001"];
    for parts in [&[105][..], &[60, 45], &[30, 45, 30]] {
        let folder = ".ansar-home/logs/noop-0";
        let _ = std::fs::remove_dir_all(sandbox.path().join(folder));
        let mut rest = &lines[..];
        for (length, name) in parts.iter().zip(names) {
            let (part, behind) = rest.split_at((*length).min(rest.len()));
            rest = behind;
            sandbox.write(format!("{folder}/2023-04-06T{name}.log"), &part.concat());
        }
        for (from, to) in [(30, 40), (10, 20), (50, 60), (0, 5), (42, 43)] {
            let from_flag = format!("--from=2023-04-06T01:{from:02}");
            let span = format!("--span={}m", to - from);
            let log = sandbox.ansar(["log", "noop-0", &from_flag, &span]).run();
            let expected = lines.iter().filter(|line| {
                let minute: u32 = line[25..27].parse().expect("a minute");
                (from..to).contains(&minute)
            });
            let expected: String = expected.map(|line| &line[11..]).collect();
            log.success().stdout_is(&expected);
        }
    }
}

#[test]
fn a_query_has_one_beginning_and_one_end() {
    let sandbox = with_roles(&["noop", "snooze"]);
    let log = |arguments: &[&str]| {
        let log = sandbox.ansar(["log", "noop-0"]).args(arguments).run();
        log.code(2).stdout_is("");
        log
    };
    let begins = ["--from=2023-04-06", "--last=WEEK", "--start=0", "--back=1h"];
    let ends = ["--to=2023-04-07", "--span=1h", "--count=3"];
    for flags in [&begins[..], &ends] {
        for (at, one) in flags.iter().enumerate() {
            for other in &flags[at + 1..] {
                let wrong = log(&[one, other]);
                for flag in [one, other] {
                    let name = flag.split('=').next().unwrap_or_default();
                    wrong.stderr_has(&format!("'{name} "));
                }
            }
        }
    }
    log(&["--back=-5m"]).stderr_has("such as `5m`");
    log(&["--last=YEAR"]).stderr_has("WEEK");
    log(&["--from=yesterday"]).stderr_has("2023-04-06");
    log(&["--from=2023-04-06", "--to=2023-04-05"]).stderr_has("the query ends");
    log(&["--grep=("]).stderr_has("--grep");
    log(&["--start=0"]).stderr_has("has not run yet");
    let two = sandbox
        .ansar(["log", "noop-0", "snooze-0", "--start=0"])
        .run();
    two.code(2)
        .stderr_has("`--start` requires a search that selects one role");
    sandbox.ansar(["log"]).run().success().stdout_is("");
}

#[test]
fn a_log_since_a_start() {
    let sandbox = with_roles(&["noop"]);
    for _ in 0..3 {
        sandbox.ansar(["run"]).run().success();
    }
    let count = |arguments: &[&str]| {
        let log = sandbox.ansar(["log", "noop-0", "--level=CONSOLE"]);
        let log = log.args(arguments).run();
        log.success().stdout.lines().count()
    };
    assert_eq!(count(&[]), 3);
    assert_eq!(count(&["--tail=2"]), 2);
    assert_eq!(count(&["--tail=9"]), 3);
    let shown = |arguments: &[&str]| {
        let log = sandbox
            .ansar(["log", "--level=CONSOLE"])
            .args(arguments)
            .run();
        log.success().stdout.clone()
    };
    assert!(shown(&[]).ends_with(&shown(&["--tail=1"])));
    assert_ne!(shown(&["--count=1"]), shown(&["--tail=1"]));
    assert_eq!(
        ["--start=0", "--start=1", "--start=2"].map(|start| count(&[start])),
        [3, 2, 1]
    );
    assert_eq!(count(&["--last=MONTH", "--count=2"]), 2);
}

#[test]
fn an_incomplete_line_is_reported_once() {
    let sandbox = with_roles(&["noop"]);
    stored(&sandbox, "noop-0", 0..3);
    let file = ".ansar-home/logs/noop-0/2023-04-06T01-00-17.400000.log";
    let text = sandbox.read(file);
    sandbox.write(file, &format!("{text}[000001\n{text}[0000"));
    let log = sandbox.ansar(["log", "noop-0", "--from=2023-04-06"]).run();
    log.success()
        .stderr_has("warning: 2 lines were truncated by a crash");
    assert_eq!(log.stdout.lines().count(), 12);
}

#[test]
fn following_a_log_that_does_not_exist_yet() {
    let sandbox = with_roles(&["noop", "snooze"]);
    let mut follow = sandbox
        .ansar(["log", "noop-0", "snooze-0", "--follow", "--level=CONSOLE"])
        .start();
    for _ in 0..2 {
        sandbox.ansar(["run", "noop-0"]).run().success();
        follow.wait_for_next_on_stdout(" - Log this and exit");
    }
    // By now the lines are of several processes.
    let line = {
        sandbox.ansar(["run", "noop-0"]).run().success();
        follow.wait_for_next_on_stdout(" - Log this and exit")
    };
    assert!(line.starts_with("noop-0   | ["), "{line}");
    follow.signal(Signal::SIGINT);
    follow
        .wait()
        .killed_by(Signal::SIGINT)
        .stderr_lacks("error");

    let head = sandbox
        .ansar(["log", "noop-0", "--follow"])
        .redirected("| head -1");
    let head = head.start();
    let ended = eventually(|| {
        sandbox.ansar(["run", "noop-0"]).run().success();
        sandbox.processes().is_empty().then_some(())
    });
    assert!(ended.is_some(), "a reader that left is written to");
    let head = head.wait();
    head.success().check(head.stderr.is_empty(), || {
        "expected no complaint".to_owned()
    });
}

#[test]
fn the_parts_of_a_role_are_found() {
    let sandbox = with_roles(&["noop"]);
    let home = sandbox.path().join(".ansar-home");
    let bin = tests::executable("noop");
    for (name, expected) in [
        ("bin", bin.to_owned()),
        ("settings", home.join("settings/noop-0.json")),
        ("input", home.join("input/noop-0.json")),
        ("logs", home.join("logs/noop-0")),
        ("tmp", home.join("tmp/noop-0")),
        ("model", home.join("model/noop-0")),
        ("resource", home.join("resource/noop")),
    ] {
        let folder = sandbox.ansar(["folder", name, "noop-0"]).run();
        folder
            .success()
            .stdout_is(&format!("{}\n", expected.display()));
    }
    sandbox.ansar(["folder", "lock", "noop-0"]).run().code(2);
    sandbox.ansar(["folder", "model", "none"]).run().code(2);
}
