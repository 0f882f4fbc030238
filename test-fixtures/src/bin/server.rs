//! A small network server that maps words to other words.
//!
//! The words come from `word-map` in its model folder; an unknown word is echoed.
//! It is ready when it listens.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;

use ansar_runtime::{Aborted, Context, Ready, Result, Settings};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Serialize, Deserialize)]
struct Server {
    host: String,
    port: u16,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 65432,
        }
    }
}

/// A word, and the word to answer with.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct WordMap {
    #[serde(with = "ansar_runtime::pairs")]
    words: BTreeMap<String, String>,
}

impl WordMap {
    fn answer<'w>(&'w self, word: &'w [u8]) -> &'w [u8] {
        std::str::from_utf8(word)
            .ok()
            .and_then(|word| self.words.get(word))
            .map_or(word, String::as_bytes)
    }
}

async fn server(cx: Context, ready: Ready, Settings(on): Settings<Server>) -> Result<Aborted> {
    let words = Rc::new(
        cx.model()
            .load::<WordMap>("word-map.json")?
            .unwrap_or_default(),
    );
    let listener = TcpListener::bind((on.host.as_str(), on.port)).await?;
    let listen = cx.child("listen");
    ready.announce();

    let mut sessions = JoinSet::new();
    while let Ok(accepted) = cx.unless_stopped(listener.accept()).await {
        let (stream, from) = accepted?;
        let session = listen.child("accepted");
        session.console(format_args!("Accepted on {from}"));
        let words = Rc::clone(&words);
        sessions.spawn_local(async move { serve(&session, stream, &words).await });
        while sessions.try_join_next().is_some() {}
    }
    // Sessions see the request to stop too: none outlives the server.
    while sessions.join_next().await.is_some() {}
    Ok(Aborted {})
}

async fn serve(cx: &Context, mut stream: TcpStream, words: &WordMap) {
    let mut word = [0; 1024];
    let session = async {
        loop {
            let length = stream.read(&mut word).await?;
            if length == 0 {
                return Ok(());
            }
            stream.write_all(words.answer(&word[..length])).await?;
        }
    };
    let ended: std::result::Result<std::io::Result<()>, Aborted> = cx.unless_stopped(session).await;
    if let Ok(Err(error)) = ended {
        cx.warning(format_args!("Session error - \"{error}\""));
    }
}

fn main() -> ExitCode {
    ansar_runtime::main(server)
}
