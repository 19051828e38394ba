//! The hub behind a mutex, who is woken for each connection, and the handles that applications hold.
//!
//! It knows wakers and no runtime: the clock is given to it, and an adapter runs its [`Driver`]. Any number of adapters
//! share one hub this way.
//!
//! ```
//! use std::sync::Arc;
//! use std::task::{Context, Poll, Wake, Waker};
//!
//! use sse_core::adapter::Turn;
//! use sse_core::shared::SharedHub;
//! use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant};
//!
//! // An adapter does this with its runtime's clock, and runs the driver on a task of its own.
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
//! # What operators see
//!
//! [`SharedHub::stats`], [`Channel::stats`] and [`Connection::stats`] say how things stand. With the feature `metrics`
//! the driver reports them to whatever recorder the program has, once `SharedHub::record_metrics` was called, which
//! lists their names. With the feature `tracing` there is a span for each connection and an event for what is out of the
//! ordinary, all with the target `sse_core`:
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | `WARN` | `refused`: a limit was reached | `call` (`connect`, `open` or `subscribe`), `error` |
//! | `INFO` | span `connection`, a child of the span in which it was opened | `connection`, `last_event_id`, `channel` (recorded again for each that it follows), `reason` (when it ended) |
//! | `INFO` | `gap`: it came back after more than history has | `connection`, `channel`, `lost_through`, `events` (how many it still gets) |
//! | `INFO` | `unknown last event id` | `connection`, `channel` |
//! | `INFO` | `lagged`: it fell behind, lost events and goes on | `connection`, `channel`, `lost_through` |
//! | `INFO` | `closed`, because it stalled or lagged | `connection`, `reason` |
//! | `INFO` | `draining`, `shutting down` | `over`, `within`, `retry` |
//! | `DEBUG` | `connected`, `followed`, `timed out`, `closed` for any other reason, `refused` when it ends anyway | `connection`, `channel`, `events`, `reason` |
//! | `DEBUG` | `channel closed` | `channel` (what the hub calls it), `reason` |
//!
//! `reason` is a [`CloseReason::as_str`](crate::CloseReason::as_str). What is done by [`SharedHub::with`] makes no event,
//! but for what the driver hears of it. Spans cost what the subscriber makes of them, and a place in a table for each
//! connection; a delivery makes neither span nor event. Subscribers and recorders are called with the hub's lock free.
//!
//! # Who holds what
//!
//! | who | holds | what dropping it does |
//! | --- | --- | --- |
//! | the application | [`SharedHub`], [`Channel`], [`Connection`]: cheap to clone | nothing, but for the last `SharedHub`: its driver ends |
//! | who writes to a client | [`Outbound`], or [`SourceConnection`] around it | disconnects |
//! | an adapter with transports of its own | [`ConnectionWriter`], [`SocketSet`], [`ServeConnection`], and a [`Socket`] for them | disconnects |
//! | an adapter, once for each hub | [`Driver`], and a [`Timer`] for it | nobody hears of events any more |
//!
//! # What it costs
//!
//! A call takes the hub's lock once; it is never held while bytes are written, a waker is called, or something waits.
//! Publishing wakes the driver, if it sleeps, and the driver the connections, a bounded number in one turn. Beside what
//! it costs in the hub, a connection costs 40 bytes and the waker of its task; a line of [`SocketSet`] has no task, and a
//! waker only where its socket [wakes](Socket::registers_waker). A status is made for those alone that a [`Connection`] was asked of.
//!
//! # Panics
//!
//! None of its own. A panic in a clock or a waker that was handed in goes through, and leaves the hub whole: the lock is
//! not poisoned by it.

mod channel;
mod connection;
mod hub;
mod hub_mut;
pub(crate) mod lock;
pub(crate) mod observe;
mod outbound;
pub(crate) mod registry;
#[cfg(all(test, shuttle))]
mod schedules;
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
