//! Ids that stay young: the event `position` in place of a ping, behind a replay, and before an end (L5).

use crate::config::IdSource;
use crate::id::Position;
use crate::resume::LastEventId;

use super::Hub;
use super::arena::ConnectionSlot;
use super::resume_point::ResumePoint;

impl Hub {
    /// Inserts the event `position` behind everything that was published, if the client of the connection is kept informed of
    /// the position. Returns false otherwise.
    pub(super) fn refresh_position(&mut self, slot: ConnectionSlot) -> bool {
        let position = self.complete_through();
        let is_behind =
            self.connections.at(slot).is_some_and(|connection| connection.client_position() <= position);
        if !is_behind || !self.refreshes(slot) {
            return false;
        }
        let frame = self.control_frames.position(&self.epoch, position);
        let Some(connection) = self.connections.at_mut(slot) else { return false };
        connection.own_frames.insert_position(self.now, position, frame);
        true
    }

    /// Lets the start of a connection end with the event `position`, unless its client has the id of the head by then. The
    /// start was decided just now.
    pub(super) fn refresh_start(&mut self, slot: ConnectionSlot) {
        if !self.refreshes(slot) {
            return;
        }
        if let Some(connection) = self.connections.at_mut(slot) {
            connection.own_frames.remove_position();
        }
        if self.last_id_of_start(slot).is_none_or(|last| last < self.complete_through()) {
            self.refresh_position(slot);
        }
    }

    /// Returns whether the client of a connection is kept informed of the position. Where a channel leaves ids to the
    /// application, the id of the application is to stay.
    fn refreshes(&self, slot: ConnectionSlot) -> bool {
        if !self.config.refresh_position {
            return false;
        }
        let Some(connection) = self.connections.at(slot) else { return false };
        let has_own_ids =
            |slot| self.channels.at(slot).is_some_and(|channel| channel.config.ids == IdSource::Hub);
        connection.announces_position
            && connection.is_open()
            && connection.subscriptions.as_slice().iter().all(|s| has_own_ids(s.channel))
    }

    /// Returns the position of the last id that the client has when it has read everything up to the head. `None` if that id
    /// is not one of the hub.
    fn last_id_of_start(&self, slot: ConnectionSlot) -> Option<Position> {
        let connection = self.connections.at(slot)?;
        let first = match connection.resume_point() {
            ResumePoint::At(position) => self.has_hub_id(slot).then_some(position),
            ResumePoint::None | ResumePoint::Unknown => {
                connection.opening(&self.channels).map(|_| connection.position)
            }
        };
        let resets = connection.own_frames.resets().map(|(_, id)| Some(id)).max().flatten();
        let newest = connection.subscriptions.as_slice().iter().filter_map(|subscription| {
            let history = &self.channels.at(subscription.channel)?.history;
            let newest = history.newest_by(self.head)?;
            if newest <= subscription.owed_after {
                return None;
            }
            let entry = history.first_after(newest.before())?.1;
            Some((newest, entry.frame.id().is_some_and(|id| self.epoch.position(id).is_some())))
        });
        match newest.max() {
            Some((newest, is_hub_id)) => is_hub_id.then_some(newest).max(resets),
            None => first.max(resets),
        }
    }

    /// Returns whether the last event id of a client is one of the hub.
    fn has_hub_id(&self, slot: ConnectionSlot) -> bool {
        let request = self.connections.at(slot).and_then(|connection| connection.resume_request());
        let id = request.and_then(|request| LastEventId::as_str(&request.id));
        id.is_some_and(|id| self.epoch.position(id).is_some())
    }
}
