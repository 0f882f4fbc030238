//! The messages about roles that cannot be started, or do not become ready.

use std::net::TcpListener;

use tests::executable;

use super::package::{line_of, workspace};
use super::scratch::Scratch;

/// A test role, which runs once the roles are ready.
const TEST: &str = "\n[test-a]\nprogram = \"true\"\n";

/// Asserts that `test` prints one line about the role `a-0`. In `expected`, `*`
/// stands for any text.
#[track_caller]
fn fails_with(scratch: &Scratch, expected: &str) {
    let output = scratch.runs("test");
    output.code(100);
    let place = format!(
        "{}/Cargo.toml:{} - a-0: ",
        scratch.path().display(),
        line_of(scratch, "a-0")
    );
    let mut lines = output.stdout.lines();
    let line = lines.find_map(|line| line.strip_prefix(&place));
    let text = line.unwrap_or_else(|| panic!("no line begins with {place}: {}", output.stdout));
    assert!(matches(text, expected), "{text}\nis not\n{expected}");
    scratch.becomes_still();
}

/// Returns true if a text consists of the parts of a pattern between `*`, in
/// order, and of anything between them.
fn matches(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn each_probe_tells_its_last_answer() {
    for (role, expected) in [
        (
            "program = \"sh\"\nargs = [\"-c\", \"echo one; echo 'FATAL: wrong ownership'; exec sleep 600\"]\n\
             ready = { log = \"ready to accept connections\" }",
            "not ready after 1s: no log line matched `ready to accept connections`; 2 lines, \
             last: FATAL: wrong ownership",
        ),
        (
            "program = \"serves\"\nargs = [\"{address}\", \"--status\", \"busy\"]\n\
             ready = { http = \"http://{address}/health\" }",
            "not ready after 1s: GET http://127.0.0.1:*/health: 503 (* times)*",
        ),
        (
            "program = \"serves\"\nargs = [\"{bind}:0\"]\nenv = { PORT = \"{port}\" }",
            "not ready after 1s: listens on 127.0.0.1:*, expected 127.0.0.1:*; pass the port, \
             for example `env = { PORT = \"{port}\" }`",
        ),
        (
            "program = \"sleep\"\nargs = [\"600\"]\n\
             ready = { command = [\"echo\", \"-n\", \"LOADING Redis is loading\"], says = \"PONG\" }",
            "not ready after 1s: `echo … LOADING Redis is loading` printed \
             \"LOADING Redis is loading\", expected `PONG`",
        ),
        (
            "program = \"sh\"\nargs = [\"-c\", \"echo 'FATAL: could not create any TCP/IP sockets'; exit 1\"]\n\
             ready = \"notify\"",
            "exited with 1 before it was ready: FATAL: could not create any TCP/IP sockets",
        ),
    ] {
        let roles = format!("{TEST}\n[a-0]\n{role}\nready-timeout = \"1s\"\n");
        let scratch = Scratch::new(&roles);
        scratch.write("busy", "503");
        fails_with(&scratch, expected);
    }
}

#[test]
fn a_stranger_on_the_port_is_named_in_the_verdict() {
    let role = "program = \"sleep\"\nargs = [\"600\"]\nenv = { PORT = \"{port}\" }\n\
                hold = false\nready = \"listen\"\nready-timeout = \"1s\"";
    let scratch = Scratch::of(&format!("{TEST}\n[a-0]\n{role}\n"));
    let address = format!("127.0.0.1:{}", scratch.port("a-0"));
    // A deploy would choose another port.
    let manifest = scratch.read("Cargo.toml");
    let fixed = format!("hold = false\nports = {{ port = {} }}", scratch.port("a-0"));
    scratch.write("Cargo.toml", &manifest.replace("hold = false", &fixed));
    let _stranger = TcpListener::bind(&address).expect("it is free");
    let pid = std::process::id();
    fails_with(
        &scratch,
        &format!("not ready after 1s: {address} belongs to another process, * <{pid}>"),
    );
}

#[test]
fn a_missing_command_is_named_before_anything_starts() {
    let scratch = Scratch::new(&format!(
        "{TEST}\n[a-0]\nprogram = \"/bin/sh\"\nsetup = [[\"no-such-initdb\"]]\n"
    ));
    let output = scratch.runs("test");
    let line = line_of(&scratch, "a-0");
    output.code(103).stdout_is("").stderr_has(&format!(
        "error: role `a-0` ({}/Cargo.toml:{line}): program `no-such-initdb` not found, needed by \
         its setup\nhint: install it or add it to PATH (looked beside /bin/sh and on PATH)\n",
        scratch.path().display()
    ));
    assert!(!output.stderr.contains("Testing"), "{}", output.stderr);
}

#[test]
fn a_server_that_refuses_root_is_named_before_it_starts() {
    let roles = "\n[workspace.metadata.ansar.role.a-0]\nprogram = \"./postgres\"\n";
    let sandbox = workspace(roles, &[("postgres", "touch ran")]);
    let ansar = executable("cargo-ansar");
    let words = ["--user", "--map-root-user"];
    let start = sandbox.program("unshare").args(words).arg(ansar);
    let start = start.args(["ansar", "start"]).run();
    start.code(103).stdout_is("").stderr_has(&format!(
        "error: role `a-0` ({}/Cargo.toml:{}): `postgres` refuses to run as root\n\
         hint: set `unprivileged = true`, or run as another user\n",
        sandbox.path().display(),
        line_of(&sandbox, "a-0")
    ));
    assert!(!sandbox.path().join("ran").exists(), "it ran");
    sandbox.is_still();
}
