//! What adapter crates are made of.

mod chunk;
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
