//! Shell completions and the manual page.

use tests::Sandbox;

use super::help::COMMANDS;
use super::tree;

/// Returns the completions of a line by bash, one per line.
#[track_caller]
fn completed(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let script = r#"
        _cargo() { COMPREPLY=(by-cargo-itself); }
        source completions
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        function=$(complete -p "$1") function=${function#*-F } function=${function%% *}
        "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let bash = sandbox
        .program("bash")
        .args(["--norc", "-c", script, "bash"]);
    let output = bash.args(words).run();
    let lines = output.success().stdout.lines();
    lines.map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_flags_also_through_cargo() {
    let sandbox = Sandbox::new();
    let script = sandbox.ansar(["completions", "bash"]).run();
    sandbox.write("completions", &script.success().stdout);
    for program in [&["cargo-ansar"][..], &["cargo", "ansar"]] {
        let line = |words: &[&str]| completed(&sandbox, &[program, words].concat());
        assert_eq!(line(&["cr"]), ["create"]);
        assert_eq!(line(&["create", "--redirect-mo"]), ["--redirect-model"]);
        let all = line(&[""]);
        for command in COMMANDS {
            assert!(all.iter().any(|word| word == command), "{command}");
        }
        let properties = line(&["get", "re"]);
        assert_eq!(properties, ["retry", "restart", "ready", "ready-timeout"]);
        assert_eq!(line(&["completions", "z"]), ["zsh"]);
    }
    let other = completed(&sandbox, &["cargo", "bui"]);
    assert_eq!(other, ["by-cargo-itself"]);
}

#[test]
fn each_shell_has_a_script_with_every_command() {
    let sandbox = Sandbox::new();
    for (shell, name) in [
        ("bash", "_cargo_ansar() {"),
        ("zsh", "#compdef cargo-ansar"),
        ("fish", "complete -c cargo-ansar"),
    ] {
        let script = sandbox.ansar(["completions", shell]).run();
        script.success().stdout_has(name);
        assert!(script.stderr.is_empty());
        for command in COMMANDS {
            script.stdout_has(command);
        }
    }
    let other = sandbox.ansar(["completions", "csh"]).run();
    other.code(2).stderr_has("'csh'");
    let full = sandbox.ansar(["completions", "fish"]);
    full.redirected(">/dev/full").run().code(110);
}

#[test]
fn each_command_has_a_manual_page() {
    let sandbox = Sandbox::new();
    let man = sandbox.ansar(["man", "--dir", "pages/man1"]).run();
    man.success()
        .stdout_is("")
        .stderr_has("Wrote 37 manual pages to `");
    let mut expected: Vec<_> = COMMANDS
        .iter()
        .filter(|command| **command != "help")
        .map(|command| format!("pages/man1/cargo-ansar-{command}.1"))
        .collect();
    expected.push("pages/man1/cargo-ansar.1".to_owned());
    expected.sort();
    assert_eq!(tree(&sandbox, "pages/man1"), expected);
    let page = sandbox.read("pages/man1/cargo-ansar-add.1");
    assert!(page.contains(".TH cargo-ansar-add 1"), "{page}");
    assert!(page.contains("cargo ansar add"), "{page}");
    let whole = sandbox.read("pages/man1/cargo-ansar.1");
    assert!(whole.contains("cargo\\-ansar\\-update(1)"), "{whole}");
    sandbox.ansar(["man"]).run().code(2).stderr_has("--dir");
}
