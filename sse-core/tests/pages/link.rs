//! The connection of a page: bytes in flight, and what the page decodes.

use std::collections::VecDeque;

use sse_core::{ConnectionId, Decoder, Message};

pub(crate) struct Link {
    pub(crate) node: usize,
    pub(crate) connection: ConnectionId,
    in_flight: VecDeque<u8>,
    decoder: Decoder,
    /// The position of the id with which the page came.
    pub(crate) resumed_at: u64,
    /// An id has arrived.
    pub(crate) has_id: bool,
    /// The position of the newest id that arrived. Ids never go back on one connection.
    pub(crate) newest: u64,
    /// The position of the newest event that arrived.
    pub(crate) newest_event: u64,
    /// The number of resets that arrived.
    pub(crate) resets: usize,
    /// The rooms that the page joins again later.
    pub(crate) to_rejoin: Vec<usize>,
    /// The server has ended the connection; what is in flight still arrives.
    pub(crate) has_ended: bool,
    /// The server did not know the id of the client: behind the reset, events may come again.
    pub(crate) is_unknown: bool,
    /// The farewell has arrived: nothing may follow.
    pub(crate) has_farewell: bool,
    /// The head of the server when the page subscribed last.
    pub(crate) head: u64,
}

impl Link {
    pub(crate) fn new(node: usize, connection: ConnectionId, last_id: &str, resumed_at: u64) -> Link {
        let mut decoder = Decoder::new();
        // A client keeps its id across connections, so it is the id of messages without one.
        decoder.push(format!("id: {last_id}\n\n").as_bytes());
        while decoder.next_message().is_some() {}
        Link {
            node,
            connection,
            in_flight: VecDeque::new(),
            decoder,
            resumed_at,
            has_id: false,
            newest: resumed_at,
            newest_event: 0,
            resets: 0,
            to_rejoin: Vec::new(),
            has_ended: false,
            is_unknown: false,
            has_farewell: false,
            head: 0,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.in_flight.extend(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Lets bytes arrive, until they complete a message.
    pub(crate) fn receive(&mut self, bytes: &mut usize) -> Option<Message> {
        loop {
            if let Some(message) = self.decoder.next_message() {
                return Some(message.expect("a small event"));
            }
            if *bytes == 0 {
                return None;
            }
            *bytes -= 1;
            let byte = self.in_flight.pop_front()?;
            self.decoder.push(&[byte]);
        }
    }
}
