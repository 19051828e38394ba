//! What a client asks of its driver, and how it stands.

use alloc::string::String;
use core::fmt;

/// What a driver has to do next: [`Client::poll_action`](super::Client::poll_action).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAction {
    /// Send the request: `GET`, with `Accept: text/event-stream` and `Cache-Control: no-store`, redirects followed
    /// (WHATWG HTML 9.2.2). What comes of it is handed in by [`opened`](super::Client::opened) or
    /// [`failed`](super::Client::failed).
    Connect {
        /// The value of the `Last-Event-ID` header; without one there is no such header. It holds nothing that a header
        /// could not carry as UTF-8, and at most 4,096 bytes.
        last_event_id: Option<String>,
    },
    /// Abandon the request or the connection. Nothing more of it is handed in.
    Close,
    /// It is over: there is nothing more to do. It comes once.
    Stop(StopReason),
}

/// Where a client is in following its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientState {
    /// No connection is wanted yet; [`poll_timeout`](super::Client::poll_timeout) says when one is.
    Waiting,
    /// The request was asked for, and no response head has come.
    Connecting,
    /// The stream is open.
    Open,
    /// It is over.
    Stopped(StopReason),
}

/// Why a client does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The server answered 204, by which it tells clients to stay away (WHATWG HTML 9.2).
    NoContent,
    /// The server answered with a status that is not 200.
    Status(u16),
    /// The response was no `text/event-stream`.
    ContentType,
    /// [`Client::close`](super::Client::close) was called.
    Closed,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoContent => f.write_str("the server answered 204: no more is to come"),
            Self::Status(status) => write!(f, "the server answered with the status {status}"),
            Self::ContentType => f.write_str("the response is no text/event-stream"),
            Self::Closed => f.write_str("the client was closed"),
        }
    }
}
