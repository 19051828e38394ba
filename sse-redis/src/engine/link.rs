//! One connection to Redis, which is made again when it is lost.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, Value};

use super::{CONNECT_TIMEOUT, LogError};

/// A connection that is made at the first call, and again at the first call after an error.
pub(crate) struct Link {
    client: Client,
    response_timeout: Duration,
    connection: Option<MultiplexedConnection>,
}

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Server {
    /// The major version of Redis whose commands it has.
    pub(crate) major_version: u32,
    pub(crate) version: String,
    pub(crate) eviction_policy: String,
    pub(crate) is_replica: bool,
}

impl Link {
    pub(crate) fn new(client: Client, response_timeout: Duration) -> Link {
        Link { client, response_timeout, connection: None }
    }

    /// Makes the connection if it is lost.
    pub(crate) async fn connect(&mut self) -> Result<(), LogError> {
        if self.connection.is_none() {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(self.response_timeout));
            let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Closes the connection. The next call makes another one.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Returns the connection, for calls that run at the same time.
    pub(crate) async fn share(&mut self) -> Result<MultiplexedConnection, LogError> {
        self.connect().await?;
        self.connection.clone().ok_or(LogError::Reply("no connection"))
    }

    pub(crate) async fn call(&mut self, command: &Cmd) -> Result<Value, LogError> {
        let mut connection = self.share().await?;
        let reply = connection.send_packed_command(command).await.and_then(Value::extract_error);
        self.check(reply)
    }

    /// Sends a transaction, and returns the replies of its commands. Each can be an error of its own.
    pub(crate) async fn transaction(
        connection: &mut MultiplexedConnection,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>, LogError> {
        let count = pipeline.len();
        let replies = connection.send_packed_commands(pipeline, count.saturating_add(1), 1).await?;
        match replies.into_iter().next() {
            Some(Value::Array(replies)) if replies.len() == count => Ok(replies),
            Some(Value::ServerError(error)) => Err(LogError::from(redis::RedisError::from(error))),
            _ => Err(LogError::Reply("the reply of a transaction")),
        }
    }

    /// Disconnects after an error that leaves the connection in an unknown state.
    fn check(&mut self, reply: redis::RedisResult<Value>) -> Result<Value, LogError> {
        let reply = reply.map_err(LogError::from);
        if reply.as_ref().is_err_and(LogError::is_temporary) {
            self.disconnect();
        }
        reply
    }

    /// Asks the server what it is.
    pub(crate) async fn server(&mut self) -> Result<Server, LogError> {
        let reply = self.call(&redis::cmd("INFO")).await?;
        let Some(text) = super::parse::text(&reply) else { return Err(LogError::Reply("INFO")) };
        Ok(server(&text))
    }
}

/// Reads the reply of `INFO`.
fn server(info: &str) -> Server {
    let mut server = Server::default();
    for line in info.lines() {
        match line.split_once(':') {
            Some(("redis_version", version)) => {
                let major = version.split('.').next().and_then(|major| major.parse().ok());
                (server.version, server.major_version) = (version.to_owned(), major.unwrap_or(0));
            }
            Some(("maxmemory_policy", policy)) => policy.clone_into(&mut server.eviction_policy),
            Some(("role", role)) => server.is_replica = role != "master",
            _ => {}
        }
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_its_version_role_and_policy() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrole:slave\r\nmaxmemory_policy:volatile-lru\r\n";
        let expected = Server {
            major_version: 7,
            version: "7.0.15".into(),
            eviction_policy: "volatile-lru".into(),
            is_replica: true,
        };
        assert_eq!(server(info), expected);
        assert_eq!(server("redis_version:x"), Server { version: "x".into(), ..Server::default() });
    }
}
