//! The control events: the frames that a hub sends on its own.

use crate::config::ControlEvents;
use crate::id::Position;
use crate::wire::{Event, Frame};

use super::epoch::Epoch;
use super::error::ConfigError;

/// Encodes the control events of a hub.
pub(super) struct ControlFrames {
    names: ControlEvents,
}

impl ControlFrames {
    /// Checks that the names can be encoded.
    pub(super) fn new(names: ControlEvents) -> Result<ControlFrames, ConfigError> {
        for name in [&names.position, &names.reset] {
            Event::new().event(&**name).encode().map_err(ConfigError::ControlEvent)?;
        }
        Ok(ControlFrames { names })
    }

    /// Returns the event with which a connection begins: clients store its id, and resume from it (H3).
    pub(super) fn position(&self, epoch: &Epoch, position: Position) -> Frame {
        encode(&self.names.position, epoch, position)
    }

    /// Returns the event that tells a client that it missed events (H7).
    pub(super) fn reset(&self, epoch: &Epoch, position: Position) -> Frame {
        encode(&self.names.reset, epoch, position)
    }
}

/// Encodes a control event with empty data: many clients store an id only together with data.
fn encode(name: &str, epoch: &Epoch, position: Position) -> Frame {
    let frame = Event::new().event(name).data("").encode_as(epoch.as_str(), position.get());
    // Epoch and names were checked, so this cannot fail. The empty comment stands for what cannot happen.
    frame.unwrap_or_else(|_| Frame::ping())
}
