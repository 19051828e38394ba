//! Server-Sent Events on smol, and on async-std, which is discontinued: on smol, set `default-features = false`.
//!
//! The feature `async-std` is on by default. Without it, the crate does not depend on
//! [async-std](https://docs.rs/async-std), whose maintainers recommend [smol](https://docs.rs/smol). It uses the same
//! reactor, and only the calls that spawn a task differ. With the feature, the crate serves programs that still run on
//! async-std. New programs should use smol, or tokio with the crate `sse-tokio`.
//!
//! [`sse_core`] implements the protocol. This crate adds a clock, a timer, and these ways to write to a client:
//!
//! - [`EventStream`], a stream of bytes, and [`EventReader`], a reader, are bodies of responses for many frameworks.
//! - [`write_to`] and [`serve`] drive one connection on any transport.
//! - [`Sockets::attach`] takes over a socket whose response head is already written. One task drives all such sockets, and
//!   each costs a few hundred bytes.
//!
//! A server on async-std, and a client on a thread:
//!
//! ```
//! # #[cfg(not(feature = "async-std"))] fn main() {}
//! # #[cfg(feature = "async-std")]
//! use std::io::{BufRead, BufReader, Write};
//! # #[cfg(feature = "async-std")]
//! use std::time::Duration;
//!
//! # #[cfg(feature = "async-std")]
//! use async_std::io::prelude::{BufReadExt, ReadExt, WriteExt};
//! # #[cfg(feature = "async-std")]
//! use async_std::net::{TcpListener, TcpStream};
//! # #[cfg(feature = "async-std")]
//! use async_std::{future::timeout, task};
//! # #[cfg(feature = "async-std")]
//! use sse_async_std::Sockets;
//! # #[cfg(feature = "async-std")]
//! use sse_core::adapter::{Framing, HEADERS};
//! use sse_core::shared::SharedHub;
//! # #[cfg(feature = "async-std")]
//! use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig};
//!
//! # #[cfg(feature = "async-std")]
//! type Error = Box<dyn std::error::Error + Send + Sync>;
//!
//! # #[cfg(feature = "async-std")]
//! async fn follow(hub: SharedHub, sockets: Sockets, mut socket: TcpStream) -> Result<(), Error> {
//!     // A real server parses the request with an HTTP library.
//!     let mut line = String::new();
//!     let mut request = async_std::io::BufReader::new(&socket).take(8192);
//!     while request.read_line(&mut line).await? > 2 {
//!         line.clear();
//!     }
//!     let mut head = String::from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n");
//!     for (name, value) in HEADERS {
//!         head += &format!("{name}: {value}\r\n");
//!     }
//!     socket.write_all(format!("{head}\r\n").as_bytes()).await?;
//!
//!     let outbound = hub.connect(ConnectionConfig::default())?;
//!     outbound.subscribe(&hub.open_channel("weather", ChannelConfig::default())?)?;
//!     Ok(sockets.attach(socket, outbound, Framing::Chunked)?)
//! }
//!
//! # #[cfg(feature = "async-std")]
//! async fn accept(hub: SharedHub, sockets: Sockets, listener: TcpListener) {
//!     loop {
//!         match listener.accept().await {
//!             Ok((socket, _)) => {
//!                 let followed = follow(hub.clone(), sockets.clone(), socket);
//!                 task::spawn(timeout(Duration::from_secs(30), followed));
//!             }
//!             // An error of one connection must not end the loop. Most likely no file descriptor is free.
//!             Err(_) => task::sleep(Duration::from_millis(100)).await,
//!         }
//!     }
//! }
//!
//! # #[cfg(feature = "async-std")]
//! fn main() -> Result<(), Error> {
//!     task::block_on(async {
//!         let hub = sse_async_std::start(sse_async_std::epoch_from_clock(), HubConfig::default())?;
//!         let listener = TcpListener::bind("127.0.0.1:0").await?;
//!         let address = listener.local_addr()?;
//!         task::spawn(accept(hub.clone(), Sockets::start(), listener));
//!
//!         let client = std::thread::spawn(move || {
//!             let mut socket = std::net::TcpStream::connect(address).unwrap();
//!             socket.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
//!             BufReader::new(socket).lines().map_while(Result::ok).find(|line| line.starts_with("data: s"))
//!         });
//!         let weather = hub.open_channel("weather", ChannelConfig::default())?;
//!         while weather.publish(&Event::new().data("sunny"))?.subscriptions == 0 {
//!             task::sleep(Duration::from_millis(10)).await;
//!         }
//!         assert_eq!(client.join().unwrap().as_deref(), Some("data: sunny"));
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # Cost
//!
//! A hub has one task and one timer. All attached sockets have one task together. A stream or reader has no task: a delivery
//! wakes the task of the framework. A delivery on an attached socket is one write.
//!
//! # Features
//!
//! - `async-std` (on by default) adds `start`, `Sockets::start`, and conversions for sockets of async-std. Without it, the
//!   crate serves any executor by `drive` and `Sockets::drive`.
//!
//! # Notes
//!
//! - [`start`] and [`Sockets::start`] spawn a task on the executor of async-std. [`drive`] and [`Sockets::drive`] return the
//!   task as a future for any other executor, such as smol's. Timers and sockets use the reactor of `async-io`, which
//!   async-std and smol share and which works with every executor.
//! - [`serve`], [`Sockets`] and most frameworks notice a disconnect at once, because they read from the transport.
//! - Slow peers are bounded. Pending events stay in the log of their channel, and a connection holds at most one frame or
//!   16 KiB that is partly written. A connection that takes no bytes for the
//!   [stall timeout](sse_core::HubConfig::stall_timeout) is closed.
//! - Nothing in this crate panics, except the reactor and the executor if the system has no thread or no file descriptor
//!   for them.

#![cfg_attr(
    not(feature = "async-std"),
    allow(rustdoc::broken_intra_doc_links, reason = "the page links to items of the feature `async-std`")
)]

mod attach;
mod driver;
mod options;
mod reader;
mod write;

pub use attach::{DriveSockets, IntoSocket, Sockets};
#[cfg(feature = "async-std")]
pub use driver::start;
pub use driver::{HubTimer, drive, epoch_from_clock};
pub use reader::EventReader;
pub use sse_core::adapter::{DriveHub, EventStream, SourceStream, publish_all};
pub use write::{serve, write_to};
