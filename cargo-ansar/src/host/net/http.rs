//! A GET request that finds out the status code of an `http://` URL.
//!
//! The body is not read. Redirects are not followed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::host::net::own_network::Network;
use crate::host::net::tcp::{Unanswered, connect, within};

/// Maximum length of the head of a response, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// Maximum number of headers of a response.
const MOST_HEADERS: usize = 128;
const DEFAULT_PORT: u16 = 80;

/// An `http://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    /// The host and port as written, for the `Host` header.
    authority: String,
    host: String,
    port: u16,
    path: String,
}

/// The reason why a text is not a URL that can be requested.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It has another scheme, or none.
    #[error("a URL must begin with `http://`")]
    Scheme,
    /// It has no host.
    #[error("the URL has no host")]
    Host,
    /// Its port is not a number from 1 to 65535.
    #[error("the port of the URL is not a number from 1 to 65535")]
    Port,
    /// It has a user name, which is not supported.
    #[error("the URL has a user name, which is not supported")]
    User,
    /// It has a space, a control character, or a character outside ASCII.
    #[error("the URL has a character that must be percent-encoded")]
    Character,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic();
        if !text.bytes().all(is_plain) {
            return Err(UrlError::Character);
        }
        let scheme = text
            .get(..7)
            .filter(|it| it.eq_ignore_ascii_case("http://"));
        let rest = &text[scheme.ok_or(UrlError::Scheme)?.len()..];
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let end_of_host = authority.rfind(']').map_or(0, |end| end + 1);
        let colon = authority[end_of_host..].find(':');
        let (host, port) = authority.split_at(colon.map_or(authority.len(), |at| end_of_host + at));
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => Some(DEFAULT_PORT),
        };
        let host = host
            .strip_prefix('[')
            .map_or(host, |host| host.trim_end_matches(']'));
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        Ok(Self {
            text: text.to_owned(),
            authority: authority.to_owned(),
            host: host.to_owned(),
            port: port.ok_or(UrlError::Port)?,
            path: format!("{}{path}", if path.starts_with('/') { "" } else { "/" }),
        })
    }
}

impl Url {
    /// Returns the `HOST:PORT` to connect to.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Sends a GET request in a network, or in that of this process, and returns the
/// status code of the response.
pub async fn status(
    url: &Url,
    network: Option<&Network>,
    limit: Duration,
) -> Result<u16, Unanswered> {
    within(limit, async {
        let mut stream = connect(&url.address(), network).await?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: cargo-ansar\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n",
            url.path, url.authority
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        loop {
            if let Some(status) = parse(&mut head)? {
                return Ok(status);
            }
            if head.len() > LONGEST_HEAD {
                return Err(Unanswered::NotHttp);
            }
            if stream.read_buf(&mut head).await? == 0 {
                return Err(Unanswered::Closed);
            }
        }
    })
    .await
}

/// Returns the status code of the first final response in `head`, and removes
/// informational ones. Returns `None` if it is incomplete.
fn parse(head: &mut Vec<u8>) -> Result<Option<u16>, Unanswered> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(head) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Unanswered::NotHttp),
        };
        match response.code {
            Some(100..200) => drop(head.drain(..length)),
            code => return Ok(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    /// A status line without an end.
    static ENDLESS: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut answer = b"HTTP/1.1 200 ".to_vec();
        answer.resize(2 * LONGEST_HEAD, b'x');
        answer
    });

    /// Serves one connection: reads a request, then writes `answer`. Returns
    /// the result of a request of `/up`, and the text of that request.
    async fn exchange(answer: &'static [u8]) -> (Result<u16, Unanswered>, String) {
        let server = TcpListener::bind("127.41.3.1:0").await.unwrap();
        let url = format!("http://{}/up", server.local_addr().unwrap());
        let url: Url = url.parse().unwrap();
        let serve = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            // The client may have heard enough.
            let _ = stream.write_all(answer).await;
            String::from_utf8(request).unwrap()
        };
        tokio::join!(status(&url, None, LIMIT), serve)
    }

    #[tokio::test]
    async fn status_is_returned() {
        let (status, request) = exchange(b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n").await;
        assert_eq!(status, Ok(503));
        assert!(
            request.starts_with("GET /up HTTP/1.1\r\nHost: 127.41.3.1:"),
            "{request}"
        );
        let (status, _) = exchange(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 204 \r\n\r\n").await;
        assert_eq!(status, Ok(204));
    }

    #[tokio::test]
    async fn other_answers_are_errors() {
        assert_eq!(exchange(b"").await.0, Err(Unanswered::Closed));
        assert_eq!(exchange(b"HTTP/1.1 2").await.0, Err(Unanswered::Closed));
        assert_eq!(exchange(b"-LOADING\r\n").await.0, Err(Unanswered::NotHttp));
        assert_eq!(exchange(&ENDLESS).await.0, Err(Unanswered::NotHttp));
    }

    #[tokio::test]
    async fn silence_is_limited() {
        let server = TcpListener::bind("127.41.3.2:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let limit = Duration::from_millis(1);
        let status = status(&url.parse().unwrap(), None, limit).await;
        assert_eq!(status, Err(Unanswered::TimedOut(limit)));
    }

    #[test]
    fn url_is_parsed() {
        for (text, host, port, path) in [
            (
                "http://127.0.0.1:20417/health",
                "127.0.0.1",
                20417,
                "/health",
            ),
            ("HTTP://localhost", "localhost", 80, "/"),
            ("http://[::1]:8080?full=1#top", "::1", 8080, "/?full=1"),
            ("http://[::1]/a:b", "::1", 80, "/a:b"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((&*url.host, url.port, &*url.path), (host, port, path));
            assert_eq!(url.to_string(), text);
            assert!(url.address().ends_with(&format!(":{port}")));
        }
        for (text, expected) in [
            ("https://localhost/", UrlError::Scheme),
            ("localhost:80", UrlError::Scheme),
            ("http:///up", UrlError::Host),
            ("http://:80/up", UrlError::Host),
            ("http://a:0", UrlError::Port),
            ("http://a:65536", UrlError::Port),
            ("http://me@a/", UrlError::User),
            ("http://a/\r\nX: y", UrlError::Character),
            ("http://a/ü", UrlError::Character),
        ] {
            assert_eq!(text.parse::<Url>(), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "(http://)?[\\PC]{0,20}") {
            let _ = text.parse::<Url>();
        }

        #[test]
        fn any_head_is_parsed_or_refused(mut head: Vec<u8>) {
            let _ = parse(&mut head);
        }
    }
}
