//! Stand-ins while the feature `tracing` is off.

use crate::{
    Action, ChannelId, ConnectError, ConnectionConfig, ConnectionId, DrainConfig, Hub, OpenError, Resume,
    SubscribeError,
};

#[derive(Default)]
pub(crate) struct Spans;

pub(crate) struct ConnectionSpan;

#[derive(Default)]
pub(crate) struct DeferredEvent(());

#[derive(Debug, Default)]
pub(crate) struct DeferredEvents(());

impl Spans {
    #[inline]
    pub(crate) fn insert(&mut self, _: ConnectionId, _: &ConnectionSpan) {}

    #[inline]
    pub(crate) fn subscribed(
        &self,
        _: &Hub,
        _: ChannelId,
        _: ConnectionId,
        _: &Result<Resume, SubscribeError>,
    ) -> DeferredEvent {
        DeferredEvent(())
    }

    #[inline]
    pub(crate) fn disconnected(&mut self, _: ConnectionId) -> DeferredEvent {
        DeferredEvent(())
    }

    #[inline]
    pub(crate) fn action_polled(&mut self, _: &Hub, _: Action) -> DeferredEvent {
        DeferredEvent(())
    }
}

impl ConnectionSpan {
    #[inline]
    pub(crate) fn new(_: &ConnectionConfig) -> ConnectionSpan {
        ConnectionSpan
    }

    #[inline]
    pub(crate) fn emit(self, _: &Result<ConnectionId, ConnectError>) {}
}

impl DeferredEvent {
    #[inline]
    pub(crate) fn emit(self) {}
}

impl DeferredEvents {
    #[inline]
    pub(crate) fn add(&mut self, _: DeferredEvent) {}

    #[inline]
    pub(crate) fn emit(&mut self) {}
}

#[inline]
pub(crate) fn open_refused(_: &str, _: &OpenError) {}

#[inline]
pub(crate) fn draining(_: &DrainConfig) {}

#[inline]
pub(crate) fn shutting_down() {}
