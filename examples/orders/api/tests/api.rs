//! The shop, as its clients see it.
//!
//! The tests need a running API and worker, and the addresses of the API, of
//! PostgreSQL and of Redis in the environment. They run side by side: each has
//! an item of its own.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, thread};

use postgres::NoTls;
use serde_json::{Value, json};
use ureq::Agent;

/// An answer of the API: its status, and its content where it is JSON.
struct Answer {
    status: u16,
    cache: Option<String>,
    json: Value,
}

/// Returns the address `HOST:PORT` of a server.
fn address(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"))
}

fn request(method: &str, path: &str, body: Option<Value>) -> Answer {
    static AGENT: LazyLock<Agent> = LazyLock::new(|| {
        let config = Agent::config_builder().http_status_as_error(false);
        let config = config.timeout_global(Some(Duration::from_secs(20)));
        config.build().into()
    });
    let url = format!("http://{}{path}", address("ANSAR_API_0_ADDRESS"));
    let request = ureq::http::Request::builder().method(method).uri(url);
    let answer = match body {
        Some(body) => {
            let request = request.header("content-type", "application/json");
            AGENT.run(request.body(body.to_string()).unwrap())
        }
        None => AGENT.run(request.body(()).unwrap()),
    };
    let mut answer = answer.expect("the API answers");
    let cache = answer.headers().get("x-cache");
    let cache = cache.map(|value| value.to_str().unwrap().to_owned());
    let text = answer.body_mut().read_to_string().unwrap();
    Answer {
        status: answer.status().as_u16(),
        cache,
        json: serde_json::from_str(&text).unwrap_or(Value::Null),
    }
}

fn get(path: &str) -> Answer {
    request("GET", path, None)
}

/// Creates an item with a name of its own.
fn item(price_cents: i64, stock: i64) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("item-{}-{count}", now.unwrap().as_nanos());
    let created = put(&name, price_cents, stock);
    assert_eq!(created.status, 200, "{}", created.json);
    name
}

fn put(name: &str, price_cents: i64, stock: i64) -> Answer {
    let body = json!({ "price_cents": price_cents, "stock": stock });
    request("PUT", &format!("/items/{name}"), Some(body))
}

fn order(item: &str, quantity: i64) -> Answer {
    let body = json!({ "item": item, "quantity": quantity });
    request("POST", "/orders", Some(body))
}

/// Orders, and returns the number of the order.
fn ordered(item: &str, quantity: i64) -> i64 {
    let answer = order(item, quantity);
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer.json["id"].as_i64().unwrap()
}

