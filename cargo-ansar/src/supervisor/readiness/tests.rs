//! Tests of [`Readiness`] with real sockets, files and processes. The clock is
//! moved by hand, except where an answer takes time.

use std::net::{SocketAddr, TcpListener};

use tokio::task::LocalSet;

use super::*;
use crate::host::clock;
use crate::host::environment;

const SECOND: Duration = Duration::from_secs(1);

fn program() -> Program {
    Program {
        path: "/bin/true".into(),
        arguments: Vec::new(),
        environment: None,
        folder: None,
        stdin: None,
    }
}

/// A member 7 whose main process is this one.
struct Fixture {
    readiness: Readiness,
    received: mpsc::UnboundedReceiver<ProbeAnswer>,
    now: Instant,
    lines: Option<Rc<Lines>>,
}

const MEMBER: usize = 7;

fn none(_: usize) -> Vec<u32> {
    Vec::new()
}

impl Fixture {
    fn new(probes: &[Probe<String>], health: Option<&Health<String>>) -> Self {
        Self::of(probes, health, environment::pid())
    }

    fn of(probes: &[Probe<String>], health: Option<&Health<String>>, main: u32) -> Self {
        let (mut readiness, received) = Readiness::new();
        let conditions = Conditions {
            probes,
            health,
            port: None,
            network: None,
            program: &program(),
        };
        let checks = readiness.check(&conditions).unwrap();
        let now = clock::instant();
        let lines = readiness.watch(MEMBER, main, checks, now);
        Self {
            readiness,
            received,
            now,
            lines,
        }
    }

    /// Moves the clock to the next look, and looks.
    fn look(&mut self) -> Vec<Change> {
        self.now = self.readiness.wake_at().expect("a look is due");
        self.readiness.look(self.now, &none)
    }

    /// Looks and waits until there is a change. Must be called inside a
    /// `LocalSet`.
    async fn change(&mut self) -> Change {
        loop {
            let wake = self.readiness.wake_at();
            let wake = wake.unwrap_or_else(|| clock::instant() + 60 * SECOND);
            let changes = tokio::select! {
                () = tokio::time::sleep_until(wake.into()) => {
                    self.readiness.look(clock::instant(), &none)
                }
                heard = self.received.recv() => {
                    self.readiness.take(heard.unwrap(), clock::instant())
                }
            };
            if let Some(change) = changes.into_iter().next() {
                return change;
            }
        }
    }

    fn explain(&mut self) -> String {
        self.readiness.explain(MEMBER, &none).unwrap()
    }
}

/// Returns an address on which nothing listens.
fn free(host: &str) -> SocketAddr {
    let listener = TcpListener::bind(format!("{host}:0")).unwrap();
    listener.local_addr().unwrap()
}

fn listen(address: SocketAddr) -> Probe<String> {
    Probe::Listen(Some(address.to_string()))
}

