//! The connections that every request uses.

use std::error::Error;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio_postgres::NoTls;

use crate::failure::Failure;

/// Connections to PostgreSQL and Redis. Each is made when it is first used, and
/// made again after it was lost.
#[derive(Clone)]
pub struct Shop {
    database: Pool,
    redis: ConnectionManager,
}

impl Shop {
    /// Returns a shop without connections.
    pub fn new(database_url: &str, redis_url: &str) -> Result<Self, Box<dyn Error>> {
        let recycling_method = RecyclingMethod::Verified;
        let manager = Manager::from_config(
            database_url.parse()?,
            NoTls,
            ManagerConfig { recycling_method },
        );
        let redis = redis::Client::open(redis_url)?;
        let config = ConnectionManagerConfig::new();
        Ok(Self {
            database: Pool::builder(manager).build()?,
            redis: redis.get_connection_manager_lazy(config)?,
        })
    }

    /// Takes a connection to the database from the pool.
    pub async fn database(&self) -> Result<Object, Failure> {
        Ok(self.database.get().await?)
    }

    /// Returns a connection to Redis, which all requests share.
    pub fn redis(&self) -> ConnectionManager {
        self.redis.clone()
    }
}
