//! Rooms that are finished, and pages for which everything is over.

use std::time::Duration;

use sse_core::{Event, Frame};

use super::node::ROOMS;
use super::world::World;

/// How long a room is kept. In the test, finished rooms are closed by a step.
const KEEP: Duration = Duration::from_secs(3600);

impl World {
    /// Finishes a room, with a last event or without.
    pub(super) fn finish_room(&mut self) {
        let name = self.choose(ROOMS);
        let Some(channel) = self.nodes[0].channels[name] else { return };
        if self.finished[name] {
            return;
        }
        self.log(|| format!("room {name} is finished"));
        if self.choose(2) == 0 {
            self.publish_to(&[name], Some(KEEP));
        } else {
            let node = &mut self.nodes[0];
            node.hub.finish_channel(node.now, channel, None, KEEP).expect("finished");
        }
        self.finished[name] = true;
    }

    /// Answers a request with 204 if its page has everything that will ever come.
    pub(super) fn stop_if_over(&mut self, number: usize) {
        let Some(link) = self.pages[number].link.as_ref() else { return };
        let (node, connection) = (link.node, link.connection);
        let node = &mut self.nodes[node];
        if !node.hub.is_over(connection) {
            return;
        }
        node.hub.disconnect(node.now, connection);
        self.log(|| format!("page {number} is over"));
        let page = &mut self.pages[number];
        // The response has no bytes, so what the page knows of its rooms stays as it is.
        page.link = None;
        page.is_over = true;
        let newest = self.events.last().map_or(0, |event| event.position);
        self.check_complete(number, newest);
    }
}

/// Returns the last frame of a connection.
pub(super) fn farewell() -> Frame {
    Event::new().event("farewell").data("").encode().expect("a valid event")
}
