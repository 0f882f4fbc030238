//! An HTTP server on a loopback port, for a browser of this machine.
//!
//! It speaks the part of HTTP/1.1 that such a browser needs. A connection carries
//! one request and is closed after its response, so that no byte of one request
//! is ever taken for another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::str;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Largest request, in bytes.
const LARGEST: usize = 256 << 10;
/// Maximum number of headers of a request.
const MOST_HEADERS: usize = 100;
/// Maximum number of connections at once; others wait to be accepted.
const MOST_CONNECTIONS: usize = 200;
/// Time that a client gets to send its request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a connection that cannot be accepted, such as without a free
/// descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens. Dropping it closes the port.
#[derive(Debug)]
pub struct WebServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, with a `/` before it, not decoded.
    pub path: String,
    /// The part behind `?`, not decoded; empty if there is none.
    pub query: String,
    /// The body.
    pub body: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

/// A response.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names and values of headers, none of which has a line break.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// The body of a response.
#[derive(Debug)]
pub enum Body {
    /// A text.
    Text(String),
    /// Texts that are sent one by one, until the sender is dropped. The receiver
    /// is dropped when the client closes the connection.
    Stream(Receiver<String>),
}

impl Request {
    /// Returns the value of a header; `None` if it is missing, repeated, or no
    /// text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers_of(name);
        let value = values.next()?;
        str::from_utf8(value)
            .ok()
            .filter(|_| values.next().is_none())
    }

    /// Returns true if there is a header of this name.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers_of(name).next().is_some()
    }

    fn headers_of(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let headers = self.headers.iter();
        let named = headers.filter(move |(it, _)| it.eq_ignore_ascii_case(name));
        named.map(|(_, value)| &**value)
    }
}

