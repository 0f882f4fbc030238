//! Servers of other languages and distributions as roles, with nothing of them
//! changed.

use tests::{Signal, Workspace, eventually, server};

use super::{Group, get, says};

/// Requests that a server logs, to see whether its log is whole.
const REQUESTS: usize = 100;

/// Returns the lines of a log that contain `text`, from there on.
fn with<'l>(log: &'l [String], text: &str) -> Vec<&'l str> {
    let lines = log.iter().filter_map(|line| {
        let at = line.find(text)?;
        Some(&line[at..])
    });
    lines.collect()
}

#[test]
fn python_serves_files() {
    if server("python3").is_none() {
        return;
    }
    let group = Group::of(
        r#"
[web-0]
program = "python3"
args = ["-u", "-m", "http.server", "{port}", "--bind", "{bind}"]
cwd = "site"
"#,
    );
    group.write("site/page", "hello");
    group.start();
    let address = group.address("web-0");
    assert!(get(&address, "/page").ends_with("hello"));
    for number in 0..REQUESTS {
        get(&address, &format!("/none-{number}"));
    }
    group.stop();
    let log = group.log("web-0");
    let requests: Vec<String> = (0..REQUESTS)
        .map(|number| format!("\"GET /none-{number} HTTP/1.0\" 404 -"))
        .collect();
    assert_eq!(with(&log, "\"GET /none-"), requests);
    assert!(log[0].contains("Serving HTTP on"), "{log:?}");
    assert!(
        log.last().unwrap().contains("Keyboard interrupt"),
        "{log:?}"
    );
}

const NODE: &str = r#"
require("http").createServer((request, response) => {
    console.log("asked", request.url);
    console.error("answers", request.url);
    response.end("hello");
}).listen(process.env.PORT, "127.0.0.1", () => console.log("listening"));
"#;

#[test]
fn node_needs_no_handler_of_signals() {
    if server("node").is_none() {
        return;
    }
    let group = Group::of(
        r#"
[web-0]
program = "node"
args = ["web.js"]
env = { PORT = "{port}" }
"#,
    );
    group.write("web.js", NODE);
    group.start();
    let address = group.address("web-0");
    for number in 0..REQUESTS {
        assert!(get(&address, &format!("/{number}")).ends_with("hello"));
    }
    group.stop();
    let lines = (0..REQUESTS).flat_map(|number| {
        let words = ["asked", "answers"].into_iter();
        words.map(move |word| format!("{word} /{number}"))
    });
    let expected: Vec<String> = ["listening".to_owned()].into_iter().chain(lines).collect();
    assert_eq!(group.log("web-0"), expected);
}

/// Configures nginx, which reads no variables in its configuration.
const NGINX: &str = r#"#!/bin/sh
set -eu
cat > "$TMP/nginx.conf" <<END
daemon off;
pid nginx.pid;
worker_processes 2;
events {}
http {
    access_log /dev/stdout;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen $ADDRESS;
        location / { return 200 hello; }
    }
}
END
exec "$1" -p "$TMP" -e stderr -c nginx.conf
"#;

#[test]
fn nginx_finishes_its_requests() {
    let Some(nginx) = server("nginx") else {
        return;
    };
    let role = r#"
[web-0]
program = "./serve.sh"
args = ["NGINX"]
env = { ADDRESS = "{address}", TMP = "{tmp}" }
stop = { signal = "SIGQUIT", grace = "20s" }
"#;
    let group = Group::of(&role.replace("NGINX", &nginx.to_string_lossy()));
    group.script("serve.sh", NGINX);
    group.start();
    let address = group.address("web-0");
    for number in 0..REQUESTS {
        assert!(get(&address, &format!("/{number}")).ends_with("hello"));
    }
    group.stop();
    let log = group.log("web-0");
    let requests: Vec<&str> = with(&log, "\"GET /");
    assert_eq!(requests.len(), REQUESTS, "{log:?}");
    for (number, line) in requests.into_iter().enumerate() {
        let request = format!("\"GET /{number} HTTP/1.0\" 200 ");
        assert!(line.starts_with(&request), "{line}");
    }
}

