//! The parts of adapter crates: the driver of a hub, and ways to write its bytes.
//!
//! An adapter connects a [`SharedHub`](crate::shared::SharedHub) to a runtime. It supplies four things, and no policy:
//!
//! | an adapter supplies | by |
//! | --- | --- |
//! | a clock | the closure of [`SharedHub::new`](crate::shared::SharedHub::new) |
//! | a timer and a task for each hub | [`Timer`] and [`DriveHub`] |
//! | an epoch | [`epoch_of`] |
//! | a clock that counts from 1970 | [`EpochClock`] |
//! | a way for the bytes of each connection | one of the three below |
//!
//! *A body* polls [`Outbound::poll_bytes`](crate::shared::Outbound::poll_bytes), where a library owns the transport: an HTTP
//! body, a reader, or a stream (`EventStream`, with the feature `futures-core`). *A future* drives one connection on one
//! transport of any kind: [`ServeConnection`]. *A socket set* drives many connections on one task: [`SocketSet`].
//!
//! Futures and socket sets need a [`Socket`]. Each of its methods is one call of the transport; [`try_io`] and
//! [`discard_received`] help to implement them. A [`ConnectionWriter`] writes frames straight from the log, with the
//! [`Framing`] that the response head has announced ([`HEADERS`]).
//!
//! # The path of an event
//!
//! From a publication to the bytes on a socket of a set:
//!
//! 1. *The task of the publisher.* [`Channel::publish`](crate::shared::Channel::publish) locks the hub (`SharedHub::lock`) and
//!    calls [`Hub::publish`](crate::Hub::publish), which appends one frame to the log of the channel. When the guard (`Locked`)
//!    is dropped, it takes the waker of the driver if the driver sleeps longer than
//!    [`Hub::poll_timeout`](crate::Hub::poll_timeout) allows, releases the lock, and wakes the driver.
//! 2. *The task of the driver.* [`DriveHub`] calls [`Driver::turn`], which polls up to 64 actions under one lock. For each
//!    [`Action::Transmit`](crate::Action::Transmit), it takes the wake target of the connection out of its registration
//!    (`Registry::find_mut`). After the lock was released, `WakeBatch::wake` appends the indices of the sockets to the
//!    `ReadyQueue` of their set and wakes the task of the set, once for all of them.
//! 3. *The task of the set.* [`SocketSet::turn`] makes passes over the ready sockets, in batches of up to 64
//!    (`SocketSet::run_batch`). `SocketConnection::begin_pass` reads what the peer sent.
//! 4. `SocketSet::prepare_writes` locks the hub once for the batch, or for 64 KiB of it. `ConnectionWriter::next_write`
//!    frames the pending bytes of each connection into a buffer of the set and [claims](crate::Transmit::claim_into) them.
//! 5. `ConnectionWriter::write_next` calls [`Socket::poll_write`] without the lock. After a short write, it locks the hub and
//!    [puts the rest back](crate::Hub::put_back).
//! 6. The next `prepare_writes` of the same batch [confirms](crate::Hub::confirm) the claim of each connection. It finds more
//!    pending bytes, or registers the socket for the next wake-up (`Locked::register`).
//!
//! On the body path, step 2 wakes the task of the connection, and [`Outbound::poll_bytes`](crate::shared::Outbound::poll_bytes)
//! takes the place of steps 3 to 6: it locks the hub and takes the bytes, and the next call registers the waker.
//!
//! # Locks
//!
//! | | locks of the hub |
//! | --- | --- |
//! | a publication | 1 |
//! | a turn of the driver | 1 for up to 64 connections |
//! | a delivery by a [`SocketSet`] | 2 for up to 64 connections and 64 KiB; 1 more for each short write |
//! | a delivery by [`Outbound::poll_bytes`](crate::shared::Outbound::poll_bytes) | 2: one takes the bytes, one registers the waker |
//!
//! No lock is held during a write, or while a waker is cloned, called or dropped ([X4](crate::rules#x4)).

mod chunk;
mod clock;
mod driver;
mod epoch;
mod http;
mod nonblocking;
mod serve;
mod socket;
mod socket_set;
mod source;
#[cfg(feature = "futures-core")]
mod stream;
mod writer;

pub use clock::EpochClock;
pub use driver::{DriveHub, Driver, Timer, Turn};
pub use epoch::epoch_of;
pub use http::{Framing, HEADERS};
pub use nonblocking::{discard_received, try_io};
pub use serve::ServeConnection;
pub use socket::Socket;
pub use socket_set::{SocketSet, SocketSetHandle};
pub use source::SourceConnection;
#[cfg(feature = "futures-core")]
pub use stream::{EventStream, SourceStream, publish_all};
pub use writer::ConnectionWriter;

pub use crate::shared::search::{find_connection, report_connection};
