//! The HTTP interface of the shop. Its port and the addresses of PostgreSQL and
//! Redis are environment variables.

mod failure;
mod items;
mod orders;
mod shop;

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::failure::Failure;
use crate::shop::Shop;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt::init();
    let shop = Shop::new(&variable("DATABASE_URL")?, &variable("REDIS_URL")?)?;
    let port: u16 = variable("PORT")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    info!("listening on {}", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        info!("stopping");
    };
    let server = axum::serve(listener, router(shop));
    server.with_graceful_shutdown(stop).await?;
    info!("stopped");
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set"))
}

fn router(shop: Shop) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/items/{name}", get(items::get).put(items::put))
        .route("/items/{name}/price", get(items::price))
        .route("/orders", post(orders::post).get(orders::list))
        .route("/orders/{id}", get(orders::get).delete(orders::cancel))
        .with_state(shop)
}

/// Answers 200 once the database does, and 503 until then.
async fn health(State(shop): State<Shop>) -> Result<&'static str, Failure> {
    shop.database().await?.query_one("SELECT 1", &[]).await?;
    Ok("ok")
}