const REDIS: &str = r#"
[cache-0]
program = "redis-server"
args = ["--bind", "{bind}", "--port", "{port}", "--dir", "{model}", "--save", "", "--enable-debug-command", "yes"]
ready = { command = ["redis-cli", "-h", "{bind}", "-p", "{port}", "ping"], says = "PONG" }
"#;

#[test]
fn redis_is_ready_when_its_keys_are_loaded() {
    if server("redis-server").is_none() {
        return;
    }
    let group = Group::of(REDIS);
    group.start();
    let address = group.address("cache-0");
    assert_eq!(says(&address, "PING\r\n", "\n"), "+PONG\r\n");
    let filled = says(&address, "DEBUG POPULATE 1000000\r\n", "\n");
    assert_eq!(filled, "+OK\r\n");
    assert_eq!(says(&address, "SAVE\r\n", "\n"), "+OK\r\n");
    group.does("restart cache-0");
    assert_eq!(group.address("cache-0"), address);
    assert_eq!(says(&address, "DBSIZE\r\n", "\n"), ":1000000\r\n");
    group.stop();
    let log = group.log("cache-0");
    assert_eq!(with(&log, "Redis is now ready to exit").len(), 2, "{log:?}");
}

const POSTGRES: &str = r#"
[db-0]
program = ["postgres", "/usr/lib/postgresql/*/bin/postgres"]
args = ["-D", "{model}/data", "-p", "{port}", "-c", "listen_addresses={bind}", "-k", "", "-c", "fsync=off"]
setup = [["initdb", "-D", "{model}/data", "-A", "trust", "-U", "postgres", "-N"]]
ready = { log = "ready to accept connections" }
unprivileged = true
"#;

impl Group {
    /// Returns the answer of the role `db-0` to a query.
    #[track_caller]
    fn query(&self, sql: &str) -> String {
        let psql = server("psql").expect("it is beside the server");
        let url = format!("postgres://postgres@{}/postgres", self.address("db-0"));
        let query = ["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-Atqc", sql];
        let answer = self.program(psql).arg(url).args(query).run();
        answer.success().stdout.trim().to_owned()
    }
}

#[test]
fn postgres_is_set_up_once_and_stops_cleanly() {
    if server("postgres").is_none() {
        return;
    }
    let group = Group::of(POSTGRES);
    group.start();
    group.query("CREATE TABLE words (word text)");
    group.query("INSERT INTO words VALUES ('kept')");
    // A client that stays connected does not delay the stop.
    let psql = server("psql").expect("it is beside the server");
    let url = format!("postgres://postgres@{}/postgres", group.address("db-0"));
    let mut client = group.program(psql).arg(url).open_stdin().start();
    client.write("SELECT 'connected';\n");
    client.wait_for_next_on_stdout("connected");
    group.does("stop").stderr_lacks("killed");
    drop(client);
    assert_eq!(group.ends("db-0"), ["stopped"]);
    group.is_still();

    group.start();
    assert_eq!(group.query("SELECT word FROM words"), "kept");
    group.stop();
    let log = group.log("db-0");
    assert_eq!(with(&log, "creating subdirectories").len(), 1, "{log:?}");
    assert_eq!(
        with(&log, "database system is shut down").len(),
        2,
        "{log:?}"
    );
    assert!(with(&log, "not properly shut down").is_empty(), "{log:?}");
}

#[test]
fn second_postgres_gets_a_copy_of_the_first() {
    if server("postgres").is_none() {
        return;
    }
    let second = POSTGRES.replace("db-0", "db-1");
    let group = Group::of(&format!("{POSTGRES}{second}"));
    group.start();
    group.query("CREATE TABLE words (word text)");
    group.stop();
    for (role, count) in [("db-0", 1), ("db-1", 0)] {
        let log = group.log(role);
        assert_eq!(
            with(&log, "creating subdirectories").len(),
            count,
            "{log:?}"
        );
        assert!(with(&log, "not properly shut down").is_empty(), "{log:?}");
    }
}

