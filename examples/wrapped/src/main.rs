//! A server on actix. Without the two lines that name `ansar_runtime`, it is
//! the same server.

use std::process::ExitCode;

use actix_web::{App, HttpServer, web};
use anyhow::Context;

fn main() -> ExitCode {
    ansar_runtime::wrap(real_main)
}

#[actix_web::main]
async fn real_main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).context("expected an address")?;
    let server = HttpServer::new(|| App::new().route("/{name}", web::get().to(greet)))
        .workers(1)
        .bind(address)?
        .run();
    ansar_runtime::ready();
    server.await?;
    Ok(())
}

async fn greet(name: web::Path<String>) -> String {
    format!("hello, {name}")
}