impl WebServer {
    /// Listens on a loopback port; 0 chooses a free one. Must be called within
    /// the runtime.
    pub async fn listen(port: u16) -> io::Result<Self> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests for ever. Dropping the future closes all connections.
    pub async fn serve(&self, answer: impl Fn(&Request) -> Response + 'static) {
        let answer = Rc::new(answer);
        let mut connections = JoinSet::new();
        loop {
            let has_room = connections.len() < MOST_CONNECTIONS;
            tokio::select! {
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((stream, _)) => {
                        let answer = answer.clone();
                        connections.spawn_local(async move {
                            // A client that breaks off needs no answer.
                            let _ = respond(stream, &*answer).await;
                        });
                    }
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// Reads the request of a connection, and sends its response.
async fn respond(mut stream: TcpStream, answer: &impl Fn(&Request) -> Response) -> io::Result<()> {
    let Ok(request) = timeout(PATIENCE, read(&mut stream)).await else {
        return Ok(());
    };
    let response = match request? {
        Some(Ok(request)) => answer(&request),
        Some(Err(refusal)) => Response {
            status: refusal.status(),
            headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
            body: Body::Text(format!("refused: {}\n", refusal.text())),
        },
        None => return Ok(()),
    };
    let mut head = format!("HTTP/1.1 {} \r\nconnection: close\r\n", response.status);
    for (name, value) in &response.headers {
        head.extend([*name, ": ", value, "\r\n"]);
    }
    match response.body {
        Body::Text(text) => {
            let rest = format!("content-length: {}\r\n\r\n{text}", text.len());
            head.push_str(&rest);
            stream.write_all(head.as_bytes()).await?;
        }
        Body::Stream(texts) => {
            head.push_str("\r\n");
            stream.write_all(head.as_bytes()).await?;
            send(&mut stream, texts).await?;
        }
    }
    stream.shutdown().await
}

/// Sends texts until there are no more, or the client closes the connection.
async fn send(stream: &mut TcpStream, mut texts: Receiver<String>) -> io::Result<()> {
    let (mut input, mut output) = stream.split();
    // Bytes behind a request are ignored.
    let closed = async {
        let mut ignored = [0; 512];
        while input.read(&mut ignored).await? > 0 {}
        Ok(())
    };
    let sent = async {
        while let Some(text) = texts.recv().await {
            output.write_all(text.as_bytes()).await?;
        }
        Ok(())
    };
    tokio::select! {
        closed = closed => closed,
        sent = sent => sent,
    }
}

/// The reason why a request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NotHttp,
    TooLong,
    Encoded,
}

impl Refusal {
    fn status(self) -> u16 {
        match self {
            Self::NotHttp => 400,
            Self::TooLong => 413,
            Self::Encoded => 501,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::NotHttp => "this is not a request of HTTP/1.1",
            Self::TooLong => "the request is too long",
            Self::Encoded => "the body of a request must be sent as it is",
        }
    }
}

/// Reads a request; `None` if the client sends none.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Result<Request, Refusal>>> {
    let mut bytes = Vec::with_capacity(8 << 10);
    loop {
        match parse(&bytes) {
            Ok(None) if bytes.len() > LARGEST => return Ok(Some(Err(Refusal::TooLong))),
            Ok(None) => {}
            Ok(Some(request)) => return Ok(Some(Ok(request))),
            Err(refusal) => return Ok(Some(Err(refusal))),
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// Parses a request; returns `None` if it is incomplete.
fn parse(bytes: &[u8]) -> Result<Option<Request>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLong),
        Err(_) => return Err(Refusal::NotHttp),
    };
    let target = head.path.unwrap_or_default();
    if !target.starts_with('/') {
        return Err(Refusal::NotHttp);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = head.headers.iter();
    let headers = headers.map(|header| (header.name.to_owned(), header.value.to_owned()));
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: Vec::new(),
        headers: headers.collect(),
    };
    if request.has_header("transfer-encoding") {
        return Err(Refusal::Encoded);
    }
    if request.has_header("content-length") {
        let text = request.header("content-length").unwrap_or_default();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(Refusal::NotHttp);
        }
        // A number that is too large for its type is too long as well.
        let size = text.parse().unwrap_or(usize::MAX);
        if size > LARGEST {
            return Err(Refusal::TooLong);
        }
        match bytes[length..].get(..size) {
            Some(body) => body.clone_into(&mut request.body),
            None => return Ok(None),
        }
    }
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::mpsc;
    use tokio::task::LocalSet;

    use super::*;

    /// Sends some bytes to a server, and returns its response.
    async fn exchange(server: &WebServer, sent: &[u8]) -> String {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut received = String::new();
        stream.read_to_string(&mut received).await.unwrap();
        received
    }

    /// Returns the request as a response.
    fn echo(request: &Request) -> Response {
        let body = String::from_utf8_lossy(&request.body);
        let agent = request.header("user-agent").unwrap_or("unknown");
        let text = format!(
            "{} {} {} {agent} {body}",
            request.method, request.path, request.query
        );
        Response {
            status: 200,
            headers: vec![("x-kind", "echo".to_owned())],
            body: Body::Text(text),
        }
    }

    /// Runs a client beside a server that answers with `answer`.
    async fn beside<T>(
        answer: impl Fn(&Request) -> Response + 'static,
        client: impl AsyncFnOnce(&WebServer) -> T,
    ) -> T {
        let server = WebServer::listen(0).await.unwrap();
        let both = async {
            tokio::select! {
                () = server.serve(answer) => unreachable!("it serves for ever"),
                done = client(&server) => done,
            }
        };
        LocalSet::new().run_until(both).await
    }

    #[tokio::test]
    async fn requests_are_answered() {
        beside(echo, async |server| {
            let get = b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\n\r\n";
            assert_eq!(
                exchange(server, get).await,
                "HTTP/1.1 200 \r\nconnection: close\r\nx-kind: echo\r\n\
                 content-length: 18\r\n\r\nGET /a%20b c=d me ",
            );
            let post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbodyGET /";
            let answer = exchange(server, post).await;
            assert!(answer.ends_with("\r\n\r\nPOST /  unknown body"), "{answer}");
        })
        .await;
    }

    #[tokio::test]
    async fn other_requests_are_refused() {
        beside(echo, async |server| {
            let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(2 * LARGEST));
            let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
            for (sent, status) in [
                ("nonsense\r\n\r\n", 400),
                ("GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400),
                ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
                (
                    "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                    400,
                ),
                (
                    "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                    413,
                ),
                ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
                (&*many, 413),
            ] {
                let answer = exchange(server, sent.as_bytes()).await;
                let first = format!("HTTP/1.1 {status} \r\n");
                assert!(answer.starts_with(&first), "{sent}: {answer}");
            }
            assert_eq!(parse(long.as_bytes()), Ok(None));
        })
        .await;
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_sender_or_its_client() {
        let (senders, mut streams) = mpsc::unbounded_channel();
        let answer = move |_: &Request| {
            let (sender, texts) = mpsc::channel(1);
            senders.send(sender).unwrap();
            Response {
                status: 200,
                headers: Vec::new(),
                body: Body::Stream(texts),
            }
        };
        beside(answer, async |server| {
            let get = b"GET / HTTP/1.1\r\n\r\n";
            let (answer, ()) = tokio::join!(exchange(server, get), async {
                let sender = streams.recv().await.unwrap();
                sender.send("one ".to_owned()).await.unwrap();
                sender.send("two".to_owned()).await.unwrap();
            });
            assert!(answer.ends_with("\r\n\r\none two"), "{answer}");
            let mut client = TcpStream::connect(server.address()).await.unwrap();
            client.write_all(get).await.unwrap();
            let sender = streams.recv().await.unwrap();
            drop(client);
            sender.closed().await;
        })
        .await;
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_request_is_read_in_pieces(body in "[a-z]{0,20}", cut in 0usize..60) {
            let sent = format!("POST /p HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let whole = parse(sent.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(whole.body, body.as_bytes());
            let piece = &sent.as_bytes()[..cut.min(sent.len() - 1)];
            prop_assert_eq!(parse(piece), Ok(None));
        }
    }
}
