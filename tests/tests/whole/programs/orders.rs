//! `examples/orders`, as its users run it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use tests::{Output, Running, Signal, Workspace, server};

use super::{Group, get};

const SERVERS: [&str; 3] = ["db-0", "cache-0", "api-0"];

/// Returns a copy of the example, or `None` if its servers are not installed.
fn orders() -> Option<Group> {
    server("postgres")?;
    server("redis-server")?;
    server("curl")?;
    Some(Group(Workspace::orders()))
}

#[track_caller]
fn has_passed(output: &Output) {
    output
        .success()
        .stdout_has("role \"test-api\" (pass/fail): 25/0\n")
        .stdout_has("role \"test-smoke\" (pass/fail): 1/0\n");
}

#[test]
fn the_example_passes_and_migrates_once() {
    let Some(orders) = orders() else { return };
    has_passed(&orders.does("test"));
    orders.is_still();
    let second = orders.does("test");
    has_passed(&second);
    second.stderr_lacks("Compiling");
    orders.is_still();
    assert_eq!(orders.ends("migrate-0"), ["returned"]);
    assert_eq!(orders.ends("api-0"), ["stopped", "stopped"]);

    orders.write(
        "migrations/0004_notes.sql",
        "CREATE TABLE notes (note text);\n",
    );
    has_passed(&orders.does("test"));
    assert_eq!(orders.ends("migrate-0"), ["returned", "returned"]);
    let log = orders.log("migrate-0");
    let applied: Vec<_> = log.iter().filter(|it| it.starts_with("applied")).collect();
    assert_eq!(applied.len(), 4, "{log:?}");
}

#[test]
fn two_copies_at_once_share_no_port() {
    let (Some(one), Some(other)) = (orders(), orders()) else {
        return;
    };
    let running = [one.ansar(["test"]).start(), other.ansar(["test"]).start()];
    for test in running {
        has_passed(&test.wait());
    }
    let ports = [&one, &other].map(|copy| copy.addresses(&SERVERS));
    let all: BTreeSet<&String> = ports.iter().flat_map(|copy| copy.values()).collect();
    assert_eq!(all.len(), 2 * SERVERS.len(), "{ports:?}");
}

#[test]
fn addresses_survive_restarts() {
    let Some(orders) = orders() else { return };
    orders.start();
    let before = orders.addresses(&SERVERS);
    orders.does("restart db-0");
    assert_eq!(orders.addresses(&SERVERS), before);
    orders.stop_all();
    assert_eq!(orders.addresses(&SERVERS), before);
    orders.start();
    assert_eq!(orders.addresses(&SERVERS), before);
    assert!(get(&before["api-0"], "/health").ends_with("ok"));
    orders.stop_all();
}

#[test]
fn a_stranger_on_a_port_gets_it() {
    let Some(orders) = orders() else { return };
    orders.does("deploy");
    let before = orders.addresses(&SERVERS);
    let taken = TcpListener::bind(&before["api-0"]).expect("no role runs");
    let (_, port) = before["api-0"].split_once(':').expect("it has a port");
    let output = orders.ansar(["test"]).run();
    has_passed(&output);
    output.stderr_has(port);
    let after = orders.addresses(&SERVERS);
    assert_ne!(after["api-0"], before["api-0"]);
    assert_eq!(after["db-0"], before["db-0"]);
    drop(taken);
}

/// Waits until a run in `watch` has passed, and returns the processes of roles.
#[track_caller]
fn passed(orders: &Group, watch: &mut Running<'_>) -> BTreeMap<String, String> {
    watch.wait_for_next("      Passed 26 checks");
    watch.wait_for_next("    Watching ");
    let status = orders.does("status -l");
    let lines = status.stdout.lines().map(|line| {
        let (role, rest) = line.split_once('<').expect("it has a process");
        let (pid, _) = rest.split_once('>').expect("it has a process");
        (role.trim().to_owned(), pid.to_owned())
    });
    lines.collect()
}

/// Returns the roles whose process is another one.
fn restarted<'r>(
    before: &BTreeMap<String, String>,
    after: &'r BTreeMap<String, String>,
) -> Vec<&'r str> {
    let roles = after.iter();
    let roles = roles.filter(|(role, pid)| before.get(*role) != Some(pid));
    roles.map(|(role, _)| role.as_str()).collect()
}

