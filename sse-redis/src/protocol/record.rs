//! Records of the log, and the description of an event in one.

use std::fmt;

use bytes::Bytes;
use sse_core::{Limits, Position};

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The position of the record.
    pub(crate) position: Position,
    /// The number of the record: one more than that of the record before.
    pub(crate) count: u64,
    /// What the record says.
    pub(crate) content: Content,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// An event was published, or channels were closed.
    Entry {
        /// The description of the event.
        description: Description,
        /// The frame without the id of the hub; empty if channels were closed.
        frame: Bytes,
    },
    /// The log has lost records that were acknowledged. Nothing at or below this position can be replayed.
    Rewound,
    /// The record cannot be read, since a later version wrote it. Its event is in the histories.
    Unreadable,
}

/// Who published an event, and to which channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    /// The number of the publishing process.
    pub(crate) publisher: u64,
    /// The number of the publication among those of the publisher.
    pub(crate) number: u64,
    /// The channels are closed.
    pub(crate) closes: bool,
    /// The event is kept in no history.
    pub(crate) is_live_only: bool,
    /// The event is given the id of its position, on every node and for all its channels.
    pub(crate) has_hub_id: bool,
    /// Who does not receive the event.
    pub(crate) except: Excluded,
    /// The names of the channels, each once.
    pub(crate) channels: Vec<String>,
}

/// Who does not receive an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Excluded {
    /// Nobody is excluded.
    #[default]
    None,
    /// A connection of the publishing node.
    Connection(String),
    /// A client key.
    Client(String),
}

/// A description that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedRecord(&'static str);

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a record of the log cannot be read: {}", self.0)
    }
}

impl std::error::Error for MalformedRecord {}

/// The most channels of one event.
pub(crate) const MAX_CHANNELS: usize = 64;

/// The version of the format. Nodes do not read records of a later one.
const VERSION: u8 = 1;

/// The text that stands for the description of a record of the kind [`Content::Rewound`].
pub(crate) const REWOUND: &[u8] = b"R";

const CLOSES: u8 = 1;
const LIVE_ONLY: u8 = 2;
const EXCEPT_CONNECTION: u8 = 4;
const EXCEPT_CLIENT: u8 = 8;
const HUB_ID: u8 = 16;

impl Description {
    /// Encodes the description: version, flags, publisher, number, the excluded one, and the channels. Integers are little
    /// endian, and texts have their length before them, in two bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let except = match &self.except {
            Excluded::None => None,
            Excluded::Connection(id) => Some((EXCEPT_CONNECTION, id)),
            Excluded::Client(key) => Some((EXCEPT_CLIENT, key)),
        };
        let flags = if self.closes { CLOSES } else { 0 }
            | if self.is_live_only { LIVE_ONLY } else { 0 }
            | if self.has_hub_id { HUB_ID } else { 0 }
            | except.map_or(0, |(flag, _)| flag);
        let mut bytes = vec![VERSION, flags];
        bytes.extend_from_slice(&self.publisher.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        if let Some((_, except)) = except {
            push_text(&mut bytes, except);
        }
        bytes.push(u8::try_from(self.channels.len()).unwrap_or(u8::MAX));
        for channel in &self.channels {
            push_text(&mut bytes, channel);
        }
        bytes
    }

    /// Decodes a description.
    ///
    /// # Errors
    ///
    /// [`MalformedRecord`] if the bytes are not those of [`encode`](Description::encode).
    pub(crate) fn decode(bytes: &[u8]) -> Result<Description, MalformedRecord> {
        let mut input = Input(bytes);
        if input.byte()? != VERSION {
            return Err(MalformedRecord("its version is unknown"));
        }
        let flags = input.byte()?;
        if flags & !(CLOSES | LIVE_ONLY | EXCEPT_CONNECTION | EXCEPT_CLIENT | HUB_ID) != 0 {
            return Err(MalformedRecord("it has an unknown flag"));
        }
        let (publisher, number) = (input.number()?, input.number()?);
        let except = match flags & (EXCEPT_CONNECTION | EXCEPT_CLIENT) {
            0 => Excluded::None,
            EXCEPT_CONNECTION => Excluded::Connection(input.text()?),
            EXCEPT_CLIENT => Excluded::Client(input.text()?),
            _ => return Err(MalformedRecord("it excludes twice")),
        };
        let count = usize::from(input.byte()?);
        if count == 0 || count > MAX_CHANNELS {
            return Err(MalformedRecord("it has no channel, or too many"));
        }
        let channels = (0..count).map(|_| input.text()).collect::<Result<Vec<_>, _>>()?;
        if !input.0.is_empty() {
            return Err(MalformedRecord("it is too long"));
        }
        Ok(Description {
            publisher,
            number,
            closes: flags & CLOSES != 0,
            is_live_only: flags & LIVE_ONLY != 0,
            has_hub_id: flags & HUB_ID != 0,
            except,
            channels,
        })
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend(text.iter().take(usize::from(length)));
}

/// The bytes that are still to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MalformedRecord> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MalformedRecord("it is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, MalformedRecord> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn number(&mut self) -> Result<u64, MalformedRecord> {
        Ok(self.take(8)?.try_into().map(u64::from_le_bytes).unwrap_or_default())
    }

    fn text(&mut self) -> Result<String, MalformedRecord> {
        let length = self.take(2)?.try_into().map(u16::from_le_bytes).unwrap_or_default();
        if usize::from(length) > Limits::MAX_NAME_BYTES {
            return Err(MalformedRecord("a text is too long"));
        }
        let text = std::str::from_utf8(self.take(usize::from(length))?);
        text.map(str::to_owned).map_err(|_| MalformedRecord("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn description() -> impl Strategy<Value = Description> {
        let except = prop_oneof![
            Just(Excluded::None),
            "[0-9]{1,9}\\.[0-9]{1,9}".prop_map(Excluded::Connection),
            ".{0,60}".prop_map(Excluded::Client),
        ];
        let channels = proptest::collection::vec(".{0,40}", 1..MAX_CHANNELS);
        (any::<(u64, u64, bool, bool, bool)>(), except, channels).prop_map(
            |((publisher, number, closes, is_live_only, has_hub_id), except, channels)| Description {
                publisher,
                number,
                closes,
                is_live_only,
                has_hub_id,
                except,
                channels,
            },
        )
    }

    proptest! {
        #[test]
        fn a_description_survives_the_round_trip(description in description()) {
            let bytes = description.encode();
            prop_assert_eq!(Description::decode(&bytes), Ok(description));
            for end in 0..bytes.len() {
                prop_assert!(Description::decode(&bytes[..end]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(description) = Description::decode(&bytes) {
                prop_assert!(!description.channels.is_empty());
            }
        }
    }

    #[test]
    fn a_later_version_is_refused() {
        let mut bytes = Description { channels: vec!["a".into()], ..Description::default() }.encode();
        bytes[0] = 2;
        assert!(Description::decode(&bytes).is_err());
    }
}
