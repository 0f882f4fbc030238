//! Runs that succeed, and runs whose roles fail: their results are those of a run
//! on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use tests::{Output, Signal};

use super::super::test::{CLIENT, PASSED, SERVER, ZOMBIE};
use super::{Remote, SLEEPS};

/// Test roles that fail in different ways.
const FAILING: [&str; 3] = [
    r#"test-panic = { executable = "panics" }"#,
    r#"test-ack = { executable = "noop" }"#,
    r#"test-exit = { program = "sh", args = ["-c", "echo going; exit 3"] }"#,
];

/// Returns the lines of stdout, sorted.
pub(super) fn lines(output: &Output) -> Vec<&str> {
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    lines.sort_unstable();
    lines
}

/// Removes what differs from run to run: times, and ids of processes.
pub(super) fn without_stamps(value: &mut Value) {
    const STAMPS: [&str; 6] = ["at", "elapsed", "elapsed_us", "stamp", "pid", "context"];
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !STAMPS.contains(&name.as_str()));
            fields.values_mut().for_each(without_stamps);
        }
        Value::Array(values) => values.iter_mut().for_each(without_stamps),
        _ => {}
    }
}

/// Returns the verdict of a run, and the results of its roles, sorted.
pub(super) fn results(output: &Output) -> Vec<String> {
    let lines = output.stdout.lines();
    let events = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let kept = events.filter(|event| event["event"] == "verdict" || event["event"] == "ended");
    let mut texts: Vec<String> = kept
        .map(|mut event| {
            without_stamps(&mut event);
            // The lines around a failure depend on the time.
            event["excerpts"] = Value::Null;
            event.to_string()
        })
        .collect();
    texts.sort();
    texts
}

