//! Nothing is traced: the feature `tracing` is off.

use crate::{
    Action, ChannelId, ConnectError, ConnectionConfig, ConnectionId, DrainConfig, Hub, OpenError, Resume,
    SubscribeError,
};

#[derive(Default)]
pub(crate) struct Spans;

pub(crate) struct Opening;

#[derive(Default)]
pub(crate) struct Note(());

#[derive(Debug, Default)]
pub(crate) struct Notes(());

impl Spans {
    #[inline]
    pub(crate) fn insert(&mut self, _: ConnectionId, _: &Opening) {}

    #[inline]
    pub(crate) fn followed(
        &self,
        _: &Hub,
        _: ChannelId,
        _: ConnectionId,
        _: &Result<Resume, SubscribeError>,
    ) -> Note {
        Note(())
    }

    #[inline]
    pub(crate) fn disconnected(&mut self, _: ConnectionId) -> Note {
        Note(())
    }

    #[inline]
    pub(crate) fn acted(&mut self, _: &Hub, _: Action) -> Note {
        Note(())
    }
}

impl Opening {
    #[inline]
    pub(crate) fn new(_: &ConnectionConfig) -> Opening {
        Opening
    }

    #[inline]
    pub(crate) fn tell(self, _: &Result<ConnectionId, ConnectError>) {}
}

impl Note {
    #[inline]
    pub(crate) fn tell(self) {}
}

impl Notes {
    #[inline]
    pub(crate) fn add(&mut self, _: Note) {}

    #[inline]
    pub(crate) fn tell(&mut self) {}
}

#[inline]
pub(crate) fn open_refused(_: &str, _: &OpenError) {}

#[inline]
pub(crate) fn draining(_: &DrainConfig) {}

#[inline]
pub(crate) fn shutting_down() {}
