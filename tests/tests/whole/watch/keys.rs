//! `cargo ansar watch` in a terminal: its keys, and the terminal's modes.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc::O_NOCTTY;
use nix::sys::signal::kill;
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use tests::{Program, Running, Signal, children_of, eventually, executable};

use crate::test::{CLIENT, CLIENT_RS, Group, SERVER, ZOMBIE};
use crate::watch::process;

const WATCHING: &str = "    Watching ";
const KEYS: &str = "        Keys enter re-runs";

/// A script of a shell with job control, in a terminal of its own: text written
/// to it is typed, and stdout has the terminal's output. `$WATCH` is the
/// command, and `modes` prints the modes of the terminal.
fn in_a_terminal<'g>(group: &'g Group, script: &str) -> Program<'g> {
    let modes = r#"modes() { echo "$1 $(stty -g)."; }"#;
    group.write("script.sh", &format!("set -m\n{modes}\n{script}\n"));
    let watch = format!(
        "{} ansar watch --color never",
        executable("cargo-ansar").display()
    );
    let terminal = group.terminal("bash script.sh");
    terminal.env("WATCH", watch).open_stdin()
}

/// Starts `watch` in the foreground of a terminal, and waits until it watches.
fn watching(group: &Group) -> Running<'_> {
    let script = "modes before\n$WATCH; echo \"code $?\"\nmodes after";
    let mut terminal = in_a_terminal(group, script).start();
    terminal.wait_for_next_on_stdout("before ");
    terminal.wait_for_next_on_stdout(WATCHING);
    terminal.wait_for_next_on_stdout(KEYS);
    terminal
}

/// Waits for the end of the script; asserts that the command exited with `code`
/// and restored the terminal.
#[track_caller]
fn ended(mut terminal: Running<'_>, code: u8) -> tests::Output {
    terminal.wait_for_next_on_stdout(&format!("code {code}"));
    terminal.wait_for_next_on_stdout("after ");
    terminal.close_stdin();
    let output = terminal.wait();
    let modes = |when: &str| {
        let mut lines = output.stdout.lines();
        let line = lines.find_map(|line| line.split_once(when).map(|(_, modes)| modes));
        line.map(|line| line.trim().to_owned())
            .filter(|it| it.ends_with('.'))
    };
    output.check(modes("before ").is_some(), || "no modes".to_owned());
    output.check(modes("before ") == modes("after "), || {
        format!("the terminal is {:?}", modes("after "))
    });
    output
}

/// Returns the guardian of `watch`.
#[track_caller]
fn guardian(group: &Group) -> Pid {
    let command = format!("{} ansar watch", executable("cargo-ansar").display());
    let found = eventually(|| {
        let processes = group.processes().into_iter();
        let mut ours = processes.filter(|(_, line)| line.starts_with(&command));
        ours.next().map(|(pid, _)| pid)
    });
    Pid::from_raw(found.expect("it runs"))
}

/// Returns the engine of `watch`.
#[track_caller]
fn engine(group: &Group) -> Pid {
    let guardian = guardian(group).as_raw();
    let engine = eventually(|| children_of(guardian.unsigned_abs()).first().copied());
    Pid::from_raw(engine.expect("it runs"))
}

/// Returns true if the terminal of a process delivers keys singly, without
/// echo.
fn gives_keys(process: Pid) -> bool {
    let path = format!("/proc/{process}/fd/0");
    let terminal = File::options().read(true).custom_flags(O_NOCTTY).open(path);
    let modes = tcgetattr(terminal.expect("it is a terminal")).expect("it is a terminal");
    !modes
        .local_flags
        .intersects(LocalFlags::ICANON | LocalFlags::ECHO)
}