/// Waits until the worker has handled an order, and returns its status.
fn outcome(id: i64) -> String {
    for _ in 0..1000 {
        let status = get(&format!("/orders/{id}")).json["status"].clone();
        if status != "pending" {
            return status.as_str().unwrap().to_owned();
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("order {id} is still pending");
}

fn stock(item: &str) -> i64 {
    get(&format!("/items/{item}")).json["stock"]
        .as_i64()
        .unwrap()
}

fn database() -> postgres::Client {
    let url = format!(
        "postgres://postgres@{}/postgres",
        address("ANSAR_DB_0_ADDRESS")
    );
    postgres::Client::connect(&url, NoTls).expect("the database answers")
}

fn redis() -> redis::Connection {
    let url = format!("redis://{}", address("ANSAR_CACHE_0_ADDRESS"));
    let client = redis::Client::open(url).unwrap();
    client.get_connection().expect("Redis answers")
}

/// Creates a pending order that the worker does not hear of.
fn unqueued(item: &str, quantity: i64) -> i64 {
    let insert = "INSERT INTO orders (item, quantity, total_cents) VALUES ($1, $2, 0) RETURNING id";
    let row = database().query_one(insert, &[&item, &quantity]);
    row.unwrap().get("id")
}

fn queue(entry: &str) {
    let pushed = redis::cmd("RPUSH")
        .arg("orders")
        .arg(entry)
        .exec(&mut redis());
    pushed.unwrap();
}

#[test]
fn health_is_ok() {
    assert_eq!(get("/health").status, 200);
}

mod items {
    use super::*;

    #[test]
    fn a_new_item_is_found() {
        let name = item(250, 7);
        let found = get(&format!("/items/{name}"));
        assert_eq!(found.status, 200);
        let expected = json!({ "name": name, "price_cents": 250, "stock": 7 });
        assert_eq!(found.json, expected);
    }

    #[test]
    fn an_unknown_item_is_not_found() {
        assert_eq!(get("/items/nothing").status, 404);
        assert_eq!(get("/items/nothing/price").status, 404);
    }

    #[test]
    fn a_negative_price_is_refused() {
        let answer = put("debt", -1, 1);
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json["error"], "price and stock are 0 or more");
        assert_eq!(get("/items/debt").status, 404);
    }

    #[test]
    fn a_price_is_cached() {
        let name = item(300, 1);
        let path = format!("/items/{name}/price");
        assert_eq!(get(&path).cache.as_deref(), Some("miss"));
        let second = get(&path);
        assert_eq!(second.cache.as_deref(), Some("hit"));
        assert_eq!(second.json, json!({ "price_cents": 300 }));
    }

    #[test]
    fn a_new_price_is_not_hidden_by_the_cache() {
        let name = item(300, 1);
        let path = format!("/items/{name}/price");
        get(&path);
        put(&name, 400, 1);
        let answer = get(&path);
        assert_eq!(answer.cache.as_deref(), Some("miss"));
        assert_eq!(answer.json["price_cents"], 400);
    }

    #[test]
    fn a_cached_price_expires() {
        let name = item(300, 1);
        get(&format!("/items/{name}/price"));
        let mut ttl = redis::cmd("TTL");
        let seconds: i64 = ttl
            .arg(format!("price:{name}"))
            .query(&mut redis())
            .unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }

    #[test]
    fn an_item_without_stock_is_malformed() {
        let body = json!({ "price_cents": 1 });
        let answer = request("PUT", "/items/half", Some(body));
        assert_eq!(answer.status, 422);
    }

    #[test]
    fn an_item_cannot_be_deleted() {
        assert_eq!(request("DELETE", "/items/tea", None).status, 405);
    }
}

mod orders {
    use super::*;

    #[test]
    fn a_new_order_is_pending() {
        let tea = item(250, 10);
        let answer = order(&tea, 2);
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json["status"], "pending");
        assert_eq!(answer.json["total_cents"], 500);
    }

    #[test]
    fn an_order_is_settled_and_takes_stock() {
        let tea = item(250, 10);
        assert_eq!(outcome(ordered(&tea, 3)), "settled");
        assert_eq!(stock(&tea), 7);
    }

    #[test]
    fn an_order_beyond_the_stock_is_rejected() {
        let tea = item(250, 2);
        assert_eq!(outcome(ordered(&tea, 3)), "rejected");
        assert_eq!(stock(&tea), 2);
    }

    #[test]
    fn orders_at_once_never_oversell() {
        let tea = item(250, 5);
        let ids: Vec<i64> = thread::scope(|scope| {
            let orders: Vec<_> = (0..12).map(|_| scope.spawn(|| ordered(&tea, 1))).collect();
            orders.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let outcomes: Vec<String> = ids.into_iter().map(outcome).collect();
        let settled = outcomes.iter().filter(|it| *it == "settled").count();
        assert_eq!(settled, 5, "{outcomes:?}");
        assert_eq!(stock(&tea), 0);
    }

    #[test]
    fn an_order_of_an_unknown_item_is_not_found() {
        assert_eq!(order("nothing", 1).status, 404);
    }

    #[test]
    fn an_order_of_nothing_is_refused() {
        let tea = item(250, 10);
        assert_eq!(order(&tea, 0).status, 422);
        assert_eq!(order(&tea, 1_000_001).status, 422);
    }

    #[test]
    fn a_key_makes_one_order_of_two() {
        let tea = item(250, 10);
        let body = json!({ "item": tea, "quantity": 1, "key": format!("key of {tea}") });
        let first = request("POST", "/orders", Some(body.clone()));
        let second = request("POST", "/orders", Some(body));
        assert_eq!((first.status, second.status), (201, 200));
        assert_eq!(first.json["id"], second.json["id"]);
        outcome(first.json["id"].as_i64().unwrap());
        assert_eq!(stock(&tea), 9);
    }

    #[test]
    fn orders_are_listed_newest_first() {
        let tea = item(250, 10);
        let ids = [ordered(&tea, 1), ordered(&tea, 2)];
        let listed = get(&format!("/orders?item={tea}"));
        let listed: Vec<_> = listed.json.as_array().unwrap().iter().collect();
        let listed: Vec<_> = listed.iter().map(|it| it["id"].as_i64()).collect();
        assert_eq!(listed, [Some(ids[1]), Some(ids[0])]);
    }

    #[test]
    fn an_unknown_order_is_not_found() {
        assert_eq!(get("/orders/0").status, 404);
        assert_eq!(request("DELETE", "/orders/0", None).status, 404);
    }

    #[test]
    fn a_malformed_number_is_refused() {
        assert_eq!(get("/orders/first").status, 400);
    }

    #[test]
    fn a_pending_order_is_cancelled() {
        let tea = item(250, 10);
        let id = unqueued(&tea, 1);
        let path = format!("/orders/{id}");
        assert_eq!(request("DELETE", &path, None).status, 204);
        let again = request("DELETE", &path, None);
        assert_eq!(again.status, 409);
        assert_eq!(again.json["error"], "the order is cancelled already");
    }

    #[test]
    fn a_settled_order_is_not_cancelled() {
        let tea = item(250, 10);
        let id = ordered(&tea, 1);
        outcome(id);
        let answer = request("DELETE", &format!("/orders/{id}"), None);
        assert_eq!(answer.status, 409);
        assert_eq!(answer.json["error"], "the order is settled");
    }
}

mod worker {
    use super::*;

    #[test]
    fn a_cancelled_order_is_not_settled() {
        let tea = item(250, 10);
        let id = unqueued(&tea, 1);
        request("DELETE", &format!("/orders/{id}"), None);
        queue(&id.to_string());
        // The list keeps its order, so the first one is handled by then.
        outcome(ordered(&tea, 2));
        assert_eq!(outcome(id), "cancelled");
        assert_eq!(stock(&tea), 8);
    }

    #[test]
    fn an_order_that_is_queued_twice_is_settled_once() {
        let tea = item(250, 10);
        let id = unqueued(&tea, 4);
        queue(&id.to_string());
        queue(&id.to_string());
        outcome(ordered(&tea, 1));
        assert_eq!(stock(&tea), 5);
    }

    #[test]
    fn an_entry_that_is_no_number_is_skipped() {
        queue("first");
        let tea = item(250, 10);
        assert_eq!(outcome(ordered(&tea, 1)), "settled");
    }
}

#[test]
fn every_migration_is_recorded_once() {
    // Tests run in the root of their package.
    let files = std::fs::read_dir("../migrations").unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut expected: Vec<String> = files.map(|file| stem(file.unwrap().path())).collect();
    expected.sort();
    let rows = database().query("SELECT name FROM migrations ORDER BY name", &[]);
    let rows = rows.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get("name")).collect();
    assert_eq!(names, expected);
}
