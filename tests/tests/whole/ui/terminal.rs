//! `cargo ansar ui` in a terminal: its keys, its screen, and what remains of it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Screen, Signal, Workspace, children_of, eventually, executable};

use crate::ui::deployed;

/// Starts the interface.
#[track_caller]
fn started(workspace: &Workspace, size: (u16, u16)) -> Screen<'_> {
    started_by(workspace, &["ui"], size)
}

/// Starts the interface with a command.
#[track_caller]
fn started_by<'w>(workspace: &'w Workspace, words: &[&str], size: (u16, u16)) -> Screen<'w> {
    let ansar = executable("cargo-ansar");
    Screen::start(
        |script| {
            let shell = workspace.shell(script).arg(ansar).arg("ansar").args(words);
            shell.env("VISUAL", "./editor.sh").env("TZ", "UTC")
        },
        size,
    )
}

/// Starts the interface, and waits until it shows the roles.
#[track_caller]
fn shown(workspace: &Workspace, size: (u16, u16)) -> Screen<'_> {
    let screen = started(workspace, size);
    screen.wait_for("clock-0");
    screen
}

/// Returns the process id of the selected role, from its details.
#[track_caller]
fn selected_process(screen: &Screen<'_>) -> u32 {
    let pid = eventually(|| {
        let text = screen.text();
        let (_, rest) = text.split_once("· process ")?;
        rest.split([' ', '\n']).next()?.parse().ok()
    });
    pid.unwrap_or_else(|| panic!("no process on the screen:\n{}", screen.text()))
}

/// Returns the processes of the interface: the keeper, and the one that draws.
fn interface(workspace: &Workspace) -> Option<(i32, i32)> {
    interface_by(workspace, "ui")
}

/// Returns the processes of the interface of a command.
fn interface_by(workspace: &Workspace, words: &str) -> Option<(i32, i32)> {
    let name = format!("{} ansar {words} ", executable("cargo-ansar").display());
    let processes = workspace.processes().into_iter();
    let ours = processes.filter(|(_, command)| *command == name);
    let ours: Vec<i32> = ours.map(|(pid, _)| pid).collect();
    ours.iter().find_map(|keeper| {
        let children = children_of(keeper.unsigned_abs());
        let draws = children.into_iter().find(|child| ours.contains(child))?;
        Some((*keeper, draws))
    })
}