/// Returns the state of a process from `/proc`.
fn state(process: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[track_caller]
fn eventually_still(group: &Group) {
    let still = eventually(|| group.processes().is_empty().then_some(()));
    assert!(still.is_some(), "left behind: {:?}", group.processes());
}

const SECOND: &str = r#"test-second = { executable = "noop" }"#;
const PASSES: &str = r#"test-passes = { executable = "prints" }"#;

#[test]
fn every_key_has_its_documented_effect() {
    let group = Group::of(&[SERVER, ZOMBIE, CLIENT, PASSES]);
    let mut terminal = watching(&group);
    assert!(gives_keys(guardian(&group)));

    terminal.write("\n");
    terminal.wait_for_next_on_stdout("     Testing 2 roles");
    terminal.wait_for_next_on_stdout("      Passed 4 checks");
    terminal.wait_for_next_on_stdout(WATCHING);
    terminal.write("\x1b[Ax");
    terminal.wait_for_next_on_stdout(KEYS);

    // Only the failed tests until they pass, and then all.
    group.edit(CLIENT_RS, "b\"eager\")", "b\"keen\")");
    terminal.wait_for_next_on_stdout("      Failed 1 of 4 checks");
    terminal.wait_for_next_on_stdout(WATCHING);
    terminal.write("f");
    terminal.wait_for_next_on_stdout("     Testing 1 role ");
    terminal.wait_for_next_on_stdout("      Failed 1 of 3 checks");
    terminal.wait_for_next_on_stdout(WATCHING);
    terminal.write("a");
    terminal.wait_for_next_on_stdout("     Testing 2 roles");
    terminal.wait_for_next_on_stdout("      Failed 1 of 4 checks");
    terminal.wait_for_next_on_stdout(WATCHING);
    terminal.write("f");
    terminal.wait_for_next_on_stdout("      Failed 1 of 3 checks");
    terminal.wait_for_next_on_stdout(WATCHING);
    group.edit(CLIENT_RS, "b\"keen\")", "b\"eager\")");
    terminal.wait_for_next_on_stdout("     Testing 1 role ");
    terminal.wait_for_next_on_stdout("      Passed 3 checks");
    terminal.wait_for_next_on_stdout("     Testing 2 roles");
    terminal.wait_for_next_on_stdout("      Passed 4 checks");
    terminal.wait_for_next_on_stdout(WATCHING);

    let roles = ["server-0", "zombie-0"];
    let before = roles.map(|role| process(&group, role));
    terminal.write("r");
    terminal.wait_for_next_on_stdout("    Stopping server-0, zombie-0");
    terminal.wait_for_next_on_stdout("    Restored server-0, zombie-0");
    terminal.wait_for_next_on_stdout(WATCHING);
    let after = roles.map(|role| process(&group, role));
    assert!(before[0] != after[0] && before[1] != after[1]);

    terminal.write("l");
    terminal.wait_for_next_on_stdout("         Log of all roles, the last ");
    let line = terminal.wait_for_next_on_stdout("zombie-0    | 2");
    assert!(line.contains('T') && !line.contains('['), "{line}");
    terminal.write("q");
    ended(terminal, 0);
    eventually_still(&group);
}

#[test]
fn quitting_exits_with_the_last_verdict() {
    let group = Group::of(&[SECOND]);
    let mut terminal = in_a_terminal(
        &group,
        "modes before\n$WATCH; echo \"code $?\"\nmodes after",
    )
    .start();
    terminal.wait_for_next_on_stdout("      Failed 1 role without a report");
    terminal.wait_for_next_on_stdout(KEYS);
    terminal.write("q");
    ended(terminal, 100);
}

#[test]
fn quitting_during_a_run_has_no_verdict() {
    let group = Group::of(&[ZOMBIE, r#"test-zombie = { executable = "zombie" }"#]);
    let mut terminal = in_a_terminal(
        &group,
        "modes before\n$WATCH -v; echo \"code $?\"\nmodes after",
    )
    .start();
    terminal.wait_for_next_on_stdout("     Started test-zombie");
    terminal.write("q");
    terminal.wait_for_next_on_stdout(" Interrupted ");
    ended(terminal, 130);
    eventually_still(&group);
}

#[test]
fn control_c_restores_the_terminal() {
    let group = Group::demo();
    let terminal = watching(&group);
    let mut terminal = terminal;
    terminal.write("\x03");
    ended(terminal, 130);
    eventually_still(&group);
}

#[test]
fn suspending_restores_the_terminal() {
    let group = Group::demo();
    let script = "modes before\n$WATCH; modes suspended\n\
                  until [ -e go ]; do sleep 0.05; done\nfg; echo \"code $?\"\nmodes after";
    let mut terminal = in_a_terminal(&group, script).start();
    terminal.wait_for_next_on_stdout(KEYS);
    let guardian = guardian(&group);
    terminal.write("\x1a");
    terminal.wait_for_next_on_stdout("suspended ");
    assert_eq!(state(guardian), Some('T'));
    assert!(!gives_keys(guardian));
    group.write("go", "");
    let again = eventually(|| gives_keys(guardian).then_some(()));
    assert!(again.is_some(), "the terminal is not taken again");
    terminal.write("\n");
    terminal.wait_for_next_on_stdout("      Passed 3 checks");
    terminal.wait_for_next_on_stdout(WATCHING);
    terminal.write("q");
    let output = ended(terminal, 0);
    let modes = |when: &str| {
        let mut lines = output.stdout.lines();
        lines.find_map(|line| line.split_once(when).map(|(_, modes)| modes.to_owned()))
    };
    assert_eq!(modes("before "), modes("suspended "));
}

#[test]
fn a_killed_engine_restores_the_terminal() {
    let group = Group::demo();
    let terminal = watching(&group);
    kill(engine(&group), Signal::SIGKILL).expect("it runs");
    ended(terminal, 137);
    eventually_still(&group);
}

#[test]
fn a_killed_guardian_restores_the_terminal() {
    let group = Group::demo();
    let script = "modes before\n$WATCH; echo \"code $?\"\n\
                  until [ -e go ]; do sleep 0.05; done\nmodes after";
    let mut terminal = in_a_terminal(&group, script).start();
    terminal.wait_for_next_on_stdout(KEYS);
    let (guardian, engine) = (guardian(&group), engine(&group));
    assert!(gives_keys(guardian));
    kill(guardian, Signal::SIGKILL).expect("it runs");
    let gone = eventually(|| state(engine).is_none().then_some(()));
    assert!(gone.is_some(), "the engine goes on");
    group.write("go", "");
    ended(terminal, 137);
    eventually_still(&group);
}

#[test]
fn a_background_watch_leaves_the_terminal_alone() {
    let group = Group::demo();
    let script = "stty tostop; modes before\n$WATCH &\n\
                  until [ -e go ]; do sleep 0.05; done\nfg; echo \"code $?\"\nmodes after";
    let mut terminal = in_a_terminal(&group, script).start();
    terminal.wait_for_next_on_stdout(WATCHING);
    let guardian = guardian(&group);
    assert!(!gives_keys(guardian));
    terminal.write("q");
    group.edit(CLIENT_RS, "b\"eager\")", "b\"keen\")");
    terminal.wait_for_next_on_stdout("      Failed 1 of 3 checks");
    terminal.wait_for_next_on_stdout(WATCHING);
    assert_ne!(state(guardian), Some('T'));
    group.write("go", "");
    // Text typed before is read together with the line typed now.
    let front = eventually(|| {
        let stat = std::fs::read_to_string(format!("/proc/{guardian}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        (fields[2] == fields[5]).then_some(())
    });
    assert!(front.is_some(), "it does not come to the front");
    terminal.write("\n");
    ended(terminal, 100);
    eventually_still(&group);
}

#[test]
fn a_signal_restores_the_terminal() {
    let group = Group::demo();
    let terminal = watching(&group);
    kill(guardian(&group), Signal::SIGTERM).expect("it runs");
    ended(terminal, 143);
    eventually_still(&group);
}

#[test]
fn a_terminal_closed_while_waiting() {
    let group = Group::demo();
    let terminal = watching(&group);
    terminal.signal(Signal::SIGKILL);
    eventually_still(&group);
    terminal.wait();
}

#[test]
fn a_terminal_closed_during_a_run() {
    let group = Group::of(&[ZOMBIE, r#"test-zombie = { executable = "zombie" }"#]);
    let mut terminal = in_a_terminal(&group, "$WATCH -v").start();
    terminal.wait_for_next_on_stdout("     Started test-zombie");
    terminal.signal(Signal::SIGKILL);
    eventually_still(&group);
    terminal.wait();
}

#[test]
fn redirected_output_disables_keys() {
    let group = Group::demo();
    let script = "modes before\n$WATCH 2>told; echo \"code $?\"\nmodes after";
    let mut terminal = in_a_terminal(&group, script).start();
    terminal.wait_for_next_on_stdout("role \"test-client\" (pass/fail): 3/0");
    let guardian = guardian(&group);
    assert!(!gives_keys(guardian));
    terminal.write("\x03");
    ended(terminal, 130);
    let told = group.read("told");
    assert!(!(told.contains('\x1b') || told.contains("Keys")), "{told}");
}

#[test]
fn piped_output_leaves_the_keys_to_its_reader() {
    let group = Group::demo();
    let script = "modes before\n$WATCH | cat; echo \"code ${PIPESTATUS[0]}\"\nmodes after";
    let mut terminal = in_a_terminal(&group, script).start();
    terminal.wait_for_next_on_stdout("before ");
    terminal.wait_for_next_on_stdout(WATCHING);
    let guardian = guardian(&group);
    assert!(!gives_keys(guardian));
    kill(guardian, Signal::SIGTERM).expect("it runs");
    let output = ended(terminal, 143);
    output.check(!output.stdout.contains("Keys"), || "it has keys".to_owned());
}

#[test]
fn without_a_terminal_there_are_no_keys() {
    let group = Group::demo();
    let mut watch = group.ansar(["watch"]).open_stdin().start();
    watch.wait_for_next(WATCHING);
    watch.write("q\n");
    group.edit(CLIENT_RS, "b\"eager\")", "b\"keen\")");
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    watch.signal(Signal::SIGINT);
    watch.close_stdin();
    let output = watch.wait();
    output.code(130);
    for text in ["\x1b", "Keys"] {
        output.check(
            !(output.stdout.contains(text) || output.stderr.contains(text)),
            || format!("`{text}` is told"),
        );
    }
}
