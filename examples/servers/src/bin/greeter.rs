//! A server on actix, whose port is a variable.

use std::net::Ipv4Addr;

use actix_web::{App, HttpServer, web};
use anyhow::Context;
use tracing::info;

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let port = std::env::var("PORT").context("PORT is not set")?;
    let port = port.parse().context("PORT is not a number")?;
    let server = HttpServer::new(|| App::new().route("/{name}", web::get().to(greet)))
        .workers(2)
        .bind((Ipv4Addr::LOCALHOST, port))?;
    info!("listening on port {port}");
    server.run().await?;
    info!("stopped");
    Ok(())
}

async fn greet(name: web::Path<String>) -> String {
    info!("greets {name}");
    format!("hello, {name}")
}
