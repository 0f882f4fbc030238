//! A server on tokio, whose address is an argument. It sends back every line,
//! and stops at Control-C.

use std::pin::pin;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).context("expected an address")?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut stop = pin!(signal::ctrl_c());
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                tokio::spawn(echo(accepted?.0));
            }
            heard = &mut stop => {
                heard?;
                break;
            }
        }
    }
    println!("stopped");
    Ok(())
}

async fn echo(stream: TcpStream) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await? {
        println!("heard {line}");
        eprintln!("says {line}");
        let answer = format!("{line}\n");
        lines.get_mut().write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