#[test]
fn a_divided_run_equals_a_local_one() {
    let mut roles = vec![SERVER.to_owned(), ZOMBIE.to_owned(), CLIENT.to_owned()];
    for number in 0..5 {
        let more = CLIENT.replace("test-client", &format!("test-client-{number}"));
        roles.push(more);
        roles.push(format!(
            "test-prints-{number} = {{ executable = \"prints\" }}"
        ));
    }
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let remote = Remote::of(&roles);
    let local = remote.test(["--format=json"]).run();
    let divided = remote.local(["--shards=3", "--format=json"]).run();
    assert_eq!(results(divided.success()), results(local.success()));
    divided.stdout_has(r#""event":"placing","on":"local","shards":3"#);
    remote.nothing_is_left();
    // The files are in the store now.
    let again = remote.local(["--shards=3"]).run();
    again.success().stdout_has(PASSED);
    again.stderr_has("Placing 3 shards on local");
    again.stderr_has("Testing 11 roles against 2 operational roles");
}

#[test]
fn failures_have_the_same_places() {
    let remote = Remote::of(&[SERVER, CLIENT, FAILING[0], FAILING[1], FAILING[2]]);
    let local = remote.test([]).run();
    let divided = remote.local([]).run();
    assert_eq!(lines(divided.code(100)), lines(local.code(100)));
    remote.nothing_is_left();
    // The logs that explain them are here.
    let log = remote.ansar(["log", "test-exit"]).run();
    log.success().stdout_has("going");
    let report = remote.ansar(["report"]).run();
    assert_eq!(lines(report.success()), lines(&local));
    report.stderr_has("going");
}

#[test]
fn failed_roles_are_tried_again_on_their_node() {
    let once = r#"test-once = { program = "sh", args = ["-c", "test -f {model}/x || (touch {model}/x; exit 1)"] }"#;
    let remote = Remote::of(&[once, FAILING[2]]);
    let output = remote.local(["--retries=2"]).run();
    output.code(100).stderr_has("2 of 3");
    output.stdout_has("test-exit: exited with 3");
    output.stdout_has("role \"test-once\" (pass/fail): 1/0");
    remote.nothing_is_left();
}

#[test]
fn the_first_failure_stops_all_shards() {
    let remote = Remote::of(&[
        SLEEPS,
        r#"test-sleep-b = { program = "sleep", args = ["600"] }"#,
        r#"test-sleep-c = { program = "sleep", args = ["600"] }"#,
        FAILING[2],
    ]);
    let output = remote.local(["--shards=4", "--fail-fast"]).run();
    output.code(100).stdout_has("test-exit: exited with 3");
    output.stderr_has("Stopping");
    remote.nothing_is_left();
}

#[test]
fn roles_reach_each_other_across_shards() {
    let server =
        r#"server-0 = { executable = "server", settings = { host = "{bind}", port = "{port}" } }"#;
    let connect = |nth: usize| {
        format!(
            r#"test-connect-{nth} = {{ program = "bash", args = ["-c", 'exec 3<>/dev/tcp/127.0.0.1/$ANSAR_SERVER_0_PORT && test $A = $ANSAR_SERVER_0_ADDRESS'], env = {{ A = "{{address:server-0}}" }} }}"#
        )
    };
    let (one, two, three) = (connect(0), connect(1), connect(2));
    let remote = Remote::of(&[server, &one, &two, &three]);
    remote.local(["--shards=3"]).run().success();
    remote.nothing_is_left();
}

#[test]
fn roles_that_name_a_shard_start_in_order() {
    // Each notes that it runs, and must not run without the one that it needs.
    let serve = "#!/bin/sh\nneeds() { [ -z \"$1\" ] || [ -e \"$1\" ]; }\n\
                 needs \"$2\" || exit 4\n\
                 trap 'rm \"$1\"; exit 0' INT\n\
                 touch \"$1\"; echo up\n\
                 while needs \"$2\"; do sleep 0.02; done\nexit 5\n";
    let remote = Remote::of(&[]);
    let marks = remote.path();
    let mark = |role: &str| marks.join(role).display().to_string();
    let role = |name: &str, needed: &str, more: &str| {
        let needs = if needed.is_empty() {
            String::new()
        } else {
            mark(needed)
        };
        format!(
            "[workspace.metadata.ansar.role.{name}]\nprogram = \"./serve\"\nargs = [\"{}\", \"{needs}\"]\n\
             ready = {{ log = \"up\" }}\n{more}\n",
            mark(name)
        )
    };
    let test = format!(
        "[workspace.metadata.ansar.role.test-web]\nprogram = \"test\"\nargs = [\"-e\", \"{}\"]\n",
        mark("web-0")
    );
    remote.manifest(
        &[
            role("db-0", "", "shard = 2"),
            role("api-0", "db-0", "after = [\"db-0\"]\nshard = 3"),
            role("web-0", "api-0", "after = [\"api-0\"]"),
            test,
        ]
        .concat(),
    );
    let path = remote.write("serve", serve);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let divided = remote.local(["--shards=3", "-v"]).run();
    divided
        .success()
        .stdout_is("role \"test-web\" (pass/fail): 1/0\n");
    remote.nothing_is_left();
    // The number means nothing on one machine.
    remote.test([]).run().success();
    let few = remote.local(["--shards=2"]).run();
    few.code(96).stderr_has(
        "error: role `api-0` runs in shard 3, and there are only 2\n\
         hint: divide the run with `--shards 3`\n",
    );
}

#[test]
fn a_role_that_fails_alone_in_its_shard_ends_the_run() {
    let remote = Remote::of(&[
        r#"db-0 = { program = "sh", args = ["-c", "exit 3"], ready = { log = "up" }, shard = 2 }"#,
        r#"api-0 = { program = "sleep", args = ["600"], after = ["db-0"] }"#,
        r#"test-true = { program = "true", shard = 1 }"#,
    ]);
    let failed = remote.local(["--shards=2"]).run();
    let reason = "db-0: exited with 3 before it was ready";
    failed.code(100).stdout_has(reason);
    remote.nothing_is_left();
}

#[test]
fn roles_that_run_after_each_other_are_in_one_shard() {
    let locks = |nth: usize| {
        format!(r#"test-lock-{nth} = {{ program = "true", exclusive = ["x"], shard = {nth} }}"#)
    };
    let (one, two) = (locks(1), locks(2));
    let remote = Remote::of(&[&one, &two]);
    let apart = remote.local(["--shards=2"]).run();
    apart.code(96).stderr_has(
        "error: role `test-lock-2` cannot run on other machines: `test-lock-1` must be in the same \
         shard: they run after each other\n",
    );
    remote.nothing_is_left();
}

#[test]
fn settings_name_the_home_of_the_node() {
    let mark = r#"deserts-0 = { executable = "deserts", settings = { mark = "{tmp}/mark" } }"#;
    // `{home}` is that of the agent, and so is the path in the settings.
    let look = r#"test-look = { program = "grep", args = ["-q", "{home}/tmp/deserts-0/mark", "{home}/settings/deserts-0.json"] }"#;
    let remote = Remote::of(&[mark, look]);
    remote.local(["--shards=1"]).run().success();
    remote.test([]).run().success();
}

#[test]
fn materials_and_named_files_are_sent() {
    let words = r#"test-words = { program = "scripts/look.sh", watch = ["data/**/*.txt"], env-file = "vars" }"#;
    let remote = Remote::of(&[SERVER, CLIENT, words]);
    let script = "#!/bin/sh\nset -e\ngrep -q hello data/deep/a.txt\n[ \"$NAME\" = value ]\ncase $PWD in */run-*/work) ;; *) exit 9 ;; esac\n";
    let script = remote.write("scripts/look.sh", script);
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    remote.write("data/deep/a.txt", "hello");
    remote.write("vars", "NAME=value\n");
    remote.local(["--shards=3"]).run().success();
}

#[test]
fn tests_that_exclude_each_other_share_a_shard() {
    let locks = |nth: usize| {
        format!(
            r#"test-lock-{nth} = {{ program = "sh", args = ["-c", "mkdir $DIR && sleep 0.1 && rmdir $DIR"], env = {{ DIR = "{{tmp}}/../../../../exclusive" }}, exclusive = ["x"] }}"#
        )
    };
    let roles: Vec<String> = (0..6).map(locks).collect();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let remote = Remote::of(&roles);
    remote.local(["--shards=3"]).run().success();
}

#[test]
fn jobs_are_counted_in_each_shard() {
    let roles: Vec<String> = (0..6)
        .map(|nth| format!("test-part-{nth} = {{ executable = \"prints\" }}"))
        .collect();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let remote = Remote::of(&roles);
    let output = remote.local(["-j", "1", "--format=json"]).run();
    // In each shard, a role starts when the one before it has ended.
    let mut most = 0;
    let mut running = 0_usize;
    for line in output.success().stdout.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        match event["event"].as_str() {
            Some("started") => running += 1,
            Some("ended") => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    assert!(most <= 2, "{most} roles ran at once");
}

#[test]
fn an_interrupt_stops_the_roles_of_all_shards() {
    let more = r#"test-sleep-b = { program = "sleep", args = ["600"] }"#;
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let remote = Remote::of(&[SLEEPS, more]);
        let running = remote.local(["-v"]).start();
        running.wait_for("Started test-sleep");
        running.signal(signal);
        running.wait().code(code);
        remote.nothing_is_left();
    }
}

#[test]
fn a_second_interrupt_kills() {
    let stubborn = r#"test-stubborn = { executable = "stubborn", stop = { grace = "300s" } }"#;
    let remote = Remote::of(&[stubborn]);
    let running = remote.local(["--debug-level=CONSOLE", "-v"]).start();
    running.wait_for("Ignoring every signal");
    running.signal(Signal::SIGINT);
    running.wait_for("Stopping");
    running.signal(Signal::SIGINT);
    running.wait().code(130);
    remote.nothing_is_left();
}

#[test]
fn a_command_of_the_user_places_agents() {
    let remote = Remote::of(&[SERVER, CLIENT]);
    remote.describe_driver("command]\ncommand = [\"env\", \"NODE=n{shard}\"]\nshards = 3");
    let output = remote.on("command", []).run();
    output.success().stdout_is(PASSED);
    output.stderr_has("on command\n");
    remote.nothing_is_left();
}

#[test]
fn only_the_user_reads_the_files_of_agents() {
    let remote = Remote::of(&[CLIENT, SERVER]);
    let scratch = remote.path().join("private");
    let run = remote.local([]).env("ANSAR_SCRATCH", &scratch).run();
    run.success();
    for folder in [scratch.clone(), scratch.join("store")] {
        let mode = fs::metadata(&folder).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700, "{}", folder.display());
    }
    let mode =
        fs::metadata(scratch.join("store")).and_then(|_| fs::read_dir(scratch.join("store")));
    for file in mode.expect("it is read").flatten() {
        let mode = file.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", file.path());
    }
    assert!(super::runs(&scratch).is_empty());
}
