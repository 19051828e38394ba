//! The search for the connection that a task streams.

use core::cell::Cell;

use super::{Connection, Outbound};

std::thread_local! {
    static SEARCH: Cell<Search> = const { Cell::new(Search::Off) };
}

/// What the current thread looks for.
#[derive(Default)]
enum Search {
    #[default]
    Off,
    On,
    Found(Connection),
}

/// Calls `poll`, and returns its result together with a handle on the first connection whose bytes were polled in it
/// ([`Outbound::poll_bytes`]), or which was [reported](report_connection).
///
/// A library that owns a transport polls the body of a response only when it can write. An executor or a transport that finds
/// the connection by this function learns of its end by [`Connection::closed`], whatever the body is wrapped in.
///
/// ```
/// use std::task::{Context, Waker};
///
/// use sse_core::adapter::find_connection;
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ConnectionConfig, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
/// let mut outbound = hub.connect(ConnectionConfig::default())?;
/// let (bytes, found) = find_connection(|| outbound.poll_bytes(&mut Context::from_waker(Waker::noop())));
/// assert!(bytes.is_ready());
/// assert_eq!(found.unwrap().id(), outbound.id());
/// assert!(find_connection(|| "no connection").1.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn find_connection<T>(poll: impl FnOnce() -> T) -> (T, Option<Connection>) {
    // Restores an outer search, also when `poll` panics.
    struct Outer(Search);
    impl Drop for Outer {
        fn drop(&mut self) {
            SEARCH.set(core::mem::take(&mut self.0));
        }
    }
    let _outer = Outer(SEARCH.replace(Search::On));
    let result = poll();
    match SEARCH.take() {
        Search::Found(connection) => (result, Some(connection)),
        Search::Off | Search::On => (result, None),
    }
}

/// Reports a connection to the [`find_connection`] that is in progress on this thread, if there is one. An adapter reports the
/// connection of a response whose body may never be polled.
pub fn report_connection(outbound: &Outbound) {
    // A thread that ends has no search.
    let _ = SEARCH.try_with(|search| match search.take() {
        Search::Off => {}
        Search::On => search.set(Search::Found(outbound.handle())),
        found @ Search::Found(_) => search.set(found),
    });
}

#[cfg(test)]
mod tests {
    use core::task::{Context, Waker};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::shared::SharedHub;
    use crate::{ConnectionConfig, HubConfig, Instant};

    use super::*;

    #[test]
    fn a_search_inside_another_hides_nothing_from_it() {
        let (hub, _driver) = SharedHub::new("e", HubConfig::default(), || Instant::ORIGIN).unwrap();
        let [mut outer, mut inner] = [(); 2].map(|()| hub.connect(ConnectionConfig::default()).unwrap());
        let mut cx = Context::from_waker(Waker::noop());
        let (found_inside, found) = find_connection(|| {
            let found = find_connection(|| inner.poll_bytes(&mut cx)).1;
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                find_connection(|| {
                    report_connection(&inner);
                    panic!("expected")
                })
            }));
            assert!(panicked.is_err());
            let _ = outer.poll_bytes(&mut cx);
            let _ = inner.poll_bytes(&mut cx);
            found
        });
        assert_eq!(found_inside.map(|connection| connection.id()), Some(inner.id()));
        assert_eq!(found.map(|connection| connection.id()), Some(outer.id()), "the first one counts");
    }
}
