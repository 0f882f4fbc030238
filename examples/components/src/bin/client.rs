//! A test that tries again until its server answers.

use std::process::ExitCode;

use ansar_runtime::{Context, Maybe, Result, Settings, TestReport};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Serialize, Deserialize)]
struct Client {
    /// The address of the server.
    address: String,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:65432".to_owned(),
        }
    }
}

async fn client(cx: Context, Settings(to): Settings<Client>) -> Result<TestReport> {
    // `Maybe` asks for another attempt, after the delays of `retry`.
    let connected = TcpStream::connect(&to.address).await;
    let mut stream = connected.map_err(Maybe::because)?;
    stream.write_all(b"hello").await?;
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).await?;
    cx.test_eq(&reply, b"hello");
    Ok(cx.report())
}

fn main() -> ExitCode {
    ansar_runtime::main(client)
}
