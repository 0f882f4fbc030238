//! A server that knows nothing of `cargo ansar`, for tests and the benchmark.
//!
//! `serves ADDRESS [--after MILLISECONDS] [--status FILE] [--note FILE]`
//!
//! It listens on ADDRESS, after a while if asked to, and writes the time at
//! which it does to the file of `--note`, in nanoseconds since 1970. It answers
//! each request with the status code in the file of `--status`, or with 200 if
//! there is no such file. After a request of `/close` it listens no longer.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it is a program of its own"
)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use std::{fs, thread};

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let address = words.next().ok_or(io::ErrorKind::InvalidInput)?;
    let (mut status, mut note) = (None, None);
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        match option.as_str() {
            "--after" => {
                let after = value.parse().map_err(io::Error::other)?;
                thread::sleep(Duration::from_millis(after));
            }
            "--status" => status = Some(PathBuf::from(value)),
            "--note" => note = Some(PathBuf::from(value)),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    let listener = TcpListener::bind(&address)?;
    if let Some(note) = note {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let since = since.map_err(io::Error::other)?.as_nanos();
        fs::write(note, since.to_string())?;
    }
    println!("listening on {address}");
    for stream in listener.incoming() {
        let status = status
            .as_ref()
            .and_then(|file| fs::read_to_string(file).ok());
        let status = status.as_deref().unwrap_or("200").trim();
        // A client may leave without a request.
        if answer(&stream?, status).is_ok_and(|path| path == "/close") {
            break;
        }
    }
    drop(listener);
    println!("closed");
    loop {
        thread::park();
    }
}

/// Answers a request, and returns its path.
fn answer(mut stream: &TcpStream, status: &str) -> io::Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    stream.write_all(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
    let path = request.split(' ').nth(1);
    Ok(path.unwrap_or_default().to_owned())
}
