//! Items: their price and their stock.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::AppendHeaders;
use redis::AsyncCommands;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::shop::Shop;

/// Time that a price stays in the cache, in seconds.
const CACHED_SECONDS: u64 = 60;

/// An item of the shop.
#[derive(Serialize)]
pub struct Item {
    name: String,
    price_cents: i64,
    stock: i64,
}

/// The price and the stock that an item gets.
#[derive(Deserialize)]
pub struct NewItem {
    price_cents: i64,
    stock: i64,
}

/// The price of an item.
#[derive(Serialize)]
pub struct Price {
    price_cents: i64,
}

/// Creates an item, or changes its price and its stock.
pub async fn put(
    State(shop): State<Shop>,
    Path(name): Path<String>,
    Json(new): Json<NewItem>,
) -> Result<Json<Item>, Failure> {
    let NewItem { price_cents, stock } = new;
    if price_cents < 0 || stock < 0 {
        return Err(Failure::Refused("price and stock are 0 or more"));
    }
    let database = shop.database().await?;
    database
        .execute(
            "INSERT INTO items (name, price_cents, stock) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET price_cents = $2, stock = $3",
            &[&name, &price_cents, &stock],
        )
        .await?;
    let () = shop.redis().del(cache_key(&name)).await?;
    Ok(Json(Item {
        name,
        price_cents,
        stock,
    }))
}

/// Returns an item with its present stock.
pub async fn get(
    State(shop): State<Shop>,
    Path(name): Path<String>,
) -> Result<Json<Item>, Failure> {
    let database = shop.database().await?;
    let found = database
        .query_opt(
            "SELECT price_cents, stock FROM items WHERE name = $1",
            &[&name],
        )
        .await?;
    let row = found.ok_or(Failure::NotFound)?;
    Ok(Json(Item {
        name,
        price_cents: row.get("price_cents"),
        stock: row.get("stock"),
    }))
}

/// Returns the price of an item, from the cache if it is there. The header
/// `x-cache` says so.
pub async fn price(
    State(shop): State<Shop>,
    Path(name): Path<String>,
) -> Result<
    (
        AppendHeaders<[(&'static str, &'static str); 1]>,
        Json<Price>,
    ),
    Failure,
> {
    let key = cache_key(&name);
    let mut redis = shop.redis();
    let cached: Option<i64> = redis.get(&key).await?;
    let (from, price_cents) = match cached {
        Some(price_cents) => ("hit", price_cents),
        None => {
            let Json(item) = get(State(shop), Path(name)).await?;
            let () = redis.set_ex(&key, item.price_cents, CACHED_SECONDS).await?;
            ("miss", item.price_cents)
        }
    };
    Ok((
        AppendHeaders([("x-cache", from)]),
        Json(Price { price_cents }),
    ))
}

fn cache_key(name: &str) -> String {
    format!("price:{name}")
}
