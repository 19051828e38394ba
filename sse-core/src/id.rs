//! Names for what lives in a hub: connections, channels, positions.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

/// The place of an event in the order of its hub.
///
/// Positions form one order over all channels of a hub. A single position therefore says how far a connection has read,
/// however many channels it follows. The first event of a hub that starts at [`Position::ORIGIN`] has position 1.
///
/// ```
/// use sse_core::Position;
///
/// assert!(Position::new(8) > Position::new(7));
/// assert_eq!(Position::ORIGIN.get(), 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The position before every event.
    pub const ORIGIN: Position = Position(0);

    /// A position beyond every event.
    pub(crate) const MAX: Position = Position(u64::MAX);

    /// Creates the position with this number.
    pub const fn new(number: u64) -> Position {
        Position(number)
    }

    /// Returns the number of this position.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the next position, or `None` after the last one.
    pub(crate) const fn next(self) -> Option<Position> {
        match self.0.checked_add(1) {
            Some(number) => Some(Position(number)),
            None => None,
        }
    }

    /// Returns the position just before this one, or the origin for the origin.
    pub(crate) const fn before(self) -> Position {
        Position(self.0.saturating_sub(1))
    }
}

impl From<u64> for Position {
    fn from(number: u64) -> Position {
        Position(number)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! generational_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// An id carries a generation and is never reused. After its owner is gone, and in another hub, every call with the id
        /// reports that ([D6](crate::rules#d6)).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            index: u32,
            generation: NonZeroU32,
        }

        impl $name {
            /// Returns the slot in the hub: small, dense, and reused by later generations.
            ///
            /// It can index a table beside the hub, such as a table of sockets or wakers.
            pub const fn index(self) -> usize {
                self.index as usize
            }
        }

        impl ArenaKey for $name {
            fn new(index: u32, generation: NonZeroU32) -> Self {
                $name { index, generation }
            }

            fn parts(self) -> (u32, NonZeroU32) {
                (self.index, self.generation)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}", self.index, self.generation)
            }
        }
    };
}

generational_id! {
    /// The id of one connection of one hub.
    ConnectionId
}

generational_id! {
    /// The id of one channel of one hub.
    ChannelId
}

/// The number of a principal, for as long as it has connections (U5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrincipalId(u32, NonZeroU32);

/// The number of a client key, for as long as a connection or a kept event has it (U5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientId(u32, NonZeroU32);

macro_rules! internal_id {
    ($name:ident) => {
        impl ArenaKey for $name {
            fn new(index: u32, generation: NonZeroU32) -> Self {
                $name(index, generation)
            }

            fn parts(self) -> (u32, NonZeroU32) {
                (self.0, self.1)
            }
        }
    };
}

internal_id!(PrincipalId);
internal_id!(ClientId);

/// The text of a connection id is `<slot>.<generation>`, and the only one of that id: decimal numbers without a sign and
/// without leading zeros.
///
/// ```
/// use sse_core::ConnectionId;
/// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
/// # let mut hub = Hub::new(HubConfig::default()).unwrap();
///
/// let connection = hub.connect(Instant::ORIGIN, ConnectionConfig::default())?;
/// let text = connection.to_string();
/// assert_eq!(text.parse::<ConnectionId>()?, connection);
/// assert!("the connection".parse::<ConnectionId>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl FromStr for ConnectionId {
    type Err = ParseConnectionIdError;

    fn from_str(text: &str) -> Result<ConnectionId, ParseConnectionIdError> {
        let parts = text.split_once('.').and_then(|(index, generation)| {
            Some((canonical(index)?, NonZeroU32::new(canonical(generation)?)?))
        });
        let (index, generation) = parts.ok_or(ParseConnectionIdError(()))?;
        Ok(ConnectionId { index, generation })
    }
}

/// Returns the number with this decimal text.
fn canonical(text: &str) -> Option<u32> {
    let is_canonical = text == "0" || text.starts_with(|first| matches!(first, '1'..='9'));
    text.parse().ok().filter(|_| is_canonical)
}

/// The error of parsing a [`ConnectionId`]: the text is not that of a connection id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseConnectionIdError(());

impl fmt::Display for ParseConnectionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a connection id has the form <slot>.<generation>")
    }
}

impl core::error::Error for ParseConnectionIdError {}

/// An id that an arena can issue: a slot and a generation.
pub(crate) trait ArenaKey: Copy {
    fn new(index: u32, generation: NonZeroU32) -> Self;
    fn parts(self) -> (u32, NonZeroU32);
}
