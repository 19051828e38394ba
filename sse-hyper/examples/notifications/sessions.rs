//! The sessions of users. A real server keeps them in a database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sse_core::shared::Connection;
use sse_core::{ConnectionConfig, OnMaxLifetime};

/// The interval at which the session of an open stream is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

/// The users, by the token of their session.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    users: Arc<Mutex<HashMap<String, String>>>,
    started: Arc<Mutex<u64>>,
}

impl Sessions {
    /// Starts a session and returns its token. Tokens of a real server cannot be guessed, and browsers keep them in cookies.
    pub(crate) fn begin(&self, user: String) -> String {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        *started += 1;
        let token = format!("{user}-{started}");
        self.users().insert(token.clone(), user);
        token
    }

    /// Ends a session, and returns whether it existed.
    pub(crate) fn end(&self, token: &str) -> bool {
        self.users().remove(token).is_some()
    }

    pub(crate) fn user_of(&self, token: &str) -> Option<String> {
        self.users().get(token).cloned()
    }

    /// Extends a connection whenever its max lifetime is reached, as long as its session exists.
    pub(crate) async fn check_periodically(self, connection: Connection, token: String) {
        loop {
            tokio::select! {
                () = connection.timed_out() => {}
                _ = connection.closed() => return,
            }
            if self.user_of(&token).is_some() {
                connection.set_max_lifetime(Some(CHECK_INTERVAL));
            } else {
                connection.close();
            }
        }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a configuration with pings, and with which the hub reports the next check of a connection and does not close it.
pub(crate) fn with_pings_and_checks(config: ConnectionConfig) -> ConnectionConfig {
    ConnectionConfig {
        ping: Some(PING),
        max_lifetime: Some(CHECK_INTERVAL),
        on_max_lifetime: OnMaxLifetime::Report,
        ..config
    }
}
