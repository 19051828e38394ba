//! The hub behind a lock, and the handles that applications hold.
//!
//! It knows wakers and no runtime: an adapter crate supplies a clock, and runs the [`Driver`](crate::adapter::Driver) of the
//! hub on a task. Several adapters can share one hub. The module [`adapter`](crate::adapter) has what adapter crates are made
//! of.
//!
//! ```
//! use std::task::{Context, Poll, Waker};
//!
//! use sse_core::adapter::Turn;
//! use sse_core::shared::SharedHub;
//! use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant};
//!
//! // An adapter does this with the clock of its runtime, and runs the driver on a task.
//! let (hub, mut driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
//!
//! let weather = hub.open_channel("weather", ChannelConfig::default())?;
//! let mut outbound = hub.connect(ConnectionConfig::default())?;
//! outbound.subscribe(&weather)?;
//! weather.publish(&Event::new().data("sunny"))?;
//!
//! let waker = Waker::noop();
//! assert!(matches!(driver.turn(waker), Turn::Sleep(_)));
//! let Poll::Ready(Some(bytes)) = outbound.poll_bytes(&mut Context::from_waker(waker)) else { panic!() };
//! assert_eq!(bytes, "id: 1k9f2-0\nevent: position\ndata: \n\nid: 1k9f2-1\ndata: sunny\n\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Ownership
//!
//! | type | held by | effect of dropping it |
//! | --- | --- | --- |
//! | [`SharedHub`] | the application | none; the driver ends with the last handle of any kind |
//! | [`Channel`] | the application | none: the channel stays open |
//! | [`Connection`] | the application | none: the connection stays open |
//! | [`Outbound`] | the transport of one client | the connection is disconnected |
//!
//! # Observability
//!
//! [`SharedHub::stats`], [`Channel::stats`] and [`Connection::stats`] return the current state. With the feature `metrics`, the
//! driver reports to the recorder of the program after `SharedHub::record_metrics` was called; its page lists the metrics.
//! With the feature `tracing`, each connection has a span, and exceptional changes are events. All have the target `sse_core`:
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | `WARN` | `refused`: a limit was reached | `call` (`connect`, `open` or `subscribe`), `error` |
//! | `INFO` | span `connection`, a child of the span in which the connection was opened | `connection`, `last_event_id`, `channel` (recorded again for each subscription), `reason` (recorded at the end) |
//! | `INFO` | `gap`: the client missed more than history holds | `connection`, `channel`, `lost_through`, `events` (kept events that follow) |
//! | `INFO` | `unknown last event id` | `connection`, `channel` |
//! | `INFO` | `lagged`: the reader lost events and continues behind them | `connection`, `channel`, `lost_through` |
//! | `INFO` | `closed`, if the connection stalled or lagged | `connection`, `reason` |
//! | `INFO` | `draining`, `shutting down` | `over`, `within`, `retry` |
//! | `DEBUG` | `connected`, `followed`, `timed out`, `closed` for any other reason, `refused` while the hub shuts down | `connection`, `channel`, `events`, `reason` |
//! | `DEBUG` | `channel closed` | `channel` (the id), `reason` |
//!
//! `reason` is a [`CloseReason::as_str`](crate::CloseReason::as_str). Calls by [`SharedHub::with`] make no events of their own.
//! A span costs what the subscriber makes of it, and a table entry for each connection. Deliveries make neither spans nor
//! events. Subscribers and recorders are called while the lock is free.
//!
//! # Cost
//!
//! Each call takes the lock of the hub once. The lock is never held during a write, a wait, or code of an executor. A
//! publication wakes the driver if the driver sleeps, and the driver wakes the connections, a bounded number in each turn.
//! Beside its memory in the hub, a connection costs 44 bytes and the waker of its task. Connections of a
//! [`SocketSet`](crate::adapter::SocketSet) have no task. The status that handles wait for is allocated with the first handle
//! of a connection.
//!
//! # Panics
//!
//! Nothing in this module panics, except a handle that is used inside of [`SharedHub::with`] of the same hub. A panic in a
//! clock or in the closure of [`SharedHub::with`] passes through. It does not poison the lock, and the hub stays usable. A
//! panic of a waker is contained ([X4](crate::rules#x4)).

mod channel;
mod connection;
mod held;
mod hub;
mod hub_mut;
pub(crate) mod lock;
pub(crate) mod observe;
mod outbound;
mod principals;
pub(crate) mod registry;
mod restart;
#[cfg(all(test, shuttle))]
mod schedules;
pub(crate) mod search;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod wakers;

pub use channel::Channel;
pub use connection::{Connection, ConnectionSendError};
pub use hub::SharedHub;
pub use hub_mut::HubMut;
#[cfg(feature = "metrics")]
pub use observe::MetricsConfig;
pub use outbound::Outbound;
pub(crate) use outbound::{LARGE_FRAME, WRITE_BYTES};
