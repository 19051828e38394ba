//! The link between a response head and its body, by which a connection can leave hyper.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use sse_core::shared::Outbound;

/// The connection in the body of a response, until the body or a [`DetachHandle`] takes it.
///
/// Only the body owns it. If a middleware drops the body, the connection ends and the handle finds nothing.
#[derive(Debug)]
pub(crate) struct Detachable(Arc<Mutex<Option<Outbound>>>);

/// A weak reference to a [`Detachable`] in the extensions of a response, for `serve_connection`. If a middleware drops
/// the extension, the body path serves the response.
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
    /// Takes the connection, unless the body has taken it or was dropped.
    pub(crate) fn take(&self) -> Option<Outbound> {
        take(&*self.0.upgrade()?)
    }
}

fn take(slot: &Mutex<Option<Outbound>>) -> Option<Outbound> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
