//! The actions and states of a client.

use alloc::string::String;
use core::fmt;

/// A task for the driver of a client, returned by [`Client::poll_action`](super::Client::poll_action).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAction {
    /// Send a `GET` request for the URL of the stream, with `Accept: text/event-stream` and `Cache-Control: no-store`
    /// (WHATWG HTML 9.2.2).
    ///
    /// Report the result with [`opened`](super::Client::opened) or [`failed`](super::Client::failed).
    Connect {
        /// The value of the `Last-Event-ID` header, or `None` for a request without that header. The value has at most
        /// 4,096 bytes, and a header can carry it as UTF-8.
        last_event_id: Option<String>,
    },
    /// Send the request again, for another URL: the server redirected it.
    ///
    /// The driver resolves the location, and leaves out credentials if the origin changes: see
    /// [redirects](super#redirects). Report the result as that of [`Connect`](ClientAction::Connect).
    Redirect {
        /// The value of the `Location` header: an absolute URL, or a reference relative to the URL of the request that
        /// was redirected (RFC 9110, 10.2.2). Bytes beyond ASCII are percent-encoded.
        location: String,
        /// The value of the `Last-Event-ID` header, as in the redirected request.
        last_event_id: Option<String>,
    },
    /// Abandon the request or the connection, and report nothing more about it.
    Close,
    /// Stop driving the client, because it will never connect again. Reported once.
    Stop(StopReason),
}

/// The state of a client, as the `readyState` of an `EventSource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientState {
    /// The client waits before it connects, or is about to follow a redirect.
    /// [`poll_timeout`](super::Client::poll_timeout) returns the end of the wait.
    Waiting,
    /// The client has requested a connection, and no response head has arrived.
    Connecting,
    /// The stream is open.
    Open,
    /// The client has stopped and will never connect again.
    Stopped(StopReason),
}

/// The reason why a client stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The server responded with status 204, which stops clients from reconnecting (WHATWG HTML 9.2).
    NoContent,
    /// The server responded with another status than 200 and 204, and did not redirect the request.
    Status(u16),
    /// The content type of the response was not `text/event-stream`.
    ContentType,
    /// [`Client::close`](super::Client::close) was called.
    Closed,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoContent => f.write_str("server responded with status 204 (no content)"),
            Self::Status(status) => write!(f, "server responded with status {status}"),
            Self::ContentType => f.write_str("response content type is not text/event-stream"),
            Self::Closed => f.write_str("client was closed"),
        }
    }
}