fn http(address: SocketAddr) -> Probe<String> {
    Probe::Http {
        url: format!("http://{address}/up"),
        status: Vec::new(),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn own_listener_makes_a_role_ready() {
    let address = free("127.42.1.1");
    let mut fixture = Fixture::new(&[listen(address)], None);
    for _ in 0..3 {
        assert_eq!(fixture.look(), []);
    }
    let _server = TcpListener::bind(address).unwrap();
    assert_eq!(fixture.look(), [Change::Ready(MEMBER)]);
    assert_eq!(fixture.readiness.explain(MEMBER, &none), None);
}

#[test]
#[cfg(target_os = "linux")]
fn descendants_and_orphans_belong_to_the_role() {
    let server = TcpListener::bind("127.42.1.2:0").unwrap();
    let probes = [listen(server.local_addr().unwrap())];
    let mut fixture = Fixture::of(&probes, None, environment::parent());
    assert_eq!(fixture.look(), [Change::Ready(MEMBER)]);
    let mut fixture = Fixture::of(&probes, None, u32::MAX);
    fixture.now = fixture.readiness.wake_at().unwrap();
    let orphans = |_| vec![environment::pid()];
    let changes = fixture.readiness.look(fixture.now, &orphans);
    assert_eq!(changes, [Change::Ready(MEMBER)]);
}

#[test]
#[cfg(target_os = "linux")]
fn foreign_listener_is_named() {
    let server = TcpListener::bind("127.42.1.3:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut fixture = Fixture::of(&[listen(address)], None, u32::MAX);
    assert_eq!(fixture.look(), []);
    let explanation = fixture.explain();
    let beginning = format!("{address} belongs to another process, ");
    let end = format!(" <{}>", environment::pid());
    assert!(explanation.starts_with(&beginning), "{explanation}");
    assert!(explanation.ends_with(&end), "{explanation}");
}

/// Starts a process that has this stdin, and no socket beside it: other tests of this
/// process listen too.
#[expect(
    clippy::disallowed_methods,
    reason = "a process with its own sockets is needed"
)]
fn sleep(stdin: impl Into<std::process::Stdio>) -> std::process::Child {
    let mut command = std::process::Command::new("sleep");
    command.arg("1000").stdin(stdin).spawn().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn missing_listener_is_named() {
    let mut child = sleep(std::process::Stdio::null());
    let address = free("127.42.1.7");
    let mut fixture = Fixture::of(&[listen(address)], None, child.id());
    assert_eq!(fixture.look(), []);
    assert_eq!(fixture.explain(), format!("nothing listens on {address}"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn other_address_of_the_role_is_named() {
    let server = TcpListener::bind("127.42.1.4:0").unwrap();
    let wrong = server.local_addr().unwrap();
    let mut child = sleep(std::os::fd::OwnedFd::from(server));
    let address = free("127.42.1.4");
    let expected = format!(
        "listens on {wrong}, expected {address}; pass the port, for example `env = {{ PORT = \"{{port}}\" }}`"
    );
    let mut fixture = Fixture::of(&[listen(address)], None, child.id());
    assert_eq!(fixture.look(), []);
    assert_eq!(fixture.explain(), expected);
    let SocketAddr::V4(port) = address else {
        panic!("{address}");
    };
    let conditions = Conditions {
        probes: &[http(address)],
        health: None,
        port: Some(port),
        network: None,
        program: &program(),
    };
    let checks = fixture.readiness.check(&conditions).unwrap();
    let now = fixture.now;
    fixture.readiness.watch(MEMBER, child.id(), checks, now);
    assert_eq!(
        fixture.explain(),
        format!("GET http://{address}/up: no answer yet; {expected}")
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn many_roles_share_looks() {
    let (mut readiness, _received) = Readiness::new();
    let begun = clock::instant();
    let address = free("127.42.1.5");
    for member in 0..500 {
        let probes = [listen(address)];
        let conditions = Conditions {
            probes: &probes,
            health: None,
            port: None,
            network: None,
            program: &program(),
        };
        let checks = readiness.check(&conditions).unwrap();
        let now = begun + Duration::from_micros(700) * u32::try_from(member).unwrap();
        readiness.watch(member, u32::MAX, checks, now);
    }
    let mut looks = 0;
    let mut now = begun;
    while let Some(at) = readiness.wake_at().filter(|at| *at < begun + SECOND) {
        assert!(at >= now);
        now = at;
        assert_eq!(readiness.look(now, &none), []);
        looks += 1;
    }
    // 20 µs for each role.
    assert!((95..=105).contains(&looks), "{looks} looks in a second");
    let _server = TcpListener::bind(address).unwrap();
    let own = |_| vec![environment::pid()];
    let changes = readiness.look(readiness.wake_at().unwrap(), &own);
    assert_eq!(changes.len(), 500);
}

#[test]
#[cfg(target_os = "linux")]
fn role_that_stops_listening_is_unhealthy() {
    let address = free("127.42.1.6");
    let mut fixture = Fixture::new(&[listen(address)], None);
    let server = TcpListener::bind(address).unwrap();
    assert_eq!(fixture.look(), [Change::Ready(MEMBER)]);
    let ready = fixture.now;
    assert_eq!(fixture.look(), []);
    assert_eq!(fixture.now, ready + SECOND);
    drop(server);
    assert_eq!(fixture.look(), []);
    let why = format!("no longer listens on {address}, 2 times in a row");
    assert_eq!(fixture.look(), [Change::Unhealthy(MEMBER, why)]);
    assert_eq!(fixture.look(), []);
    // Another socket.
    let _server = TcpListener::bind(address).unwrap();
    assert_eq!(fixture.look(), [Change::Healthy(MEMBER)]);
    fixture.readiness.forget(MEMBER);
    assert_eq!(fixture.readiness.wake_at(), None);
}

#[test]
fn all_probes_of_a_list_must_be_met() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("up");
    let probes = [
        Probe::Started,
        Probe::File(file.to_str().unwrap().to_owned()),
        Probe::Log("^accepting".to_owned()),
        Probe::Notify,
    ];
    let mut fixture = Fixture::new(&probes, None);
    assert_eq!(fixture.look(), []);
    let lines = fixture.lines.take().unwrap();
    assert!(lines.line(b"starting"));
    assert_eq!(
        fixture.explain(),
        format!(
            "file `{}` does not exist; no log line matched `^accepting`; 1 line: starting; \
             it did not send `READY=1` to `NOTIFY_SOCKET`",
            file.display()
        )
    );
    assert!(!lines.line(b"accepting connections"));
    let heard = fixture.received.try_recv().unwrap();
    assert_eq!(fixture.readiness.take(heard, fixture.now), []);
    std::fs::write(&file, "").unwrap();
    assert_eq!(fixture.look(), []);
    assert_eq!(fixture.readiness.wake_at(), None);
    let changes = fixture.readiness.announced(MEMBER, fixture.now);
    assert_eq!(changes, [Change::Ready(MEMBER)]);
    assert_eq!(fixture.readiness.announced(MEMBER, fixture.now), []);
}

#[test]
fn process_that_needs_only_start_is_ready_at_the_first_look() {
    let mut fixture = Fixture::new(&[Probe::Started], None);
    assert_eq!(fixture.look(), [Change::Ready(MEMBER)]);
    let fixture = Fixture::new(&[Probe::Done], None);
    assert_eq!(fixture.readiness.wake_at(), None);
}

#[test]
fn role_without_captured_output_waits_for_no_line() {
    let (mut readiness, _received) = Readiness::new();
    let conditions = Conditions {
        probes: &[Probe::Log("up".to_owned())],
        health: None,
        port: None,
        network: None,
        program: &program(),
    };
    let checks = readiness.check(&conditions).unwrap().without_lines();
    assert!(checks.need_only_start());
    let now = clock::instant();
    assert!(readiness.watch(MEMBER, 1, checks, now).is_none());
    let changes = readiness.look(readiness.wake_at().unwrap(), &none);
    assert_eq!(changes, [Change::Ready(MEMBER)]);
}

#[test]
fn lines_of_an_earlier_start_do_not_count() {
    let probes = [Probe::Log("up".to_owned())];
    let mut fixture = Fixture::new(&probes, None);
    let earlier = fixture.lines.take().unwrap();
    let conditions = Conditions {
        probes: &probes,
        health: None,
        port: None,
        network: None,
        program: &program(),
    };
    let checks = fixture.readiness.check(&conditions).unwrap();
    let later = fixture.readiness.watch(MEMBER, 1, checks, fixture.now);
    earlier.line(b"up");
    let heard = fixture.received.try_recv().unwrap();
    assert_eq!(fixture.readiness.take(heard, fixture.now), []);
    later.unwrap().line(b"up");
    let heard = fixture.received.try_recv().unwrap();
    let changes = fixture.readiness.take(heard, fixture.now);
    assert_eq!(changes, [Change::Ready(MEMBER)]);
}

#[tokio::test]
async fn server_is_asked_until_it_answers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = tokio::net::TcpListener::bind("127.42.1.7:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let answer = async |code: u16| {
        let (mut stream, _) = server.accept().await.unwrap();
        stream.read_buf(&mut Vec::new()).await.unwrap();
        let answer = format!("HTTP/1.1 {code} x\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    let mut fixture = Fixture::new(&[http(address)], None);
    let work = async {
        tokio::select! {
            change = fixture.change() => panic!("{change:?}"),
            () = async { answer(503).await; answer(503).await } => {}
        }
        let explanation = fixture.explain();
        let expected = format!("GET http://{address}/up: 503 (");
        assert!(explanation.starts_with(&expected), "{explanation}");
        let (change, ()) = tokio::join!(fixture.change(), answer(204));
        assert_eq!(change, Change::Ready(MEMBER));
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test]
async fn command_gets_the_environment_of_the_role() {
    let script = "test \"$ANSWER\" = 42 && echo it is \"$ANSWER\"";
    let probe = Probe::Command {
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        says: Some("it is 42".to_owned()),
    };
    let (mut readiness, received) = Readiness::new();
    let conditions = Conditions {
        probes: &[probe],
        health: None,
        port: None,
        network: None,
        program: &Program {
            environment: Some(vec![("ANSWER".into(), "42".into())]),
            ..program()
        },
    };
    let checks = readiness.check(&conditions).unwrap();
    readiness.watch(MEMBER, 1, checks, clock::instant());
    let mut fixture = Fixture {
        readiness,
        received,
        now: clock::instant(),
        lines: None,
    };
    let change = LocalSet::new().run_until(fixture.change()).await;
    assert_eq!(change, Change::Ready(MEMBER));
}

#[tokio::test]
async fn failing_health_probe_makes_a_role_unhealthy() {
    let address = free("127.42.1.8");
    let health = Health {
        probe: http(address),
        every: Duration::from_millis(1),
        failures: 3,
    };
    let mut fixture = Fixture::new(&[], Some(&health));
    assert_eq!(fixture.readiness.wake_at(), None);
    fixture.readiness.ready(MEMBER, clock::instant());
    let why = format!("GET http://{address}/up: connection refused, 3 times in a row");
    let change = LocalSet::new().run_until(fixture.change()).await;
    assert_eq!(change, Change::Unhealthy(MEMBER, why));
}

#[test]
fn invalid_probe_is_refused_before_the_start() {
    let (mut readiness, _received) = Readiness::new();
    let health = Health {
        probe: Probe::Log("(".to_owned()),
        every: SECOND,
        failures: 1,
    };
    let mut refusal = |probes: &[Probe<String>], health| {
        let conditions = Conditions {
            probes,
            health,
            port: None,
            network: None,
            program: &program(),
        };
        readiness.check(&conditions).unwrap_err()
    };
    let refused = refusal(&[Probe::Listen(None)], None);
    assert_eq!(refused, "`ready`: it has no port to listen on");
    let refused = refusal(&[], Some(&health));
    assert!(refused.starts_with("`health`: "), "{refused}");
}
