//! A client for event streams as a state machine. It works with a [`Hub`](crate::Hub) and with any other server.
//!
//! A [`Client`] does what a browser's `EventSource` does (WHATWG HTML 9.2). It decides when to connect and with which
//! `Last-Event-ID`, decodes the bytes of the response into messages, and reconnects with exponential backoff and jitter
//! when the connection breaks. It reads no clock, opens no socket and draws no random number. Its driver sends the HTTP
//! requests with any HTTP library.
//!
//! ```
//! use sse_core::Instant;
//! use sse_core::client::{Client, ClientAction, ClientConfig, ResponseHead};
//!
//! let mut client = Client::new(ClientConfig { seed: 42, ..ClientConfig::default() });
//! let mut now = Instant::ORIGIN;
//! // A simulated server. Its first response, the last element, breaks off. Its second response, 204, stops the client.
//! let mut responses = vec![(204, &b""[..]), (200, b"retry: 1000\n\nid: 7\ndata: sunny\n\ndata: lost in the mid")];
//! let mut requests = Vec::new();
//! let mut messages = Vec::new();
//!
//! loop {
//!     client.handle_timeout(now);
//!     while let Some(action) = client.poll_action() {
//!         match action {
//!             ClientAction::Connect { last_event_id } => {
//!                 let (status, body) = responses.pop().expect("204 stops the client");
//!                 let content_type = Some(&b"text/event-stream"[..]);
//!                 client.opened(now, ResponseHead { status, content_type, ..ResponseHead::default() });
//!                 client.bytes(now, body);
//!                 client.ended(now);
//!                 requests.push((now.as_nanos() / 1_000_000_000, last_event_id));
//!             }
//!             ClientAction::Close => println!("abandon the connection"),
//!             other => println!("{other:?}"),
//!         }
//!     }
//!     while let Some(message) = client.next_message() {
//!         messages.push(message?.data);
//!     }
//!     // Sleep until `next` or until the next input.
//!     let Some(next) = client.poll_timeout() else { break };
//!     now = next;
//! }
//! assert_eq!(messages, ["sunny"]);
//! assert_eq!(requests, [(0, None), (1, Some("7".to_owned()))], "the second follows after 1 s and jitter");
//! # Ok::<(), sse_core::DecodeError>(())
//! ```
//!
//! # The contract with a driver
//!
//! The contract is that of the [hub](crate#the-contract-with-a-driver) (D1, D2, D4 and D5). Any order of calls is
//! legal. [`poll_action`](Client::poll_action) and [`poll_timeout`](Client::poll_timeout) show all pending work. Calls
//! that are repeated or come too early cost time and never data. Time never runs backwards. In addition:
//!
//! - A client has at most one connection. [`Connect`](ClientAction::Connect) follows only after the previous connection
//!   ended through [`ended`](Client::ended), [`failed`](Client::failed) or [`Close`](ClientAction::Close). A driver
//!   that runs the connection in a task of its own discards the output of that task after `Close`.
//! - The driver reports what has arrived before it calls [`handle_timeout`](Client::handle_timeout). Otherwise, after a
//!   pause of its program, the idle timeout has passed for a connection whose bytes wait in its socket. A late call
//!   therefore abandons no connection at once (C5).
//! - At most two actions are pending at any time.
//! - After each [`bytes`](Client::bytes), call [`next_message`](Client::next_message) until it returns `None`. Memory
//!   is then bounded like that of a [`Decoder`](crate::Decoder). Otherwise bytes accumulate.
//!
//! # Redirects
//!
//! The client follows the redirects that the Fetch standard follows (C4). [`Redirect`](ClientAction::Redirect) carries
//! the location and the last event id of the redirected request. The driver
//!
//! - resolves the location against the URL of the redirected request (RFC 9110, 10.2.2), for example with `join` of the
//!   crate `url`, and calls [`failed`](Client::failed) if the result is not a URL that it can request;
//! - leaves out credentials, such as `Authorization`, if the new URL has another origin (scheme, host or port) than the
//!   URL before, and leaves them out of all further requests of that attempt.
//!
//! Each [`Connect`](ClientAction::Connect) begins at the URL of the stream again, with credentials, also after a
//! permanent redirect. A client therefore does not depend on a node to which a load balancer redirected it once. This
//! differs from the standard: there, redirects become part of the request, and a reconnection begins at the URL to
//! which they led.
//!
//! A driver whose HTTP library follows redirects reports only the last response head, and receives no `Redirect`.
//!
//! # The last event id of a request
//!
//! A request carries the id of the newest event that was received completely, even if its message was not taken.
//! Messages of a connection that has ended remain available, before those of the next connection. An id that a header
//! cannot carry is not sent: an id with control characters, with white space at its ends, or with more than 4,096
//! bytes. The client sends the newest id that a header can carry instead, so the server repeats some events rather than
//! skipping any.

mod action;
mod backoff;
mod config;
mod head;
mod machine;
mod messages;

pub use action::{ClientAction, ClientState, StopReason};
pub use config::{BackoffConfig, ClientConfig};
pub use head::ResponseHead;
pub use machine::Client;
