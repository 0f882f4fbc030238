//! A small test client that asks the server for words and checks the answers.

use std::process::ExitCode;

use ansar_runtime::{Context, Maybe, Result, Settings, TestReport};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Serialize, Deserialize)]
struct Client {
    host: String,
    port: u16,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 65432,
        }
    }
}

/// A word, as it is sent and shown.
struct Word<'w>(&'w [u8]);

impl std::fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

async fn client(cx: Context, Settings(to): Settings<Client>) -> Result<TestReport> {
    let mut stream = connect(&cx, &to).await?;
    cx.console(format_args!("Connected to {}", stream.peer_addr()?));

    let (word, expect) = (b"fervent", b"eager");
    let reply = ask(&mut stream, word).await?;
    cx.test(reply == expect, disagreement(word, expect, &reply));

    let (word, expect) = (b"explain", b"define");
    let reply = ask(&mut stream, word).await?;
    cx.test(reply == expect, disagreement(word, expect, &reply));

    let (word, expect) = (b"fly", b"droll");
    let reply = ask(&mut stream, word).await?;
    cx.test(reply == expect, disagreement(word, expect, &reply));

    Ok(cx.report())
}

async fn connect(cx: &Context, to: &Client) -> Result<TcpStream, Maybe> {
    TcpStream::connect((to.host.as_str(), to.port))
        .await
        .map_err(|error| {
            cx.warning(format_args!("Session error - \"{error}\""));
            Maybe::because(error)
        })
}

async fn ask(stream: &mut TcpStream, word: &[u8]) -> Result<Vec<u8>> {
    stream.write_all(word).await?;
    let mut reply = vec![0; 1024];
    let length = stream.read(&mut reply).await?;
    reply.truncate(length);
    Ok(reply)
}

fn disagreement(word: &[u8], expect: &[u8], reply: &[u8]) -> String {
    let (word, expect, reply) = (Word(word), Word(expect), Word(reply));
    format!("expected {expect} for {word}, got {reply}")
}

fn main() -> ExitCode {
    ansar_runtime::main(client)
}
