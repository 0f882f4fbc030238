//! The HTTP interface of the shop. Its port and the addresses of PostgreSQL and
//! Redis are options or environment variables, its own address is an option.

mod failure;
mod items;
mod orders;
mod shop;

use std::error::Error;
use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::failure::Failure;
use crate::shop::Shop;

/// Serves items and orders over HTTP.
#[derive(Parser)]
struct Options {
    /// Address to listen on
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST)]
    host: Ipv4Addr,
    /// Port to listen on
    #[arg(long, env)]
    port: u16,
    /// Address of PostgreSQL: postgres://USER@HOST:PORT/DATABASE
    #[arg(long, env)]
    database_url: String,
    /// Address of Redis: redis://HOST:PORT
    #[arg(long, env)]
    redis_url: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt::init();
    let options = Options::parse();
    let shop = Shop::new(&options.database_url, &options.redis_url)?;
    let listener = TcpListener::bind((options.host, options.port)).await?;
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