#[test]
fn a_save_restarts_what_it_affects() {
    let Some(orders) = orders() else { return };
    let mut watch = orders.ansar(["watch"]).start();
    let before = passed(&orders, &mut watch);
    assert_eq!(before.len(), 4, "{before:?}");

    orders.edit("api/src/main.rs", "\"stopped\"", "\"has stopped\"");
    let api = passed(&orders, &mut watch);
    assert_eq!(restarted(&before, &api), ["api-0"]);

    orders.edit("worker/src/main.rs", "\"not pending\"", "\"done before\"");
    let worker = passed(&orders, &mut watch);
    assert_eq!(restarted(&api, &worker), ["worker-0"]);
    assert_eq!(orders.ends("migrate-0"), ["returned"]);

    orders.write(
        "migrations/0004_notes.sql",
        "CREATE TABLE notes (note text);\n",
    );
    let migrated = passed(&orders, &mut watch);
    let restarted = restarted(&worker, &migrated);
    assert!(!restarted.contains(&"db-0"), "{restarted:?}");
    assert_eq!(orders.ends("migrate-0"), ["returned", "returned"]);

    watch.signal(Signal::SIGINT);
    watch.wait().code(130);
    orders.is_still();
}

/// Mistakes in the API: file, correct text, wrong text, and the test that finds
/// it.
const MISTAKES: [(&str, &str, &str, &str); 10] = [
    (
        ORDERS,
        "1..=1_000_000",
        "0..=1_000_000",
        "an_order_of_nothing_is_refused",
    ),
    (
        ORDERS,
        "price_cents * $2, $3",
        "price_cents + $2, $3",
        "a_new_order_is_pending",
    ),
    (
        ORDERS,
        "(StatusCode::OK, known",
        "(StatusCode::CREATED, known",
        "a_key_makes_one_order_of_two",
    ),
    (
        ORDERS,
        "ORDER BY id DESC",
        "ORDER BY id ASC",
        "orders_are_listed_newest_first",
    ),
    (
        ORDERS,
        "\"the order is cancelled already\"",
        "\"cancelled\"",
        "a_pending_order_is_cancelled",
    ),
    (
        ORDERS,
        "AND status = 'pending'",
        "AND status <> 'cancelled'",
        "a_settled_order_is_not_cancelled",
    ),
    (
        ITEMS,
        "price_cents < 0 || stock < 0",
        "stock < 0",
        "a_negative_price_is_refused",
    ),
    (
        ITEMS,
        "    let () = shop.redis().del(cache_key(&name)).await?;\n",
        "",
        "a_new_price_is_not_hidden_by_the_cache",
    ),
    (
        ITEMS,
        "CACHED_SECONDS: u64 = 60",
        "CACHED_SECONDS: u64 = 600",
        "a_cached_price_expires",
    ),
    (
        ITEMS,
        "(\"hit\", price_cents)",
        "(\"miss\", price_cents)",
        "a_price_is_cached",
    ),
];
const ORDERS: &str = "api/src/orders.rs";
const ITEMS: &str = "api/src/items.rs";

#[test]
fn each_mistake_fails_in_its_test() {
    let Some(orders) = orders() else { return };
    let tests = orders.read("api/tests/api.rs");
    for (file, correct, wrong, test) in MISTAKES {
        let before = orders.read(file);
        orders.edit(file, correct, wrong);
        let run = orders.ansar(["test", "test-api"]).run();
        run.code(100);
        let failed = run.stdout.lines().filter(|line| line.contains(" - "));
        let failed: Vec<&str> = failed.collect();
        let [only] = *failed else {
            panic!("one test fails for `{wrong}`: {run:?}");
        };
        let (place, name) = only.split_once(" - ").expect("it has a place");
        assert!(name.contains(&format!("::{test}: ")), "{only}");
        // The line is one of the test's own.
        let (_, line) = place.rsplit_once(':').expect("it has a line");
        let line: usize = line.parse().expect("it is a number");
        let function = format!("fn {test}()");
        let begin = tests.lines().position(|it| it.contains(&function));
        let begin = begin.expect("there is such a test") + 1;
        let length = tests.lines().skip(begin).position(|it| it == "    }");
        assert!(
            (begin..=begin + length.unwrap_or(0)).contains(&line),
            "{only}"
        );
        orders.write(file, &before);
    }
    orders.is_still();
}

#[test]
fn an_api_reads_its_port_from_an_option() {
    let group = Group(Workspace::orders());
    let manifest = group.read("Cargo.toml");
    let (own, _) = manifest
        .split_once("[workspace.metadata.ansar]")
        .expect("it describes roles");
    let role = r#"
[workspace.metadata.ansar.role.api-0]
executable = "api"
args = ["--port", "{port}", "--database-url", "postgres://postgres@127.0.0.1:9/none", "--redis-url", "redis://127.0.0.1:9"]
"#;
    group.write("Cargo.toml", &format!("{own}{role}"));
    group.start();
    let health = get(&group.address("api-0"), "/health");
    assert!(health.starts_with("HTTP/1.0 503"), "{health}");
    group.stop();
    let log = group.log("api-0");
    let at = |text: &str| log.iter().position(|line| line.contains(text));
    let steps = ["listening on", "stopping", "stopped"].map(at);
    assert!(steps.is_sorted() && steps[0].is_some(), "{log:?}");
}

impl Group {
    /// Stops all roles that run.
    #[track_caller]
    fn stop_all(&self) {
        self.does("stop").stderr_lacks("killed");
        self.is_still();
    }
}
