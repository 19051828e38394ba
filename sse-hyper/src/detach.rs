//! What marks a response as an event stream, so that its connection can leave hyper.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use sse_core::shared::Outbound;

/// The connection of a response, in its body: whoever takes it first owns it.
///
/// Alone the body holds it. When the body is dropped before, by a middleware that answers something else too, the
/// connection ends and its marker means nothing any more.
#[derive(Debug)]
pub(crate) struct Detachable(Arc<Mutex<Option<Outbound>>>);

/// The same among the extensions of the response's head, from where `serve_connection` takes it. Where it gets lost
/// the body serves.
#[derive(Clone, Debug)]
pub(crate) struct DetachHandle(Weak<Mutex<Option<Outbound>>>);

impl Detachable {
    pub(crate) fn new(outbound: Outbound) -> Detachable {
        Detachable(Arc::new(Mutex::new(Some(outbound))))
    }

    pub(crate) fn handle(&self) -> DetachHandle {
        DetachHandle(Arc::downgrade(&self.0))
    }

    pub(crate) fn take(&self) -> Option<Outbound> {
        take(&self.0)
    }
}

impl DetachHandle {
    /// The connection, if nobody has it yet and the body still lives.
    pub(crate) fn take(&self) -> Option<Outbound> {
        take(&*self.0.upgrade()?)
    }
}

fn take(slot: &Mutex<Option<Outbound>>) -> Option<Outbound> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
