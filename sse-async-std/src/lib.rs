//! Server-Sent Events on [smol](https://docs.rs/smol) and [async-std](https://docs.rs/async-std).
//!
//! **async-std is no longer developed**; its authors point to smol. Who starts anew takes smol, which this crate serves
//! on the same reactor, or tokio, for which there is `sse-tokio`. This crate is for servers that are on async-std already,
//! and for their way on: without the default feature `async-std` it does not need async-std, and what was written for it
//! stays as it is but for the calls that spawn a task.
//!
//! The protocol is [`sse_core`]'s; this crate brings a clock, a timer, and these ways to a client:
//!
//! - [`EventStream`], a stream of bytes, and [`EventReader`], a reader, which frameworks take as the body of a response;
//! - [`write_to`] and [`serve`], which drive one connection on a transport of any kind;
//! - [`Sockets::attach`], which takes over a socket whose response head is written: one task for all of them, and a few
//!   hundred bytes for each.
//!
//! A server on async-std, and a client on a thread:
//!
//! ```
//! # #[cfg(not(feature = "async-std"))] fn main() {}
//! # #[cfg(feature = "async-std")]
//! use std::io::{BufRead, BufReader, Write};
//!
//! # #[cfg(feature = "async-std")]
//! use async_std::io::prelude::{BufReadExt, WriteExt};
//! # #[cfg(feature = "async-std")]
//! use async_std::net::{TcpListener, TcpStream};
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
//! async fn accept(hub: &SharedHub, sockets: &Sockets, mut socket: TcpStream) -> Result<(), Error> {
//!     // A server has an HTTP library do this.
//!     let mut line = String::new();
//!     let mut request = async_std::io::BufReader::new(&socket);
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
//! fn main() -> Result<(), Error> {
//!     async_std::task::block_on(async {
//!         let hub = sse_async_std::start(sse_async_std::epoch_from_clock(), HubConfig::default())?;
//!         let sockets = Sockets::start();
//!         let listener = TcpListener::bind("127.0.0.1:0").await?;
//!
//!         let address = listener.local_addr()?;
//!         let client = std::thread::spawn(move || {
//!             let mut socket = std::net::TcpStream::connect(address).unwrap();
//!             socket.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
//!             BufReader::new(socket).lines().map_while(Result::ok).find(|line| line.starts_with("data"))
//!         });
//!
//!         accept(&hub, &sockets, listener.accept().await?.0).await?;
//!         hub.open_channel("weather", ChannelConfig::default())?.publish(&Event::new().data("sunny"))?;
//!         assert_eq!(client.join().unwrap().as_deref(), Some("data: sunny"));
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # What it costs
//!
//! One task with one timer for a hub, one task for all sockets that are attached. A stream or reader has neither: it is the
//! framework's task that is woken for each delivery. A delivery on an attached socket is one write.
//!
//! # Features
//!
//! - `async-std` (on by default): `start`, `Sockets::start`, and sockets of async-std. Without it the crate serves any
//!   executor, through `drive`.
//!
//! # What to know
//!
//! - [`start`] and [`Sockets::start`] spawn a task on async-std's executor; [`drive`] and [`Sockets::drive`] give it to
//!   be spawned on another, such as smol's. Its timer and its sockets wait in `async-io`'s reactor, which works
//!   under any executor, and which async-std and smol share.
//! - A peer that goes away is noticed when it goes, where its end can be read: by the framework, [`serve`] and
//!   [`Sockets`].
//! - Slow peers are bounded: what waits is the channel's log, and at most one frame or 16 KiB that was begun. Who takes
//!   nothing for the [stall time](sse_core::HubConfig::stall_timeout) is closed.
//! - Nothing here panics, but for what the reactor and the executor do when the system has no thread and no file
//!   descriptor for them.

#![cfg_attr(
    not(feature = "async-std"),
    allow(rustdoc::broken_intra_doc_links, reason = "the page names what async-std adds")
)]

mod attach;
mod driver;
mod reader;
mod write;

pub use attach::{DriveSockets, IntoSocket, Sockets};
#[cfg(feature = "async-std")]
pub use driver::start;
pub use driver::{HubTimer, drive, epoch_from_clock};
pub use reader::EventReader;
pub use sse_core::adapter::{DriveHub, EventStream, SourceStream, publish_all};
pub use write::{serve, write_to};
