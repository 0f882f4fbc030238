//! Requests that fail, and their answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tracing::error;

/// The reason why a request failed.
pub enum Failure {
    /// The request is well-formed, but its content is not accepted.
    Refused(&'static str),
    /// There is no such item or order.
    NotFound,
    /// The order is in a state that forbids the change.
    Conflict(&'static str),
    /// PostgreSQL or Redis does not answer.
    Unavailable(String),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Refused(text) => (StatusCode::UNPROCESSABLE_ENTITY, text.to_owned()),
            Self::NotFound => (StatusCode::NOT_FOUND, "not found".to_owned()),
            Self::Conflict(text) => (StatusCode::CONFLICT, text.to_owned()),
            Self::Unavailable(text) => {
                error!("{text}");
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
        };
        (status, Json(json!({ "error": text }))).into_response()
    }
}

impl From<deadpool_postgres::PoolError> for Failure {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Unavailable(format!("database: {error}"))
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Unavailable(format!("database: {error}"))
    }
}

impl From<redis::RedisError> for Failure {
    fn from(error: redis::RedisError) -> Self {
        Self::Unavailable(format!("redis: {error}"))
    }
}
