//! The command line in general: help, suggestions, versions, positions of
//! flags.

use snapbox::data::DataFormat;
use snapbox::{Assert, Data};
use tests::{Sandbox, repository};

use super::with_roles;

/// Folder with the help text of every command, relative to the repository.
const TEXTS: &str = "tests/tests/whole/commands/help";

pub(super) const COMMANDS: [&str; 37] = [
    "init",
    "build",
    "test",
    "watch",
    "check",
    "report",
    "with",
    "create",
    "destroy",
    "deploy",
    "snapshot",
    "why",
    "add",
    "list",
    "update",
    "delete",
    "settings",
    "input",
    "config",
    "doctor",
    "get",
    "set",
    "edit",
    "run",
    "start",
    "stop",
    "restart",
    "status",
    "ui",
    "history",
    "returned",
    "log",
    "folder",
    "address",
    "completions",
    "man",
    "help",
];

/// Asserts that a help text is that in its file, apart from the table of
/// properties, which the reference has. `SNAPSHOTS=overwrite` writes the file.
#[track_caller]
fn is_whole(command: &str, text: &str) {
    let table = text.find("\nProperties:\n");
    let text = &text[..table.unwrap_or(text.len())];
    let file = repository().join(TEXTS).join(format!("{command}.txt"));
    let expected = Data::read_from(&file, Some(DataFormat::Text));
    Assert::new().action_env("SNAPSHOTS").eq(text, expected);
}

#[test]
fn every_command_has_help() {
    let sandbox = Sandbox::new();
    let all = sandbox.ansar(["--help"]).run();
    all.success()
        .stdout_has("Usage: cargo ansar [OPTIONS] <COMMAND>");
    is_whole("cargo-ansar", &all.stdout);
    for command in COMMANDS {
        all.stdout_has(&format!("\n  {command} "));
        if command == "help" {
            continue;
        }
        let help = sandbox.ansar(["help", command]).run();
        help.success()
            .stdout_has(&format!("Usage: cargo ansar {command} "));
        let flag = sandbox.ansar([command, "--help"]).run();
        flag.success().stdout_is(&help.stdout);
        is_whole(command, &help.stdout);
        // One line each, and the command's own flags before the general ones.
        let (own, general) = help.stdout.split_once("\nGeneral:\n").unwrap_or_default();
        help.check(
            own.contains("--help") && general.contains("--home-path"),
            || "expected general flags at the end".to_owned(),
        );
        help.check(
            general.contains("--manifest-path <PATH>  The manifest"),
            || "expected the short layout".to_owned(),
        );
    }
    let full = sandbox.ansar(["--help"]).redirected(">/dev/full").run();
    full.code(110);
    let nothing = sandbox.ansar::<&str>([]).run();
    nothing.code(2).stderr_has("Usage: cargo ansar");
}

#[test]
fn the_version_is_printed() {
    let version = Sandbox::new().ansar(["--version"]).run();
    version
        .success()
        .stdout_is(concat!("cargo ansar ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_mistyped_word_gets_a_suggestion() {
    let sandbox = Sandbox::new();
    for (line, tip) in [
        (&["tset"][..], "'test'"),
        (&["test", "--relase"], "'--release'"),
        (&["run", "--code-pth=."], "'--code-path'"),
        (&["--debug-levl=NONE", "list"], "'--debug-level'"),
        (&["set", "rety"], "'retry'"),
        (&["list", "--color=alway"], "'always'"),
    ] {
        let wrong = sandbox.ansar(line).run();
        wrong
            .code(2)
            .stdout_is("")
            .stderr_has("tip: ")
            .stderr_has(tip);
    }
    let setting = sandbox.ansar(["run", "--seconds=1"]).run();
    setting.code(2).stderr_has(
        "error: `--seconds` is not a flag; write a setting as `-- --seconds=VALUE`, \
         after the other arguments\n",
    );
    let level = sandbox.ansar(["list", "--debug-level=LOUD"]).run();
    level.code(2).stderr_has("LOUD").stderr_has("CONSOLE");
}

#[test]
fn general_flags_stand_before_and_after_the_command() {
    let sandbox = with_roles(&["noop"]);
    let home = sandbox.path().join(".ansar-home");
    let home = home.to_str().expect("the path is plain");
    for line in [
        &["--home-path", home, "-q", "list"][..],
        &["list", "-q", "--home-path", home],
        &[
            "-q",
            "list",
            "--color=never",
            &format!("--home-path={home}"),
        ],
        &["--color", "never", "list", "noop-0"],
    ] {
        let list = sandbox.ansar(line).in_dir("/").run();
        if line.contains(&"noop-0") {
            list.code(96);
        } else {
            list.success().stdout_is("noop-0\n");
        }
    }
    for level in [
        ["--debug-level", "CONSOLE", "run"],
        ["run", "--debug-level", "CONSOLE"],
    ] {
        let run = sandbox.ansar(level).run();
        run.success().stderr_has("Log this and exit");
    }
    let settings = [
        "--home-path",
        home,
        "--color",
        "never",
        "add",
        "snooze",
        "--seconds=3.5",
    ];
    sandbox.ansar(settings).in_dir("/").run().success();
    assert!(
        sandbox
            .read(".ansar-home/settings/snooze-0.json")
            .contains("3.5")
    );
}

#[test]
fn quiet_and_colour() {
    let sandbox = with_roles(&["noop"]);
    let quiet = sandbox.ansar(["run", "-q"]).run();
    quiet
        .success()
        .check(quiet.stderr.is_empty(), || "expected silence".to_owned());
    sandbox.ansar(["run", "-q", "-v"]).run().code(2);
    sandbox
        .ansar(["run", "-q", "none"])
        .run()
        .code(2)
        .stderr_has("error: no role");
    let verbose = sandbox.ansar(["run", "-v"]).run();
    verbose
        .success()
        .stderr_has("Started noop-0 (noop, process ")
        .stderr_has("Ended noop-0");
    let colour = sandbox.ansar(["run", "--color=always"]).run();
    colour
        .success()
        .stderr_has("\u{1b}[")
        .check(!colour.stdout.contains('\u{1b}'), || {
            "expected plain data".to_owned()
        });
    sandbox
        .ansar(["run"])
        .run()
        .success()
        .stderr_lacks("\u{1b}[");
}
