//! The messages of a client, and the id after which its next connection resumes.

use alloc::collections::VecDeque;
use alloc::string::String;
use core::time::Duration;

use super::head::is_sendable;
use crate::wire::{DecodeError, Decoder, Message};

/// Decodes the streams of a client, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Messages {
    max_event_bytes: usize,
    /// The decoder of the open stream. Without an open stream, a new decoder with the last event id.
    decoder: Decoder,
    /// The newest id that a header can carry.
    resume_id: String,
    /// The id of the latest request.
    requested_id: String,
    /// The latest reconnection time that a stream set.
    retry: Option<Duration>,
    /// Messages of earlier streams that were not taken.
    buffered: VecDeque<Result<Message, DecodeError>>,
}

impl Messages {
    pub(super) fn new(last_event_id: &str, max_event_bytes: usize) -> Self {
        let mut messages = Self {
            max_event_bytes,
            decoder: Decoder::with_limit(max_event_bytes).with_last_event_id(last_event_id),
            resume_id: String::new(),
            requested_id: String::new(),
            retry: None,
            buffered: VecDeque::new(),
        };
        messages.update_resume_id();
        messages
    }

    /// Appends bytes of the open stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
    }

    /// Returns the next complete message.
    pub(super) fn next(&mut self) -> Option<Result<Message, DecodeError>> {
        self.buffered.pop_front().or_else(|| self.decode())
    }

    /// Ends the open stream. Its complete messages stay available; an incomplete event is dropped (9.2.6).
    pub(super) fn end_stream(&mut self) {
        while let Some(message) = self.decode() {
            self.buffered.push_back(message);
        }
        let next = Decoder::with_limit(self.max_event_bytes);
        self.decoder = next.with_last_event_id(self.decoder.last_event_id());
    }

    /// Begins a request and returns its `Last-Event-ID` header.
    pub(super) fn begin_request(&mut self) -> Option<String> {
        self.requested_id.clone_from(&self.resume_id);
        Some(self.resume_id.as_str()).filter(|id| !id.is_empty()).map(String::from)
    }

    /// Returns whether the next request resumes after another event than the latest one did.
    pub(super) fn has_new_id(&self) -> bool {
        self.resume_id != self.requested_id
    }

    /// Returns the latest reconnection time that a stream set.
    pub(super) const fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn decode(&mut self) -> Option<Result<Message, DecodeError>> {
        let message = self.decoder.next_message();
        self.update_resume_id();
        self.retry = self.decoder.retry().or(self.retry);
        message
    }

    /// Stores the last event id of the decoder for the next request, if a header can carry it.
    fn update_resume_id(&mut self) {
        let id = self.decoder.last_event_id();
        if id != self.resume_id && is_sendable(id) {
            self.resume_id.clear();
            self.resume_id.push_str(id);
        }
    }
}
