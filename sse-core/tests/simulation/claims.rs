//! Drivers that write without holding the hub (D9).

use bytes::Buf;
use sse_core::Claim;

use super::world::World;

impl World {
    /// Returns a claim: all of its bytes were written, or a part of them.
    pub(super) fn return_claim(
        &mut self,
        client: usize,
        shown: &[u8],
        claimed: Option<(Vec<u8>, Claim)>,
        lagged: u64,
    ) {
        let (mut taken, mut is_confirmed) = (Vec::new(), false);
        let connection = self.clients[client].connection.as_ref().expect("reported");
        let (server, id, now) = (connection.server, connection.id, self.clock());
        let has_lagged = self.servers[server].hub.stats().lagged > lagged;
        if let Some((bytes, claim)) = claimed {
            assert_eq!(bytes, shown[..bytes.len()], "the claimed bytes differ from those of the window");
            assert_eq!((claim.connection(), claim.len()), (id, bytes.len()));
            // A part of the last frame, or all of it: the world knows of one begun frame per connection.
            let partial = &self.clients[client].connection.as_ref().expect("reported").partial;
            let begin = last_frame(&[&partial[..], &bytes[..]].concat()).saturating_sub(partial.len()) + 1;
            let written = begin + self.random.below(bytes.len() + 1 - begin);
            let hub = &mut self.servers[server].hub;
            assert_eq!(hub.transmit(now, id).remaining(), 0, "nothing is handed out beside a claim (D9)");
            is_confirmed = written == bytes.len();
            assert!(hub.put_back(now, claim, bytes[written..].to_vec().into()), "the claim is current");
            taken = bytes[..written].to_vec();
        }
        let has_ended = taken.is_empty() && !self.servers[server].hub.is_connection_open(id);
        self.record_taken(client, shown, taken, has_lagged);
        if (is_confirmed || shown.is_empty())
            && !has_ended
            && let Some(connection) = &mut self.clients[client].connection
        {
            (connection.is_reported, connection.idle_since) = (false, self.now);
        }
        self.record_left(client);
    }
}

/// Returns where the last frame begins.
fn last_frame(bytes: &[u8]) -> usize {
    let before = &bytes[..bytes.len().saturating_sub(2)];
    let begin = before.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |end| end + 2);
    // A ping is a frame of one line.
    if bytes[begin..].len() > 2 && bytes[begin..].starts_with(b":\n") {
        return begin + 2;
    }
    begin
}
