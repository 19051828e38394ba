//! Drives the hub and the model together. Every step goes to both, and their results have to be equal.

use std::collections::HashMap;
use std::time::Duration;

use sse_core::{
    Action, ChannelId, Claim, CloseReason, ConnectError, ConnectionConfig, ConnectionId, Frame, Hub, Instant,
    Join, OpenError,
};

use super::naive::{Model, State, wire};
use super::op::{ChannelSetup, ConnectionSetup, HubSetup, LastId, Op};
use super::{check, settings};

/// Number of the newest connections and channels that a reference can select.
const REACH: usize = 8;

pub(crate) struct Harness {
    pub(crate) hub: Hub,
    pub(crate) model: Model,
    /// The instant passed to calls. It may be earlier than the latest instant that the hub has seen.
    pub(crate) clock: Instant,
    /// The claims of the connections whose bytes are being written.
    pub(crate) claims: HashMap<usize, Claim>,
}

impl Harness {
    pub(crate) fn new(setup: HubSetup) -> Harness {
        let config = settings::hub(&setup);
        let hub = Hub::new(config.clone()).expect("a valid epoch");
        let model = Model {
            is_external: setup.external,
            is_log: setup.external && setup.log,
            after: hub.head().get(),
            seed: config.seed,
            // The minimum of the stall timeout is one millisecond.
            stall: config.stall_timeout.map(|stall| stall.max(Duration::from_millis(1))),
            limits: config.limits,
            is_shut_down: false,
            head: hub.head().get(),
            now: Instant::ORIGIN,
            chans: Vec::new(),
            ended_names: HashMap::new(),
            conns: Vec::new(),
            actions: Vec::new(),
            counters: Default::default(),
        };
        Harness { hub, model, clock: Instant::ORIGIN, claims: HashMap::new() }
    }

    pub(crate) fn step(&mut self, op: &Op) {
        match op {
            Op::Configure(setup) => {
                self.finish();
                *self = Harness::new(*setup);
            }
            Op::Connect(client) => self.connect(client),
            Op::Disconnect(connection) => self.on_connection(*connection, Harness::disconnect),
            Op::Close(connection) => self.on_connection(*connection, Harness::close),
            Op::Open { name, log } => self.open(*name, log),
            Op::CloseChannel(channel) => self.on_channel(*channel, Harness::close_channel),
            Op::FinishChannel { channel, last, keep } => {
                self.on_channel(*channel, |s, chan| s.finish_channel(chan, last.as_ref(), *keep));
            }
            Op::Stop(channel) => self.on_channel(*channel, Harness::stop),
            Op::Room(channel) => self.on_channel(*channel, Harness::room),
            Op::SetFarewell(connection, is_set) => {
                self.on_connection(*connection, |s, c| s.set_farewell(c, *is_set));
            }
            Op::Subscribe { channel, connection } => self.on_both(*channel, *connection, Harness::subscribe),
            Op::Join { channel, connection, after } => {
                self.on_both(*channel, *connection, |s, chan, conn| s.join(chan, conn, *after));
            }
            Op::Unsubscribe { channel, connection } => {
                self.on_both(*channel, *connection, Harness::unsubscribe)
            }
            Op::Publish { channels, event, except } => self.publish(*channels, event, *except),
            Op::PublishAt { channels, step } => self.publish_at(*channels, *step),
            Op::AdvanceHead(step) => self.advance_head(*step),
            Op::Lose { channel, step } => self.on_channel(*channel, |s, c| s.lose(c, *step)),
            Op::SendToPrincipal { principal, bytes } => self.send_to_principal(*principal, *bytes),
            Op::ClosePrincipal(principal) => self.close_principal(*principal),
            Op::UnsubscribePrincipal { channel, principal } => {
                self.on_channel(*channel, |s, chan| s.unsubscribe_principal(chan, *principal));
            }
            Op::Send { connection, bytes } => self.on_connection(*connection, |s, c| s.send(c, *bytes)),
            Op::ShutDown => self.shut_down(),
            Op::SetPing(connection, time) => self.on_connection(*connection, |s, c| s.set_ping(c, *time)),
            Op::SetMaxLifetime(connection, time) => {
                self.on_connection(*connection, |s, c| s.set_max_lifetime(c, *time));
            }
            Op::Advance(time) => {
                self.clock = self.clock.max(self.model.now).saturating_add(settings::time(*time));
            }
            Op::AdvanceToDeadline(before) => {
                let deadline = self.hub.poll_timeout().unwrap_or(self.clock);
                self.clock = Instant::from_nanos(deadline.as_nanos().saturating_sub(u64::from(*before)));
            }
            Op::Rewind(time) => {
                let back = settings::time(*time).as_nanos();
                let nanos = u128::from(self.clock.as_nanos()).saturating_sub(back);
                self.clock = Instant::from_nanos(u64::try_from(nanos).unwrap_or(0));
            }
            Op::HandleTimeout => self.handle_timeout(),
            Op::Poll => self.poll(),
            Op::PollAll => self.poll_all(),
            Op::Turn => self.turn(),
            Op::Sleep(deadlines) => self.sleep(*deadlines),
            Op::Transmit { connection, take } => self.on_connection(*connection, |s, c| s.transmit(c, *take)),
            Op::TakeReported => self.take_reported(),
            Op::Claim { connection, most } => self.on_connection(*connection, |s, c| s.claim(c, *most)),
            Op::PutBack { connection, refused } => {
                self.on_connection(*connection, |s, c| s.put_back(c, *refused))
            }
        }
    }

