//! What can happen to a hub, in numbers so small that limits, stale ids and equal instants are met all the time.

/// One step. References to connections and channels are counted back from the newest that ever was, so that some are
/// stale; a reference to what never was does nothing.
#[derive(Clone, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Op {
    /// Ends the hub with all that has to hold then, and goes on with a new one.
    Configure(Setup),
    Connect(Client),
    Disconnect(u8),
    Close(u8),
    Open {
        name: u8,
        log: Log,
    },
    CloseChannel(u8),
    Subscribe {
        channel: u8,
        connection: u8,
    },
    Unsubscribe {
        channel: u8,
        connection: u8,
    },
    /// Publishes to the channels of a set of references; a fed hub is given the next position.
    Publish {
        channels: u8,
        event: Content,
        except: Option<u8>,
    },
    /// Publishes at a position `step` from eight below the head.
    PublishAt {
        channels: u8,
        step: u8,
    },
    Send {
        connection: u8,
        bytes: u8,
    },
    /// Ends all connections; none comes any more.
    ShutDown,
    SetPing(u8, Option<u8>),
    SetTimeout(u8, Option<u8>),
    Advance(u8),
    /// To the instant that the hub named, or so much before it.
    AdvanceToDeadline(u8),
    /// Later calls come with an earlier instant, until time is moved on.
    Rewind(u8),
    HandleTimeout,
    /// One action, or none.
    Poll,
    /// Actions until there is none.
    PollAll,
    /// What a driver does that sleeps until the next deadline: deadlines and actions until nothing is pending.
    Turn,
    Transmit {
        connection: u8,
        take: Take,
    },
    /// Copies the window of a connection and takes it but for its last byte, as a driver that writes without the hub.
    Lift(u8),
    /// What was lifted was written, but for so many bytes.
    Land {
        connection: u8,
        refused: u8,
    },
    /// As a driver does: each connection that was named takes all that is due.
    TakeNamed,
}

/// What a hub is made with.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct Setup {
    pub(crate) fed: bool,
    /// The position that the hub starts after.
    pub(crate) after: u8,
    pub(crate) seed: u8,
    pub(crate) stall: Option<u8>,
    pub(crate) connections: Limit,
    pub(crate) channels: Limit,
    pub(crate) subscriptions: Limit,
    pub(crate) members: Limit,
    pub(crate) event_bytes: Option<u8>,
    pub(crate) history_bytes: Option<u8>,
}

/// A limit on a number: none, or a small one.
pub(crate) type Limit = Option<u8>;

/// What a connection is made with.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct Client {
    pub(crate) id: Last,
    pub(crate) is_silent: bool,
    pub(crate) ping: Option<u8>,
    pub(crate) timeout: Option<u8>,
    pub(crate) is_reported: bool,
    pub(crate) direct_bytes: Option<u8>,
}

/// What a client gives as the id of its last event.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Last {
    #[default]
    None,
    /// Of this epoch, so far behind the head.
    Behind(u8),
    /// Of this epoch, so far beyond the head.
    Beyond(u8),
    /// One of the application's.
    Own(u8),
    /// One of the values that are no id of anything.
    Rubbish(u8),
}

/// What a channel is made with.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct Log {
    /// How many events are kept: all of them, or a few.
    pub(crate) events: Option<u8>,
    pub(crate) bytes: Option<u8>,
    pub(crate) age: Option<u8>,
    pub(crate) backlog_frames: Option<u8>,
    pub(crate) backlog_bytes: Option<u8>,
    pub(crate) ids_are_own: bool,
    pub(crate) start: u8,
    pub(crate) on_gap: u8,
    pub(crate) skips: bool,
    pub(crate) empty_timeout: Option<u8>,
    pub(crate) takes_connections: bool,
}

/// What is published.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) struct Content {
    pub(crate) id: GivenId,
    pub(crate) bytes: u8,
    pub(crate) live_only: bool,
    /// Its name has a line break: it cannot be encoded.
    pub(crate) is_broken: bool,
}

/// The id that an application gives an event.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum GivenId {
    #[default]
    None,
    /// One of a few, so that they are used again.
    Own(u8),
    Empty,
    /// In the hub's own form, so far from the next position: right when it is 0.
    Reserved(u8),
}

/// How much of a window a driver takes, and in which way.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(crate) enum Take {
    /// It only looks.
    Nothing,
    Bytes(u8),
    Copied(u8),
    Frame,
    Window,
    /// Windows until one is empty.
    All,
    /// A window but for its last byte.
    AllButOne,
}
