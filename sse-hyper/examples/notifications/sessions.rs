//! Who is logged in: a database, in a real server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sse_core::shared::Connection;
use sse_core::{ConnectionConfig, OnMaxLifetime};

/// How long a stream goes on without its session being looked at again.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The users by the tokens of their sessions.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    users: Arc<Mutex<HashMap<String, String>>>,
    started: Arc<Mutex<u64>>,
}

impl Sessions {
    /// A real server's tokens cannot be guessed, and a browser keeps them in a cookie.
    pub(crate) fn begin(&self, user: String) -> String {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        *started += 1;
        let token = format!("{user}-{started}");
        self.users().insert(token.clone(), user);
        token
    }

    /// False when there was none.
    pub(crate) fn end(&self, token: &str) -> bool {
        self.users().remove(token).is_some()
    }

    pub(crate) fn user_of(&self, token: &str) -> Option<String> {
        self.users().get(token).cloned()
    }

    /// The hub only says when the time of a connection is over. Whether it gets more is decided here.
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

/// A connection that says when it is to be checked, and is not closed by itself.
pub(crate) fn with_session_checks(config: ConnectionConfig) -> ConnectionConfig {
    ConnectionConfig { max_lifetime: Some(CHECK_INTERVAL), on_max_lifetime: OnMaxLifetime::Report, ..config }
}
