//! Connecting to a TCP address, with a limit in time.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;

use crate::host::net::own_network::Network;

/// The reason why an address gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unanswered {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// The other side closed the connection without an answer.
    #[error("connection closed without an answer")]
    Closed,
    /// There was no answer in time.
    #[error("timed out after {}s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The answer is not an HTTP response.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// Another error of the system.
    #[error("{0}")]
    System(String),
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::System(error.to_string()),
        }
    }
}

/// Connects to `HOST:PORT` in a network, or in that of this process, and closes
/// the connection.
pub async fn answers(
    address: &str,
    network: Option<&Network>,
    limit: Duration,
) -> Result<(), Unanswered> {
    within(limit, async {
        connect(address, network).await?;
        Ok(())
    })
    .await
}

/// Connects to `HOST:PORT`.
pub(super) async fn connect(address: &str, network: Option<&Network>) -> io::Result<TcpStream> {
    match network {
        Some(network) => network.connect(address).await,
        None => TcpStream::connect(address).await,
    }
}

/// Ends an exchange after `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    exchange: impl Future<Output = Result<T, Unanswered>>,
) -> Result<T, Unanswered> {
    let answer = tokio::time::timeout(limit, exchange).await;
    answer.unwrap_or(Err(Unanswered::TimedOut(limit)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn listener_answers_until_it_is_closed() {
        let server = TcpListener::bind("127.41.2.1:0").unwrap();
        let address = server.local_addr().unwrap().to_string();
        assert_eq!(answers(&address, None, LIMIT).await, Ok(()));
        drop(server);
        assert_eq!(
            answers(&address, None, LIMIT).await,
            Err(Unanswered::Refused)
        );
    }

    #[tokio::test]
    async fn unknown_address_is_an_error_of_the_system() {
        let answer = answers("127.0.0.1", None, LIMIT).await;
        assert!(matches!(answer, Err(Unanswered::System(_))), "{answer:?}");
    }
}