    pub(crate) fn observed(&mut self) -> Instant {
        self.model.observe(self.clock);
        self.clock
    }

    fn on_connection(&mut self, reference: u8, act: impl Fn(&mut Harness, usize)) {
        if let Some(conn) = newest(self.model.conns.len(), reference) {
            act(self, conn);
        }
    }

    fn on_channel(&mut self, reference: u8, act: impl Fn(&mut Harness, usize)) {
        if let Some(chan) = newest(self.model.chans.len(), reference) {
            act(self, chan);
        }
    }

    fn on_both(&mut self, channel: u8, connection: u8, act: impl Fn(&mut Harness, usize, usize)) {
        self.on_channel(channel, |harness, chan| {
            harness.on_connection(connection, |harness, conn| act(harness, chan, conn))
        });
    }

    /// Returns the channels that a set of references selects.
    pub(super) fn channels_of(&self, set: u8) -> Vec<usize> {
        let references = (0..8).filter(|bit| set & (1 << bit) != 0);
        let chans: Vec<usize> = references.filter_map(|bit| newest(self.model.chans.len(), bit)).collect();
        chans
    }

    pub(crate) fn ids(&self, chans: &[usize]) -> Vec<ChannelId> {
        chans.iter().map(|chan| self.model.chans[*chan].id).collect()
    }

    pub(crate) fn id(&self, conn: usize) -> ConnectionId {
        self.model.conns[conn].id
    }

    fn connect(&mut self, client: &ConnectionSetup) {
        let now = self.observed();
        let config = settings::connection(client, self.model.head);
        let limit = self.model.limits.connections;
        let open = self.model.stats().connections;
        let replaced = self.model.replaced(&config);
        match self.hub.connect(now, config.clone()) {
            Ok(id) => {
                let replaced = replaced.expect("U2: the principal has room");
                let has_room = open < limit || replaced.is_some();
                assert!(has_room && !self.model.is_shut_down, "A1: {open} of {limit}");
                if let Some(former) = replaced {
                    self.model.end(former, CloseReason::Replaced);
                }
                assert!(self.model.conns.iter().all(|conn| conn.id != id), "D6: {id} was used before");
                self.model.connect(id, config);
            }
            Err(error) if self.model.is_shut_down => assert_eq!(error, ConnectError::ShuttingDown),
            Err(ConnectError::PingTooShort { interval, min }) => {
                assert_eq!((config.ping, min), (Some(interval), ConnectionConfig::MIN_PING), "T1");
                assert!(interval < min, "T1");
            }
            Err(ConnectError::FarewellTooLarge { bytes, limit }) => {
                let farewell = config.farewell.map_or(0, |farewell| farewell.len());
                assert_eq!((bytes, limit), (farewell, self.model.limits.event_bytes), "T5");
                assert!(bytes > limit, "T5");
            }
            Err(error @ ConnectError::TooManyOfPrincipal { .. }) => {
                assert_eq!(replaced, Err(error), "U2");
            }
            Err(error) => {
                assert_eq!(error, ConnectError::TooManyConnections { limit });
                assert_eq!(replaced, Ok(None), "U2");
                assert!(open >= limit, "A1: {open} of {limit}");
            }
        }
    }

    pub(crate) fn disconnect(&mut self, conn: usize) {
        let now = self.observed();
        let was_alive = self.model.conns[conn].is_alive;
        assert_eq!(self.hub.disconnect(now, self.id(conn)), was_alive);
        self.model.end(conn, CloseReason::Disconnected);
    }

    fn close(&mut self, conn: usize) {
        let now = self.observed();
        assert_eq!(self.hub.close_connection(now, self.id(conn)), self.model.conns[conn].is_alive);
        self.model.begin_close(conn, CloseReason::Requested);
    }

    /// Shuts the hub down. A shutdown is not spread, so deadlines of the same instant are handled together with it.
    fn shut_down(&mut self) {
        let now = self.observed();
        self.hub.shut_down(now);
        self.model.shut_down();
        self.handle_timeout();
    }

