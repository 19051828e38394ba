//! Names for what lives in a hub: connections, channels, positions.

use core::fmt;
use core::num::NonZeroU32;

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

/// An id that an arena can issue: a slot and a generation.
pub(crate) trait ArenaKey: Copy {
    fn new(index: u32, generation: NonZeroU32) -> Self;
    fn parts(self) -> (u32, NonZeroU32);
}
