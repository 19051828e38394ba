//! Names for what lives in a hub: connections, channels, positions.

use core::fmt;
use core::num::NonZeroU32;

/// Where a frame stands in the order of its hub.
///
/// Positions are one order over all channels of a hub, so that one number tells how far a connection has come,
/// however many channels it follows. The first published event of a hub that starts at [`Position::ORIGIN`] has
/// position 1.
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

    /// The position with this number.
    pub const fn new(number: u64) -> Position {
        Position(number)
    }

    /// The number of this position.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next position, or `None` after the last one.
    pub(crate) const fn next(self) -> Option<Position> {
        match self.0.checked_add(1) {
            Some(number) => Some(Position(number)),
            None => None,
        }
    }

    /// The position just before this one; that of the origin is the origin.
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
        /// It carries a generation and is never given out again: what it named stays what it named, and once that
        /// is gone every call with it says so (D6).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            index: u32,
            generation: NonZeroU32,
        }

        impl $name {
            /// Which slot of the hub this is: small, dense, and used again by later generations.
            ///
            /// It suits as the index of a table beside the hub, such as one of sockets or wakers.
            pub const fn index(self) -> usize {
                self.index as usize
            }
        }

        impl Key for $name {
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
    /// Names one connection of one hub.
    ConnectionId
}

generational_id! {
    /// Names one channel of one hub.
    ChannelId
}

/// What an arena needs of the ids it gives out.
pub(crate) trait Key: Copy {
    fn new(index: u32, generation: NonZeroU32) -> Self;
    fn parts(self) -> (u32, NonZeroU32);
}