    fn open(&mut self, name: u8, log: &ChannelSetup) {
        let now = self.observed();
        let name = match name {
            u8::MAX => "n".repeat(sse_core::Limits::MAX_NAME_BYTES + 1),
            name => ["", "a", "b", "c"][usize::from(name % 4)].to_owned(),
        };
        let mut config = settings::channel(log);
        // With external positions, members pass events that they have already: see `publish`.
        config.linger = config.linger.filter(|_| !self.model.is_external);
        let limit = self.model.limits.channels;
        let there = self.model.chans.iter().find(|chan| chan.state == State::Open && chan.name == name);
        let expected = match there {
            Some(channel) if channel.config == config => Some(Ok(channel.id)),
            Some(_) => Some(Err(OpenError::OtherConfig)),
            None if name.len() > sse_core::Limits::MAX_NAME_BYTES => {
                let (bytes, limit) = (name.len(), sse_core::Limits::MAX_NAME_BYTES);
                Some(Err(OpenError::NameTooLong { bytes, limit }))
            }
            None if self.model.stats().channels >= limit => Some(Err(OpenError::TooManyChannels { limit })),
            None => None,
        };
        let opened = self.hub.open_channel(now, &name, config.clone());
        if let Some(expected) = expected {
            return assert_eq!(opened, expected);
        }
        let id = opened.expect("the limit is not reached");
        assert!(self.model.chans.iter().all(|chan| chan.id != id), "D6: {id} was used before");
        self.model.open(id, name, config);
    }

    pub(crate) fn close_channel(&mut self, chan: usize) {
        let now = self.observed();
        let channel = &self.model.chans[chan];
        let was_open = channel.state == State::Open;
        assert_eq!(self.hub.close_channel(now, channel.id), was_open);
        if was_open {
            self.model.end_channel(chan, sse_core::ChannelCloseReason::Requested);
        }
    }

    fn subscribe(&mut self, chan: usize, conn: usize) {
        let now = self.observed();
        let resume = self.hub.subscribe(now, self.model.chans[chan].id, self.id(conn));
        assert_eq!(resume, self.model.subscribe(chan, conn, None), "subscribe");
    }

    fn join(&mut self, chan: usize, conn: usize, after: Option<LastId>) {
        let now = self.observed();
        let after = after.and_then(|after| settings::last_event_id(after, self.model.head));
        let join = after.as_ref().map_or(Join::New, Join::After);
        let resume = self.hub.join(now, self.model.chans[chan].id, self.id(conn), join);
        let join = Some(after.as_ref().map(|after| after.as_str()));
        assert_eq!(resume, self.model.subscribe(chan, conn, join), "join");
    }

    fn unsubscribe(&mut self, chan: usize, conn: usize) {
        let now = self.observed();
        let was_followed = self.hub.unsubscribe(now, self.model.chans[chan].id, self.id(conn));
        assert_eq!(was_followed, self.model.unsubscribe(chan, conn), "unsubscribe");
    }

    fn send(&mut self, conn: usize, bytes: u8) {
        let now = self.observed();
        let wire = wire(None, None, &"s".repeat(bytes.into()));
        let frame = Frame::parse(wire.clone()).expect("the bytes are one block");
        let sent = self.hub.send(now, self.id(conn), &frame);
        assert_eq!(sent, self.model.send(conn, &wire), "send");
    }

    fn set_ping(&mut self, conn: usize, time: Option<u8>) {
        let now = self.observed();
        let interval = time.map(settings::time);
        let is_set =
            self.model.conns[conn].is_alive && interval.is_none_or(|it| it >= ConnectionConfig::MIN_PING);
        assert_eq!(self.hub.set_ping(now, self.id(conn), interval), is_set);
        if is_set {
            self.model.set_ping(conn, interval);
        }
    }

    fn set_max_lifetime(&mut self, conn: usize, time: Option<u8>) {
        let now = self.observed();
        let life = time.map(settings::time);
        let c = &self.model.conns[conn];
        let is_open = c.is_alive && c.is_open();
        assert_eq!(self.hub.set_max_lifetime(now, self.id(conn), life), is_open);
        if is_open {
            let now = self.model.now;
            self.model.conns[conn].expires = life.and_then(|life| now.checked_add(life));
        }
    }

    /// Ends all connections and channels, and checks that the hub is as empty as a new one (D8).
    pub(crate) fn finish(&mut self) {
        for conn in 0..self.model.conns.len() {
            self.disconnect(conn);
        }
        for chan in 0..self.model.chans.len() {
            self.close_channel(chan);
        }
        self.poll_all();
        check::after_step(self);
        let stats = self.hub.stats();
        assert_eq!((stats.connections, stats.channels, stats.history_bytes), (0, 0, 0), "D8");
        assert_eq!(self.hub.poll_timeout(), None, "D8");
        assert_eq!(stats.opened, stats.closed.total(), "A3");
    }

    pub(crate) fn model_conn(&self, action: &Action) -> Option<usize> {
        match action {
            Action::Transmit(id) => self.model.conn_of(*id),
            _ => None,
        }
    }
}

/// Resolves a reference, which counts back from the newest entry.
pub(crate) fn newest(len: usize, reference: u8) -> Option<usize> {
    (len > 0).then(|| len - 1 - usize::from(reference) % len.min(REACH))
}
