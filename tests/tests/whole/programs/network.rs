//! `network = "own"`: roles apart from the network of the system.

use std::net::TcpStream;

use tests::{Output, Sandbox, Signal, children_of, executable};

use super::scratch::Scratch;

/// A port that two homes have at the same time. Nothing of the system uses it.
const PORT: u16 = 21_877;

/// A server on that port, which every kind of probe must find, and a test of it.
fn roles() -> String {
    format!(
        r#"
[web-0]
program = "serves"
args = ["{{address}}"]
ports = {{ port = {PORT} }}
ready = [
    "listen",
    {{ tcp = "{{address}}" }},
    {{ http = "http://{{address}}/" }},
    {{ command = ["python3", "-c", "{CONNECT}", "{{port}}"], says = "connected" }},
]
health = {{ tcp = "{{address}}", every = "100ms" }}

[test-web]
program = "python3"
args = ["-c", "{CONNECT}", "{{port:web-0/port}}"]
"#
    )
}

/// Connects to a port, and says so.
const CONNECT: &str = "import socket, sys; \
                       socket.create_connection(('127.0.0.1', int(sys.argv[1]))); \
                       print('connected')";

/// Makes a workspace whose roles have a network of their own.
fn of(roles: &str) -> Scratch {
    let scratch = Scratch::new(roles);
    let manifest = scratch.read("Cargo.toml");
    let own = "[workspace.metadata.ansar]\nnetwork = \"own\"\n\n[workspace.metadata.ansar.role.";
    let manifest = manifest.replacen("[workspace.metadata.ansar.role.", own, 1);
    scratch.write("Cargo.toml", &manifest);
    scratch
}

/// Runs Python in the network of a home.
fn connects(scratch: &Scratch, words: &[&str]) -> Output {
    let port = PORT.to_string();
    let words = words
        .iter()
        .copied()
        .chain(["--", "python3", "-c", CONNECT]);
    scratch.ansar(words.chain([port.as_str()])).run()
}

#[test]
fn two_homes_use_the_same_port() {
    let (one, other) = (of(&roles()), of(&roles()));
    for scratch in [&one, &other] {
        scratch.does("deploy");
        scratch.does("start");
        let address = format!("127.0.0.1:{PORT}");
        scratch.shows("web-0", &address);
        assert_eq!(scratch.does("address web-0").stdout, format!("{address}\n"));
    }
    assert!(TcpStream::connect(("127.0.0.1", PORT)).is_err());
    for scratch in [&one, &other] {
        // Another engine joins the network.
        scratch
            .does("test")
            .stdout_is("role \"test-web\" (pass/fail): 1/0\n");
        connects(scratch, &["with"])
            .success()
            .stdout_has("connected");
        scratch.stop();
    }
}

#[test]
fn an_engine_alone_has_a_network_and_ends_it() {
    let scratch = of(&roles());
    scratch
        .does("test")
        .stdout_is("role \"test-web\" (pass/fail): 1/0\n");
    scratch.is_still();
    let mut running = scratch.ansar(["run", "--format=json", "web-0"]).start();
    running.wait_for_next_on_stdout("\"ready\"");
    let engine = children_of(running.pid());
    let engine = nix::unistd::Pid::from_raw(*engine.first().expect("it has an engine"));
    nix::sys::signal::kill(engine, Signal::SIGKILL).expect("it runs");
    running.wait();
    scratch.becomes_still();
}

#[test]
fn one_role_can_be_in_the_network_of_the_system() {
    let scratch =
        of("\n[web-0]\nprogram = \"serves\"\nargs = [\"{address}\"]\nnetwork = \"host\"\n");
    scratch.does("deploy");
    scratch.does("start");
    scratch.get("web-0", "/");
    // The command of `with` is in the network of the home.
    let alone = scratch.ansar([
        "with",
        "--",
        "python3",
        "-c",
        CONNECT,
        &scratch.port("web-0").to_string(),
    ]);
    alone.run().code(1).stderr_has("ConnectionRefusedError");
    scratch.stop();
}

#[test]
fn an_ordinary_user_needs_no_privilege() {
    let scratch = of(&roles());
    let ansar = executable("cargo-ansar");
    let words = ["--user", "--map-user=1000", "--map-group=1000"];
    let test = scratch.program("unshare").args(words);
    let test = test.arg(ansar).args(["ansar", "test"]);
    let test = test.run();
    test.success()
        .stdout_is("role \"test-web\" (pass/fail): 1/0\n");
    scratch.is_still();
}

#[test]
fn the_setting_that_forbids_it_is_named() {
    let scratch = of(&roles());
    scratch.does("deploy");
    let script = format!(
        "echo 0 > /proc/sys/user/max_net_namespaces; exec '{}' ansar start",
        executable("cargo-ansar").display()
    );
    let words = ["--user", "--map-root-user", "sh", "-c", &script];
    let start = scratch.program("unshare").args(words).run();
    start.code(96).stdout_is("").stderr_has(
        "error: the engine refused the request: failed to create the network of the home: `user.max_net_namespaces` is 0\n\
         hint: change this setting of the system, or remove `network = \"own\"`\n",
    );
    scratch.becomes_still();
}

#[test]
fn another_word_is_refused_at_its_place() {
    let sandbox: &Sandbox = &of(&roles().replace("[web-0]", "[web-0]\nnetwork = \"owned\""));
    let deploy = sandbox.ansar(["deploy"]).run();
    deploy
        .stderr_has("network")
        .stderr_has("expected `host` or `own`");
}
