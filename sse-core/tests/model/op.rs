//! The steps that can happen to a hub. Their numbers are small, so limits, stale ids and equal instants occur often.

/// One step. References to connections and channels count back from the newest that ever existed, so some are stale.
/// A reference to an empty list does nothing.
#[derive(Clone, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Op {
    /// Checks the end of the current hub and continues with a new one.
    Configure(HubSetup),
    Connect(ConnectionSetup),
    Disconnect(u8),
    Close(u8),
    Open {
        name: u8,
        log: ChannelSetup,
    },
    CloseChannel(u8),
    /// Finishes a channel, with a last event or without.
    FinishChannel {
        channel: u8,
        last: Option<Content>,
        keep: u8,
    },
    SetFarewell(u8, bool),
    /// Asks the producer of a channel to end.
    Stop(u8),
    /// Asks how far the producer of a channel may go.
    Room(u8),
    Subscribe {
        channel: u8,
        connection: u8,
    },
    /// Subscribes a client that never had the channel, or had everything up to an id.
    Join {
        channel: u8,
        connection: u8,
        after: Option<LastId>,
    },
    Unsubscribe {
        channel: u8,
        connection: u8,
    },
    /// Publishes to the channels that a set of references selects. A hub with external positions gets the next
    /// position.
    Publish {
        channels: u8,
        event: Content,
        except: Option<Excluded>,
    },
    /// Publishes at the position `head + step - 8`.
    PublishAt {
        channels: u8,
        step: u8,
    },
    /// Moves the head of a hub that follows a log to `head + step - 2`.
    AdvanceHead(u8),
    /// Loses the events of a channel up to `head + step - 8`.
    Lose {
        channel: u8,
        step: u8,
    },
    Send {
        connection: u8,
        bytes: u8,
    },
    SendToPrincipal {
        principal: u8,
        bytes: u8,
    },
    ClosePrincipal(u8),
    UnsubscribePrincipal {
        channel: u8,
        principal: u8,
    },
    /// Closes all connections and refuses new ones.
    ShutDown,
    SetPing(u8, Option<u8>),
    SetMaxLifetime(u8, Option<u8>),
    Advance(u8),
    /// Advances time to the deadline that the hub returned, or to this many nanoseconds before it.
    AdvanceToDeadline(u8),
    /// Passes an earlier instant to calls until time advances again.
    Rewind(u8),
    HandleTimeout,
    /// Polls one action, or none.
    Poll,
    /// Polls actions until none is left.
    PollAll,
    /// Runs one turn of a driver that sleeps until the next deadline: handles deadlines and actions until nothing is
    /// pending.
    Turn,
    Transmit {
        connection: u8,
        take: Take,
    },
    /// Claims bytes of a connection, as a driver does that writes without holding the hub: whole frames of at most `most`
    /// bytes as a copy, or the first frame.
    Claim {
        connection: u8,
        most: Option<u8>,
    },
    /// Returns a claim. The last `refused` of the claimed bytes were not written.
    PutBack {
        connection: u8,
        refused: u8,
    },
    /// Takes all pending bytes of each reported connection, as a driver does.
    TakeReported,
    /// Runs a driver that sleeps exactly until each of the next deadlines, at most this many and at most 8.
    Sleep(u8),
}

/// Configuration of a hub.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct HubSetup {
    pub(crate) external: bool,
    /// Whether a hub with external positions follows a log.
    pub(crate) log: bool,
    /// The position before the first one of the hub.
    pub(crate) after: u8,
    pub(crate) seed: u8,
    pub(crate) stall: Option<u8>,
    pub(crate) connections: Limit,
    pub(crate) channels: Limit,
    pub(crate) subscriptions: Limit,
    pub(crate) members: Limit,
    pub(crate) event_bytes: Option<u8>,
    pub(crate) history_bytes: Option<u8>,
    pub(crate) per_principal: Limit,
}

/// A limit on a number: the default, or a small one.
pub(crate) type Limit = Option<u8>;

/// Configuration of a connection.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct ConnectionSetup {
    pub(crate) id: LastId,
    pub(crate) without_position: bool,
    pub(crate) ping: Option<u8>,
    pub(crate) timeout: Option<u8>,
    pub(crate) reports_lifetime: bool,
    pub(crate) direct_bytes: Option<u8>,
    pub(crate) has_farewell: bool,
    /// One of a few principals.
    pub(crate) principal: Option<u8>,
    /// One of a few client keys.
    pub(crate) client: Option<u8>,
}

/// What a publication excludes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Excluded {
    Connection(u8),
    Client(u8),
}

/// The last event id that a client gives.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum LastId {
    #[default]
    None,
    /// An id of this epoch, this many positions behind the head.
    Behind(u8),
    /// An id of this epoch, this many positions beyond the head.
    Beyond(u8),
    /// One of the ids of the application.
    Application(u8),
    /// One of several values that are not the id of any event.
    Invalid(u8),
}

/// Configuration of a channel.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct ChannelSetup {
    /// Bound on the number of events in history: the default, or a small one.
    pub(crate) events: Option<u8>,
    pub(crate) bytes: Option<u8>,
    pub(crate) age: Option<u8>,
    pub(crate) backlog_frames: Option<u8>,
    pub(crate) backlog_bytes: Option<u8>,
    pub(crate) application_ids: bool,
    pub(crate) start: u8,
    pub(crate) on_gap: u8,
    pub(crate) skips: bool,
    pub(crate) empty_timeout: Option<u8>,
    pub(crate) closes_connections: bool,
    pub(crate) unwanted_after: Option<u8>,
    pub(crate) ahead: Option<u8>,
    pub(crate) linger: Option<u8>,
}

/// Content of an event.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct Content {
    pub(crate) id: GivenId,
    pub(crate) bytes: u8,
    pub(crate) live_only: bool,
    /// The event name contains a line break, so encoding fails.
    pub(crate) has_line_break: bool,
}

/// The id that the application sets on an event.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum GivenId {
    #[default]
    None,
    /// One of a few ids, so that ids are used again.
    Application(u8),
    Empty,
    /// An id in the form of the hub, this far from the next position. Only 0 is valid.
    Reserved(u8),
}

/// How much of a window a driver takes, and by which method.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Take {
    /// Only reads the window.
    Nothing,
    Bytes(u8),
    Copied(u8),
    Frame,
    Window,
    /// Takes windows until one is empty.
    All,
}
