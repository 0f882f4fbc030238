//! Orders: created as pending, then settled or rejected by the worker.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use redis::AsyncCommands;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tracing::info;

use crate::failure::Failure;
use crate::shop::Shop;

/// An order and its state.
#[derive(Serialize)]
pub struct Order {
    id: i64,
    item: String,
    quantity: i64,
    total_cents: i64,
    status: String,
}

/// An order as a client sends it. Two with the same key are one order.
#[derive(Deserialize)]
pub struct NewOrder {
    item: String,
    quantity: i64,
    key: Option<String>,
}

/// The search of [`list`].
#[derive(Deserialize)]
pub struct Search {
    item: String,
}

impl From<Row> for Order {
    fn from(row: Row) -> Self {
        Self {
            id: row.get("id"),
            item: row.get("item"),
            quantity: row.get("quantity"),
            total_cents: row.get("total_cents"),
            status: row.get("status"),
        }
    }
}

/// Creates a pending order and queues it for the worker: 201. An order with a
/// known key is returned as it is: 200.
pub async fn post(
    State(shop): State<Shop>,
    Json(new): Json<NewOrder>,
) -> Result<(StatusCode, Json<Order>), Failure> {
    if !(1..=1_000_000).contains(&new.quantity) {
        return Err(Failure::Refused("the quantity is from 1 to 1000000"));
    }
    let database = shop.database().await?;
    let created = database
        .query_opt(
            "INSERT INTO orders (item, quantity, total_cents, key)
             SELECT name, $2, price_cents * $2, $3 FROM items WHERE name = $1
             ON CONFLICT (key) DO NOTHING
             RETURNING id, item, quantity, total_cents, status",
            &[&new.item, &new.quantity, &new.key],
        )
        .await?;
    let (status, row) = match created {
        Some(row) => (StatusCode::CREATED, row),
        None => {
            let known = database
                .query_opt(
                    "SELECT id, item, quantity, total_cents, status FROM orders WHERE key = $1",
                    &[&new.key],
                )
                .await?;
            (StatusCode::OK, known.ok_or(Failure::NotFound)?)
        }
    };
    let order = Order::from(row);
    if order.status == "pending" {
        let () = shop.redis().rpush("orders", order.id).await?;
        info!(order.id, order.item, order.quantity, "queued");
    }
    Ok((status, Json(order)))
}

/// Returns an order.
pub async fn get(State(shop): State<Shop>, Path(id): Path<i64>) -> Result<Json<Order>, Failure> {
    let database = shop.database().await?;
    let found = database
        .query_opt(
            "SELECT id, item, quantity, total_cents, status FROM orders WHERE id = $1",
            &[&id],
        )
        .await?;
    Ok(Json(found.ok_or(Failure::NotFound)?.into()))
}

/// Returns the last 100 orders of an item, newest first.
pub async fn list(
    State(shop): State<Shop>,
    Query(search): Query<Search>,
) -> Result<Json<Vec<Order>>, Failure> {
    let database = shop.database().await?;
    let rows = database
        .query(
            "SELECT id, item, quantity, total_cents, status FROM orders
             WHERE item = $1 ORDER BY id DESC LIMIT 100",
            &[&search.item],
        )
        .await?;
    Ok(Json(rows.into_iter().map(Order::from).collect()))
}

/// Cancels an order that is still pending.
pub async fn cancel(State(shop): State<Shop>, Path(id): Path<i64>) -> Result<StatusCode, Failure> {
    let database = shop.database().await?;
    let cancelled = database
        .execute(
            "UPDATE orders SET status = 'cancelled' WHERE id = $1 AND status = 'pending'",
            &[&id],
        )
        .await?;
    if cancelled == 1 {
        return Ok(StatusCode::NO_CONTENT);
    }
    let Json(order) = get(State(shop), Path(id)).await?;
    Err(Failure::Conflict(match order.status.as_str() {
        "cancelled" => "the order is cancelled already",
        "rejected" => "the order was rejected",
        _ => "the order is settled",
    }))
}
