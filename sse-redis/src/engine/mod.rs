//! The log in Redis: what is sent, and what the replies mean.

mod link;
mod parse;
mod past;
mod script;
#[cfg(test)]
mod script_tests;
mod tail;

use std::fmt;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

pub(crate) use link::{Link, Server};
pub(crate) use past::read_pasts;
pub(crate) use script::AppendScript;
pub(crate) use tail::read_records;

/// The time in which a connection has to be established.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The time in which Redis has to answer a call that does not block.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The error of a call to the log.
#[derive(Clone, Debug)]
pub(crate) enum LogError {
    /// Redis cannot be reached, starts, or is a replica. The call is tried again.
    Unavailable(RedisError),
    /// Redis refuses the call, and did nothing.
    Refused(RedisError),
    /// The reply is not one that the call can have.
    Reply(&'static str),
}

impl LogError {
    /// Returns whether the call may have had an effect: it was sent, and its reply was not received.
    pub(crate) fn may_have_happened(&self) -> bool {
        match self {
            LogError::Unavailable(error) => {
                !error.is_connection_refusal() && !matches!(error.kind(), ErrorKind::Server(_))
            }
            LogError::Refused(_) => false,
            LogError::Reply(_) => true,
        }
    }

    /// Returns whether the same call can succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, LogError::Unavailable(_))
    }
}

impl From<RedisError> for LogError {
    fn from(error: RedisError) -> LogError {
        let is_temporary = match error.kind() {
            ErrorKind::Io | ErrorKind::Parse => true,
            ErrorKind::Server(kind) => matches!(
                kind,
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::NoScript
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly
            ),
            _ => matches!(error.code(), Some("BUSY" | "MISCONF" | "NOREPLICAS" | "UNKILLABLE")),
        };
        if is_temporary
            || error.is_timeout()
            || error.is_connection_dropped()
            || error.is_connection_refusal()
        {
            LogError::Unavailable(error)
        } else {
            LogError::Refused(error)
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Unavailable(error) | LogError::Refused(error) => error.fmt(f),
            LogError::Reply(what) => write!(f, "Redis sent a reply that cannot be read: {what}"),
        }
    }
}
