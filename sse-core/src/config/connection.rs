//! The configuration of a connection, and the options of a publication.

use alloc::boxed::Box;
use core::time::Duration;

use crate::id::ConnectionId;
use crate::resume::LastEventId;
use crate::wire::Frame;

/// The configuration of a connection.
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::{ConnectionConfig, LastEventId};
///
/// let config = ConnectionConfig {
///     last_event_id: LastEventId::new(b"1k9f2-7"), // the value of the header
///     ping: Some(Duration::from_secs(25)),
///     max_lifetime: Some(Duration::from_secs(1200)),
///     ..ConnectionConfig::default()
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// The last event id that the client sent, if any ([H4](crate::rules#h4), [X2](crate::rules#x2)).
    pub last_event_id: Option<LastEventId>,
    /// The time without a written byte after which a ping is sent ([T1](crate::rules#t1)). `None` sends no pings.
    ///
    /// The default is 50 seconds, as in `sse-channels`: many proxies close an idle connection after one minute. Set less
    /// than the shortest idle timeout between the server and the client. HAProxy is often installed with 50 seconds, and a
    /// common polyfill of `EventSource` waits 45 seconds: 25 seconds are below both. The minimum is one millisecond.
    pub ping: Option<Duration>,
    /// The maximum lifetime of the connection ([T2](crate::rules#t2)), without a limit by default.
    pub max_lifetime: Option<Duration>,
    /// The effect of reaching the maximum lifetime.
    pub on_max_lifetime: OnMaxLifetime,
    /// Whether a connection without a last event id starts with the event [`ControlEvents::POSITION`](crate::ControlEvents::POSITION), so that the client
    /// can resume even if it disconnects before its first event ([H3](crate::rules#h3)), and whether that event follows late
    /// subscriptions ([O9](crate::rules#o9)). The default is `true`.
    pub announce_position: bool,
    /// The last frame of the connection, which its client receives when the connection is closed: at its maximum lifetime, in
    /// a drain, at the end of what it followed, and by [`Hub::close_connection`](crate::Hub::close_connection)
    /// ([T5](crate::rules#t5)). None by default. A frame with an id is refused with
    /// [`ConnectError::FarewellHasId`](crate::ConnectError::FarewellHasId). Clones of a frame share its bytes: encode it once.
    pub farewell: Option<Frame>,
    /// The maximum number of bytes of pending direct sends ([S2](crate::rules#s2)). The default is 1 MiB. More than 4
    /// GiB counts as 4 GiB.
    pub direct_bytes: usize,
    /// The principal to which the connection belongs, such as the id of a user ([U1](crate::rules#u1)): a word of the
    /// application, at most [`MAX_PRINCIPAL_BYTES`](ConnectionConfig::MAX_PRINCIPAL_BYTES) long. The default is none.
    pub principal: Option<Box<str>>,
    /// The key of the page load that opened the connection ([U1](crate::rules#u1)): a word of the application, at most
    /// [`MAX_CLIENT_BYTES`](ConnectionConfig::MAX_CLIENT_BYTES) long. The page makes a random one when it is loaded, sends it
    /// with each of its requests, and does not keep it over a reload ([U3](crate::rules#u3)). The default is none.
    pub client: Option<Box<str>>,
}

impl ConnectionConfig {
    /// The longest name of a principal in bytes, that of the subject of an OpenID token.
    pub const MAX_PRINCIPAL_BYTES: usize = 255;

    /// The longest client key in bytes. A UUID has 36.
    pub const MAX_CLIENT_BYTES: usize = 128;

    /// The shortest ping interval. A shorter one is refused with
    /// [`ConnectError::PingTooShort`](crate::ConnectError::PingTooShort).
    pub const MIN_PING: Duration = Duration::from_millis(1);
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        ConnectionConfig {
            last_event_id: None,
            ping: Some(Duration::from_secs(50)),
            max_lifetime: None,
            on_max_lifetime: OnMaxLifetime::Close,
            announce_position: true,
            farewell: None,
            direct_bytes: 1 << 20,
            principal: None,
            client: None,
        }
    }
}

/// The effect of reaching the maximum lifetime of a connection ([T2](crate::rules#t2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnMaxLifetime {
    /// The connection is closed as by [`Hub::close_connection`](crate::Hub::close_connection): what is pending is flushed.
    #[default]
    Close,
    /// [`Action::TimedOut`](crate::Action::TimedOut) reports it, and the application extends or closes the connection.
    Report,
}

/// The options of a publication ([O5](crate::rules#o5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions<'a> {
    /// The clients that do not receive the event, usually its sender. By default the event is for all.
    ///
    /// ```
    /// use sse_core::{Except, PublishOptions};
    ///
    /// let options = PublishOptions { except: Some(Except::Client("f81d4fae")) };
    /// ```
    pub except: Option<Except<'a>>,
}

/// The clients that a publication excludes ([U3](crate::rules#u3)).
///
/// An exclusion holds for live events and for events that a subscription resumes, and not for what a start or a reset replays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Except<'a> {
    /// One connection. The id of a connection that has ended, or of another hub, excludes nobody.
    ///
    /// The exclusion holds for the connection and not for the client: after a reconnect, the event is part of the
    /// replay.
    Connection(ConnectionId),
    /// All connections with this [client key](ConnectionConfig::client), also those that are opened later: after a reconnect
    /// with the same key, the event is not part of the replay. A key that no connection can have excludes nobody.
    Client(&'a str),
}

impl From<ConnectionId> for Except<'_> {
    fn from(connection: ConnectionId) -> Self {
        Except::Connection(connection)
    }
}