#[test]
fn tests_that_destroy_data_have_their_own_postgres() {
    if server("postgres").is_none() {
        return;
    }
    let psql = server("psql").expect("it is beside the server");
    let test = |name: &str| {
        format!(
            r#"
[test-{name}]
program = "{}"
args = ["postgres://postgres@{{address:db-0}}/postgres", "-c", "CREATE TABLE words (word text)"]
fresh = ["db-0"]
"#,
            psql.display()
        )
    };
    let group = Group::of(&format!("{POSTGRES}{}{}", test("a"), test("b")));
    for _ in 0..2 {
        let output = group.does("test");
        output.stdout_is("role \"test-a\" (pass/fail): 1/0\nrole \"test-b\" (pass/fail): 1/0\n");
    }
    for role in ["fresh-test-a-db-0", "fresh-test-b-db-0"] {
        let log = group.log(role);
        assert!(with(&log, "creating subdirectories").is_empty(), "{log:?}");
        assert_eq!(
            with(&log, "database system is shut down").len(),
            2,
            "{log:?}"
        );
    }
    group.is_still();
}

#[test]
fn postgres_is_ready_after_its_recovery() {
    if server("postgres").is_none() {
        return;
    }
    let group = Group::of(POSTGRES);
    group.start();
    group.query("CREATE TABLE words (word text)");
    for round in 1..=5 {
        group.query("INSERT INTO words SELECT md5(n::text) FROM generate_series(1, 20000) n");
        for (pid, command) in group.processes() {
            if command.contains("postgres") {
                let pid = nix::unistd::Pid::from_raw(pid);
                // One that lost its parent may be gone already.
                let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            }
        }
        let ended = eventually(|| {
            let ends = group.ends("db-0");
            (ends.len() == round && ends.iter().all(|end| end != "running")).then_some(())
        });
        assert!(ended.is_some(), "{:?}", group.ends("db-0"));
        group.does("start db-0");
        let count = group.query("SELECT count(*) FROM words");
        assert_eq!(count, (round * 20_000).to_string());
    }
    group.stop();
    let log = group.log("db-0");
    assert_eq!(with(&log, "not properly shut down").len(), 5, "{log:?}");
}

const SCRIPT: &str = r#"#!/bin/sh
trap 'echo stopping; exit 0' INT
for number in $(seq 300); do
    echo "out $number"
    echo "err $number" >&2
done
while :; do sleep 0.1; done
"#;

#[test]
fn a_shell_script_writes_in_order() {
    let group = Group::of(
        r#"
[script-0]
program = "scripts/serve.sh"
ready = { log = "^err 300$" }
"#,
    );
    group.script("scripts/serve.sh", SCRIPT);
    group.start();
    group.stop();
    let lines = (1..=300).flat_map(|number| [format!("out {number}"), format!("err {number}")]);
    let expected: Vec<String> = lines.chain(["stopping".to_owned()]).collect();
    assert_eq!(group.log("script-0"), expected);
}

#[test]
fn servers_with_handlers_of_their_own_stop_by_them() {
    let group = Group(Workspace::servers());
    group.start();
    let greeter = group.address("greeter-0");
    let echo = group.address("echo-0");
    for number in 0..REQUESTS {
        let greeting = get(&greeter, &format!("/{number}"));
        assert!(
            greeting.ends_with(&format!("hello, {number}")),
            "{greeting}"
        );
        let line = format!("{number}\n");
        assert_eq!(says(&echo, &line, "\n"), line);
    }
    group.stop();

    let log = group.log("greeter-0");
    let greetings = (0..REQUESTS).map(|number| format!("greets {number}"));
    assert_eq!(with(&log, "greets "), greetings.collect::<Vec<_>>());
    assert_eq!(with(&log, "listening on port").len(), 1, "{log:?}");
    assert!(log.last().unwrap().ends_with("stopped"), "{log:?}");

    let lines = (0..REQUESTS).flat_map(|number| {
        let words = ["heard", "says"].into_iter();
        words.map(move |word| format!("{word} {number}"))
    });
    let mut expected = vec![format!("listening on {echo}")];
    expected.extend(lines);
    expected.push("stopped".to_owned());
    assert_eq!(group.log("echo-0"), expected);
}
