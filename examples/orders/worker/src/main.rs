//! Settles orders: takes their numbers from the Redis list `orders`, and changes
//! stock and order in one transaction of PostgreSQL.
//!
//! The database is the truth and the list only says where to look. The worker
//! may be killed at any moment, and a number may be in the list twice: an order
//! is settled once, and orders that are still pending are settled at the start.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::thread;
use std::time::Duration;

use postgres::{Client, NoTls};
use redis::Commands;
use tracing::{info, warn};

/// Pause before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt::init();
    let database_url = env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let redis_url = env::var("REDIS_URL").map_err(|_| "REDIS_URL is not set")?;
    loop {
        let Err(error) = work(&database_url, &redis_url);
        warn!("{error}");
        thread::sleep(PAUSE);
    }
}

/// Settles orders until a connection is lost.
fn work(database_url: &str, redis_url: &str) -> Result<Infallible, Box<dyn Error>> {
    let mut database = Client::connect(database_url, NoTls)?;
    let mut queue = redis::Client::open(redis_url)?.get_connection()?;
    let pending = "SELECT id FROM orders WHERE status = 'pending' ORDER BY id";
    for row in database.query(pending, &[])? {
        settle(&mut database, row.get("id"))?;
    }
    info!("waiting for orders");
    loop {
        let (_, entry): (String, String) = queue.blpop("orders", 0.0)?;
        match entry.parse() {
            Ok(order) => settle(&mut database, order)?,
            Err(_) => warn!(entry, "not the number of an order"),
        }
    }
}

/// Settles an order if the stock suffices, and rejects it otherwise. Does
/// nothing if it is not pending.
fn settle(database: &mut Client, order: i64) -> Result<(), postgres::Error> {
    let mut transaction = database.transaction()?;
    let pending = transaction.query_opt(
        "SELECT item, quantity FROM orders WHERE id = $1 AND status = 'pending' FOR UPDATE",
        &[&order],
    )?;
    let Some(row) = pending else {
        info!(order, "not pending");
        return Ok(());
    };
    let (item, quantity): (&str, i64) = (row.get("item"), row.get("quantity"));
    let taken = transaction.execute(
        "UPDATE items SET stock = stock - $2 WHERE name = $1 AND stock >= $2",
        &[&item, &quantity],
    )?;
    let status = if taken == 1 { "settled" } else { "rejected" };
    transaction.execute(
        "UPDATE orders SET status = $2 WHERE id = $1",
        &[&order, &status],
    )?;
    transaction.commit()?;
    info!(order, item, quantity, status);
    Ok(())
}
