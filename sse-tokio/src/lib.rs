//! Server-Sent Events on [tokio].
//!
//! The protocol is [`sse_core`]'s; this crate brings tokio's clock and timer, and three ways to a client:
//!
//! - [`EventStream`], a stream of bytes that any framework on tokio takes as the body of a response;
//! - [`write_to`] and [`serve`], which drive one connection on a transport of any kind;
//! - [`Sockets::attach`], which takes over a socket whose response head is written: one task for all of them, and a few
//!   hundred bytes for each. `sse-hyper`'s `serve_connection` has hyper serve the request and gives that socket.
//!
//! # What to know
//!
//! - [`start`] runs one task with one timer for a hub. Its clock is the runtime's: `tokio::time::pause` works.
//! - A peer that goes away is noticed when it goes, where its end can be read: by the framework, [`serve`] and
//!   [`Sockets`].
//! - Slow peers are bounded: what waits is the channel's log, and at most one frame or 64 KiB that was begun. Who takes
//!   nothing for the [stall time](sse_core::HubConfig::stall) is closed.
//! - [`Sockets`] is there on Unix; elsewhere [`serve`] on a task of its own does the same, with a task for each.
//! - Nothing here panics, but for what tokio does outside a runtime.

#[cfg(unix)]
mod attach;
mod driver;
mod publish;
mod stream;
mod write;

#[cfg(unix)]
pub use attach::Sockets;
pub use driver::{epoch_from_clock, start};
pub use publish::publish_all;
pub use stream::{EventStream, FedStream};
pub use write::{serve, write_to};

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
