//! Checks and logs with text that controls terminals or test runners.

use tests::Output;

use super::Group;

const HOSTILE: &str = r#"test-talks = { executable = "talks", input = "hostile" }"#;

/// Asserts that no character controls the terminal, except for our colours.
#[track_caller]
fn is_safe(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let own = [
            "\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m",
        ];
        let text = own
            .iter()
            .fold(text.clone(), |text, own| text.replace(own, ""));
        // Line ends of a terminal.
        let text = text.replace("\r\n", "\n");
        let acts = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        output.check(!text.contains(acts), || format!("expected no {text:?}"));
    }
}

#[test]
fn a_failed_check_has_no_control_characters() {
    let group = Group::of(&[HOSTILE]);
    let test = group.test(["--debug-level=CONSOLE"]).run();
    is_safe(test.code(100));
    let shown = r" - answer \x1b]52;c;ZXZpbA==\x07\r\u{202e}";
    test.stdout_has(shown);
    assert_eq!(test.stdout.lines().count(), 2, "{}", test.stdout);
    test.stderr_has(r"\x1b[2Jred\rover\u{9b}2J");

    let report = group.ansar(["report", "--context"]).run();
    is_safe(report.success());
    report.stdout_has(shown);
    let rustc = group.test(["--message-format", "rustc"]).run();
    is_safe(rustc.code(100));
    rustc.stdout_has(r"answer \x1b]52;c;ZXZpbA==\x07\r\u{202e}");
    let ansar = tests::executable("cargo-ansar").display().to_string();
    for words in [
        "report --context",
        "log test-talks",
        "test --progress never --debug-level=DEBUG",
    ] {
        let shown = group
            .terminal(&format!("'{ansar}' ansar {words} || :"))
            .run();
        is_safe(shown.success());
        shown.stdout_has(r"\x1b]52;c;ZXZpbA==\x07");
    }
}

#[test]
fn output_of_roles_has_no_runner_commands() {
    let group = Group::of(&[HOSTILE]);
    let github = |words: &[&str]| group.ansar(words).env("GITHUB_ACTIONS", "true").run();
    let commands = |output: &Output| {
        let lines = output.stdout.lines().chain(output.stderr.lines());
        let lines = lines.map(str::trim_start);
        let commands = lines.filter(|line| line.starts_with("::") || line.contains("##["));
        commands.map(str::to_owned).collect::<Vec<_>>()
    };
    let test = github(&["test", "--debug-level=DEBUG"]);
    let found = commands(test.code(100));
    assert_eq!(found.len(), 1, "{found:?}");
    let annotation = ",title=test-talks::answer \\x1b]52;c;ZXZpbA==\\x07%0D\\u{202e}%0A\
                      ::stop-commands::x%0A  ::add-mask::y";
    assert!(
        found[0].starts_with("::error file=") && found[0].ends_with(annotation),
        "{found:?}"
    );
    for words in [
        &["report", "--context"][..],
        &["log", "test-talks"],
        &["log", "test-talks", "--format=json"],
    ] {
        let output = github(words);
        let found = commands(output.success());
        assert!(found.is_empty(), "{words:?}: {found:?}");
    }
}
