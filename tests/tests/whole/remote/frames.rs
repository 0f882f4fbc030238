//! Frames that no launcher and no agent sends: neither side panics, and nothing is
//! written outside of the scratch.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::{Sandbox, executable};

use super::super::test::{CLIENT, SERVER};
use super::Remote;

/// Number of random streams.
const STREAMS: u64 = 40;

/// Returns all files below a folder, except those of the agents.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it is read").flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|it| it.is_dir()) && entry.file_name() != "agents" {
                folders.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Passes a stream to an agent, and returns what it answers.
fn agent(sandbox: &Sandbox, stream: &[u8]) -> String {
    let agents = sandbox.path().join("agents");
    fs::create_dir_all(&agents).expect("it is made");
    let mut child = agent_command(&agents).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let stream = stream.to_vec();
    let writing = std::thread::spawn(move || {
        // It may have ended after the first bytes.
        let _ = stdin.write_all(&stream);
    });
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("it writes");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(
        output.status.code().is_some_and(|code| code < 128),
        "{output:?}"
    );
    let left: Vec<PathBuf> = super::runs(&agents);
    assert!(left.is_empty(), "{left:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[expect(clippy::disallowed_methods, reason = "an agent needs no sandbox")]
fn agent_command(agents: &Path) -> Command {
    let mut command = Command::new(executable("cargo-ansar"));
    command.arg("agent").current_dir(agents);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn lines(messages: &[Value]) -> Vec<u8> {
    let lines = messages.iter().map(|message| format!("{message}\n"));
    lines.collect::<String>().into_bytes()
}

fn join() -> Value {
    json!({"ask": "join", "version": 1, "run": "r", "shard": 0, "of": 1, "epoch": 1, "lease": 5.0})
}

fn manifest(path: &str, hash: &str, size: i64) -> Value {
    json!({"ask": "manifest", "home": "id", "files": [
        {"path": path, "hash": hash, "size": size, "mode": 0o600},
    ]})
}

#[test]
fn agents_write_nothing_outside_of_their_folder() {
    let sandbox = Sandbox::new();
    let before = files(sandbox.path().parent().expect("it is in a folder"));
    let bytes = b"content";
    let right = hash(bytes);
    let blob = |hash: &str| {
        let mut frame = lines(&[json!({"ask": "blob", "hash": hash, "size": 7, "bytes": 7})]);
        frame.extend_from_slice(bytes);
        frame
    };
    for path in [
        "../x",
        "/tmp/x",
        "home/../../x",
        "lock",
        "run-x/y",
        "store/x",
        "home",
        "x",
        "",
    ] {
        let mut stream = lines(&[join(), manifest(path, &right, 7)]);
        stream.extend(blob(&right));
        stream.extend(lines(&[json!({"ask": "bye"})]));
        let said = agent(&sandbox, &stream);
        assert!(!said.contains("placed"), "{path}: {said}");
    }
    // Another hash, a wrong size, a torn frame, and a link to follow.
    let link = json!({"ask": "manifest", "home": "id", "files": [], "links": [
        {"path": "work/out", "target": "../../../.."},
    ]});
    let through = manifest("work/out/x", &right, 7);
    for mut stream in [
        [
            lines(&[join(), manifest("work/x", &hash(b"other"), 7)]),
            blob(&hash(b"other")),
        ]
        .concat(),
        [
            lines(&[join(), manifest("work/x", &right, 6)]),
            blob(&right),
        ]
        .concat(),
        [
            lines(&[join(), manifest("work/x", &right, -1)]),
            blob(&right),
        ]
        .concat(),
        [
            lines(&[join(), manifest("work/x", &right, 1 << 40)]),
            blob(&right),
        ]
        .concat(),
        [lines(&[join(), manifest("work/x", "00", 7)]), blob(&right)].concat(),
        [lines(&[join(), link, through]), blob(&right)].concat(),
        b"{\"ask\":\"blob\",\"bytes\":99999999999}\n".to_vec(),
        b"{\"ask\":\"join\"}\n".to_vec(),
        b"not json\n".to_vec(),
        blob(&right)[..20].to_vec(),
    ] {
        agent(&sandbox, &stream);
        stream.truncate(stream.len() / 2);
        agent(&sandbox, &stream);
    }
    assert_eq!(
        files(sandbox.path().parent().expect("it is in a folder")).len(),
        before.len() + 1
    );
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed repeats the run")]
fn agents_end_after_any_stream() {
    let sandbox = Sandbox::new();
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let whole = lines(&[
        join(),
        manifest("work/x", &hash(b""), 0),
        json!({"ask": "blob", "hash": hash(b""), "size": 0}),
        json!({"ask": "start", "roles": {}}),
        json!({"ask": "test"}),
        json!({"ask": "finish"}),
        json!({"ask": "log", "role": "test-a"}),
        json!({"ask": "stop", "at_once": true}),
        json!({"ask": "bye"}),
    ]);
    let said = agent(&sandbox, &whole);
    assert!(said.contains("\"placed\""), "{said}");
    for _ in 0..STREAMS {
        let mut stream = whole.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(0..stream.len());
            stream[at] = random.u8(..);
        }
        stream.truncate(random.usize(1..=stream.len()));
        agent(&sandbox, &stream);
    }
}

/// A node whose agent answers with `lines`, in place of ours.
fn answers(remote: &Remote, lines: &str) -> tests::Output {
    let script = "printf 'have\\n'; cat answers; sleep 0.2";
    remote.write("answers", lines);
    let options = format!(
        "command]\ncommand = [\"sh\", \"-c\", {}]\nlease = \"2s\"\nshards = 1",
        json!(script)
    );
    remote.describe(&[SERVER, CLIENT]);
    remote.describe_driver(&options);
    remote.on("command", []).run()
}

#[test]
fn launchers_survive_any_answer() {
    let remote = Remote::of(&[SERVER, CLIENT]);
    let joined = r#"{"say":"joined","version":1,"host":"n1","pid":1,"home":"/tmp/none"}"#;
    let event = |seq: u64, run: &str| {
        format!(
            r#"{{"say":"event","run":"{run}","shard":0,"epoch":1,"seq":{seq},"at":"2026-11-22T10:00:00Z","event":"ready","role":"server-0"}}"#
        )
    };
    let logs = r#"{"say":"log","role":"server-0","file":"../../x","bytes":1}"#;
    for (lines, code) in [
        ("nothing\n".to_owned(), 96),
        (format!("{joined}\nnothing\n"), 100),
        (
            format!("{joined}\n{{\"say\":\"want\",\"hashes\":[\"00\"]}}\n"),
            100,
        ),
        (
            format!("{joined}\n{{\"say\":\"heartbeat\",\"bytes\":-1}}\n"),
            100,
        ),
        (
            format!("{joined}\n{}\n{}\n", event(1, "x"), event(1, "x")),
            100,
        ),
        (format!("{joined}\n{logs}\nx{{\"say\":\"done\"}}\n"), 100),
        (
            r#"{"say":"joined","version":9,"host":"n1","pid":1,"home":"/"}"#.to_owned() + "\n",
            96,
        ),
        (
            format!("{joined}\n{{\"say\":\"refused\",\"reason\":\"no space left\"}}\n"),
            100,
        ),
    ] {
        let output = answers(&remote, &lines);
        output.code(code).stderr_lacks("panicked");
        assert!(!remote.path().join("x").exists());
        remote.nothing_is_left();
    }
}
