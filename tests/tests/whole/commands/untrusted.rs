//! Terminal control characters in the output of commands.

use serde_json::Value;
use tests::Output;

use super::{with_home, with_roles};

/// Asserts that no character controls the terminal, except for colours.
#[track_caller]
fn is_safe(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let acts = |c: char| c.is_control() && c != '\n' && c != '\t';
        output.check(!text.contains(acts), || format!("expected no {text:?}"));
    }
}

/// Creates a role whose stored log has these lines.
fn logged(lines: &[&str]) -> tests::Sandbox {
    let sandbox = with_roles(&["noop"]);
    let head = "[00000100] 2023-04-06T01:02:03.004 ^ ";
    let lines: Vec<_> = lines.iter().map(|line| format!("{head}{line}\n")).collect();
    let file = ".ansar-home/logs/noop-0/2023-04-06T01-02-03.004000.log";
    sandbox.write(file, &lines.concat());
    sandbox
}

#[test]
fn a_log_has_no_control_characters() {
    let lines = [
        "title \x1b]0;mine\x07",
        "progress 10%\r20%\r",
        "c1 \u{9b}2J \u{202e}sdrawkcab",
        "\x1b[31mred",
        "größer\tplain",
    ];
    let sandbox = logged(&lines);
    let path = ".ansar-home/logs/noop-0/2023-04-06T01-02-03.004000.log";
    let raw = [
        sandbox.read(path).as_bytes(),
        b"[00000100] 2023-04-06T01:02:03.004 ^ \xff\x9b2J\n",
    ]
    .concat();
    std::fs::write(sandbox.path().join(path), raw).expect("it is ours");
    let shown = [
        r"title \x1b]0;mine\x07",
        r"progress 10%\r20%",
        r"c1 \u{9b}2J \u{202e}sdrawkcab",
        "red",
        "größer\tplain",
        r"\xff\x9b2J",
    ];
    let log = ["log", "noop-0", "--from=2023-04-06"];
    let plain = sandbox.ansar(log).run();
    is_safe(plain.success());
    let texts: Vec<_> = plain
        .stdout
        .lines()
        .filter_map(|line| line.split_once(" ^ "))
        .collect();
    let texts: Vec<_> = texts.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, shown);
    // Colours pass if they are wanted, and nothing else does.
    let colored = sandbox.ansar(log).arg("--color=always").run();
    let colored = colored.success();
    colored
        .stdout_has(" ^ \x1b[31mred\x1b[0m\n")
        .stdout_has(r"title \x1b]0;mine\x07");
    // Programs read exactly the logged text.
    let json = sandbox.ansar(log).arg("--format=json").run();
    is_safe(json.success());
    let texts: Vec<String> = json
        .json_lines()
        .iter()
        .map(|line| line["text"].as_str().unwrap_or_default().to_owned())
        .collect();
    for (line, text) in lines.iter().zip(&texts) {
        assert!(text.ends_with(line), "{text:?}");
    }
}

#[test]
fn printed_json_keeps_its_meaning() {
    let sandbox = with_roles(&["noop"]);
    let value = "a\u{7f}\u{9b}2J\u{2028}\u{202e}";
    let env = serde_json::json!({"value": {"TEXT": value}}).to_string();
    sandbox
        .ansar(["set", "env", "noop-0"])
        .stdin(&env)
        .run()
        .success();
    let get = sandbox.ansar(["get", "env", "noop-0"]).run();
    is_safe(get.success());
    let read: Value = get.json();
    assert_eq!(read["value"]["TEXT"], value);
}

#[test]
fn an_error_has_no_control_characters() {
    let sandbox = with_home();
    for words in [
        &["list", "--home-path=no\x1b[2Jhome\r"][..],
        &["list", "\x1b]52;c;ZXZpbA==\x07"],
        &["deploy", "no\u{9b}2Jfolder"],
        &["--no-such\x1b[2Jflag"],
        &["test", "-j", "\x1b[2J"],
        &["with", "--", "./no\x1b[2Jprogram"],
    ] {
        let output = sandbox.ansar(words).run();
        output.check(!output.stderr.is_empty(), || "expected an error".to_owned());
        is_safe(&output);
    }
}
