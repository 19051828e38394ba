//! Nothing is traced: the feature `tracing` is off.

use crate::{
    Action, ChannelId, ConnectError, ConnectionConfig, ConnectionId, Drain, Hub, OpenError, Resume,
    SubscribeError,
};

#[derive(Default)]
pub(super) struct Spans;

pub(in crate::shared) struct Opening;

#[derive(Default)]
pub(in crate::shared) struct Note(());

#[derive(Debug, Default)]
pub(in crate::shared) struct Notes(());

impl Spans {
    #[inline]
    pub(super) fn insert(&mut self, _: ConnectionId, _: &Opening) {}

    #[inline]
    pub(super) fn followed(
        &self,
        _: &Hub,
        _: ChannelId,
        _: ConnectionId,
        _: &Result<Resume, SubscribeError>,
    ) -> Note {
        Note(())
    }

    #[inline]
    pub(super) fn disconnected(&mut self, _: ConnectionId) -> Note {
        Note(())
    }

    #[inline]
    pub(super) fn acted(&mut self, _: &Hub, _: Action) -> Note {
        Note(())
    }
}

impl Opening {
    #[inline]
    pub(in crate::shared) fn new(_: &ConnectionConfig) -> Opening {
        Opening
    }

    #[inline]
    pub(in crate::shared) fn tell(self, _: &Result<ConnectionId, ConnectError>) {}
}

impl Note {
    #[inline]
    pub(in crate::shared) fn tell(self) {}
}

impl Notes {
    #[inline]
    pub(in crate::shared) fn add(&mut self, _: Note) {}

    #[inline]
    pub(in crate::shared) fn tell(&mut self) {}
}

#[inline]
pub(super) fn open_refused(_: &str, _: &OpenError) {}

#[inline]
pub(in crate::shared) fn draining(_: &Drain) {}

#[inline]
pub(in crate::shared) fn shutting_down() {}