#[test]
fn keys_start_restart_and_stop_a_role() {
    let workspace = deployed();
    let mut screen = shown(&workspace, (200, 60));
    screen.wait_for("○ clock-0");
    screen.types("s");
    // What a command prints last stands in the last row.
    screen.wait_for(" start clock-0: ");
    screen.wait_for("● clock-0");
    let first = selected_process(&screen);
    screen.types("r");
    screen.wait_for(" restart clock-0: ");
    screen.wait_for("● clock-0");
    let is_new = || (selected_process(&screen) != first).then_some(());
    assert!(eventually(is_new).is_some(), "{}", screen.text());
    screen.types("x");
    screen.wait_for("○ clock-0");
    screen.wait_for(" stop clock-0: ");
    screen.types("q");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn the_last_of_several_keys_counts() {
    let workspace = deployed();
    let mut screen = shown(&workspace, (200, 60));
    screen.wait_for("○ clock-0");
    screen.types("srx");
    screen.wait_for(" stop clock-0: ");
    screen.wait_for("○ clock-0");
    screen.types("xrs");
    screen.wait_for(" start clock-0: ");
    screen.wait_for("● clock-0");
    screen.types("q");
    assert_eq!(screen.wait(), 0);
    workspace.ansar(["stop", "clock-0"]).run().success();
}

#[test]
fn watch_runs_below_the_interface() {
    let workspace = deployed();
    let mut screen = started_by(&workspace, &["watch", "--ui"], (120, 30));
    screen.wait_for("exited with 3");
    screen.wait_for("▸ watch ");
    workspace.edit("Cargo.toml", "exit 3", "exit 4");
    screen.wait_for("exited with 4");
    workspace.edit("Cargo.toml", "exit 4", "test -e here");
    screen.wait_for("exited with 1");
    // What decides now is no source, so only a key runs the tests again.
    workspace.write("here", "");
    screen.wait_until("end of the loop", |text| text.contains("Watching"));
    screen.types("t");
    screen.wait_for("watch runs `test`");
    screen.wait_for("passed");
    screen.wait_until("verdict", |text| !text.contains("exited with 1"));
    screen.types("q");
    assert_eq!(screen.wait(), 0);
    let ended = eventually(|| workspace.processes().is_empty().then_some(()));
    assert!(ended.is_some(), "{:?}", workspace.processes());
}

#[test]
fn watch_ends_with_a_killed_interface() {
    let workspace = deployed();
    workspace.ansar(["start", "clock-0"]).run().success();
    let pid = || {
        workspace
            .ansar(["status", "--format", "json"])
            .run()
            .json_lines()[0]["pid"]
            .clone()
    };
    let before = pid();
    let screen = started_by(&workspace, &["watch", "--ui"], (120, 30));
    screen.wait_for("exited with 3");
    let (_, draws) = eventually(|| interface_by(&workspace, "watch --ui")).expect("it runs");
    kill(Pid::from_raw(draws), Signal::SIGKILL).expect("it runs");
    assert_eq!(screen.wait(), 128 + Signal::SIGKILL as i32);
    let is_watch = |command: &str| command.contains(" watch ") || command.contains(" --attached");
    let ended = eventually(|| {
        let left = workspace.processes();
        (!left.iter().any(|(_, command)| is_watch(command))).then_some(())
    });
    assert!(ended.is_some(), "{:?}", workspace.processes());
    assert_eq!(pid(), before);
    workspace.ansar(["stop"]).run().success();
}

#[test]
fn logs_are_filtered_and_scrolled_to_their_beginning() {
    let workspace = deployed();
    let mut screen = shown(&workspace, (200, 60));
    screen.types("jjs");
    screen.wait_for("✓ count-0");
    screen.wait_for("count-0 100000");
    screen.types("/ 7777[0-9]$\r");
    let text = screen.wait_for("count-0 77779");
    assert!(text.contains("count-0 77770"), "{text}");
    assert!(!text.contains("count-0 77780"), "{text}");
    assert!(text.contains("/ 7777[0-9]$/"), "{text}");
    screen.types("\x1b");
    screen.wait_for("count-0 100000");
    screen.types("2g");
    let text = screen.wait_for("the beginning");
    assert!(
        text.contains("count-0 1\n") || text.contains("count-0 1 "),
        "{text}"
    );
    screen.types("G");
    screen.wait_for("count-0 100000");
    screen.wait_for("following");
    // A page has more than 50 of 100,000 lines.
    screen.types(&"\x1b[5~".repeat(2_000));
    screen.wait_for("the beginning");
    screen.types("q");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn a_kill_leaves_terminal_and_roles() {
    let workspace = deployed();
    workspace.ansar(["start", "clock-0"]).run().success();
    let mut process = None;
    // Moments: at once, with the roles, in a prompt, over the keys, in the logs,
    // and while commands run.
    for keys in ["", "j", "/cl", "?", "2g", "w", "t"] {
        let mut screen = started(&workspace, (80, 24));
        if !keys.is_empty() {
            screen.wait_for("● clock-0");
            screen.types(keys);
        }
        let (_, draws) = eventually(|| interface(&workspace)).expect("it runs");
        kill(Pid::from_raw(draws), Signal::SIGKILL).expect("it runs");
        assert_eq!(screen.wait(), 128 + Signal::SIGKILL as i32, "{keys}");
        let status = workspace.ansar(["status", "--format", "json"]).run();
        let now = status.json_lines()[0]["pid"].clone();
        assert_eq!(*process.get_or_insert(now.clone()), now, "{keys}");
    }
    workspace.ansar(["stop"]).run().success();
    // A command that it had started goes on to its end.
    let ended = eventually(|| workspace.processes().is_empty().then_some(()));
    assert!(ended.is_some(), "{:?}", workspace.processes());
}

#[test]
fn without_its_keeper_it_restores_the_terminal() {
    let workspace = deployed();
    let screen = shown(&workspace, (80, 24));
    let hold = workspace.write("hold", "");
    let (keeper, draws) = eventually(|| interface(&workspace)).expect("it runs");
    kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("it runs");
    let ended = eventually(|| (kill(Pid::from_raw(draws), None).is_err()).then_some(()));
    assert!(ended.is_some(), "it ends");
    std::fs::remove_file(hold).expect("it is there");
    assert_eq!(screen.wait(), 128 + Signal::SIGKILL as i32);
}

#[test]
fn every_size_shows_something() {
    let workspace = deployed();
    let mut screen = shown(&workspace, (200, 60));
    for (columns, rows) in [(40, 15), (80, 24), (200, 60), (20, 5), (61, 17)] {
        screen.resize(columns, rows);
        screen.types("1");
        screen.wait_for("○ clock");
    }
    screen.resize(1, 1);
    screen.resize(40, 15);
    screen.types("3");
    screen.wait_for("no run yet");
    screen.types("?");
    screen.wait_for("Keys");
    screen.types("qq");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn a_failure_is_opened_in_the_editor() {
    let workspace = deployed();
    let editor = workspace.write(
        "editor.sh",
        "#!/bin/sh\necho \"$@\" > edited\nexec sleep 0.1\n",
    );
    let mode = Permissions::from_mode(0o755);
    std::fs::set_permissions(editor, mode).expect("it is there");
    let mut screen = shown(&workspace, (80, 24));
    screen.types("t");
    screen.wait_for("exited with 3");
    screen.wait_for("test · ");
    screen.types("3\r");
    let edited = eventually(|| {
        let text = std::fs::read_to_string(workspace.path().join("edited")).ok()?;
        text.ends_with('\n').then_some(text)
    });
    let edited = edited.expect("the editor runs");
    let manifest = workspace.path().join("Cargo.toml");
    let (line, file) = edited
        .trim()
        .split_once(' ')
        .expect("it has a line and a file");
    assert_eq!(std::path::Path::new(file), manifest);
    let text = workspace.read("Cargo.toml");
    let place = text
        .lines()
        .position(|line| line.contains("role.test-wrong"));
    assert_eq!(line, format!("+{}", place.expect("it is described") + 1));
    let taken = eventually(|| screen.is_taken().then_some(()));
    assert!(taken.is_some(), "the screen is taken again");
    screen.types("q");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn without_a_terminal_it_is_refused() {
    let workspace = deployed();
    workspace.ansar(["ui"]).run().code(96).stderr_has(
        "error: the terminal interface needs a terminal at stdin and stdout\n\
         hint: see the roles with `cargo ansar status`",
    );
}
