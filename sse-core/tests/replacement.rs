//! Limits on the connections of a principal: U2.

mod common;

use std::time::Duration;

use common::{World, secs, without_position};
use sse_core::{Action, CloseReason, ConnectError, ConnectionConfig, HubConfig, Limits};

fn config(principal: &str, client: &str) -> ConnectionConfig {
    let word = |word: &str| (!word.is_empty()).then(|| word.into());
    ConnectionConfig { principal: word(principal), client: word(client), ..without_position() }
}

fn limited(per_principal: usize) -> World {
    World::with(HubConfig { limits: Limits { per_principal, ..Limits::default() }, ..HubConfig::default() })
}

#[test]
fn u2_at_the_limit_a_connection_takes_the_place_of_that_of_the_same_client() {
    let mut w = limited(2);
    let ghost = w.connect_with(config("user 7", "k1"));
    let other = w.connect_with(config("user 7", "k2"));
    w.send(ghost, "never read");
    let back = w.connect_with(config("user 7", "k1"));
    assert!(!w.hub.is_connection_open(ghost), "it ends at once, and nothing is flushed");
    assert_eq!(w.close_reasons(), [(ghost, CloseReason::Replaced)]);
    assert_eq!(w.hub.of_principal("user 7").collect::<Vec<_>>(), [back, other]);
    assert_eq!(w.hub.stats().closed.replaced, 1);
    assert!(CloseReason::Replaced.is_abrupt());
}

#[test]
fn u2_at_the_limit_any_other_connection_of_the_principal_is_refused() {
    let mut w = limited(2);
    let open = [w.connect_with(config("user 7", "k1")), w.connect_with(config("user 7", ""))];
    w.connect_with(config("user 8", "k3"));
    for client in ["k2", "k3", ""] {
        let refused = w.hub.connect(w.now, config("user 7", client));
        assert_eq!(refused, Err(ConnectError::TooManyOfPrincipal { limit: 2 }), "{client:?}");
    }
    assert!(open.iter().all(|c| w.hub.is_connection_open(*c)), "nobody is evicted");
    w.connect_with(config("user 8", "k2"));
    w.connect_with(config("", "k1"));
    w.hub.disconnect(w.now, open[1]);
    w.connect_with(config("user 7", "k2"));
}

#[test]
fn u2_below_the_limit_nothing_is_replaced() {
    let mut w = limited(3);
    let tabs = [(); 3].map(|()| w.connect_with(config("user 7", "duplicated")));
    assert_eq!(w.actions().iter().filter(|action| matches!(action, Action::Close { .. })).count(), 0);
    assert!(tabs.iter().all(|c| w.hub.is_connection_open(*c)));
}

#[test]
fn u2_the_oldest_connection_of_the_client_is_replaced() {
    let mut w = limited(3);
    let [first, second] = [(); 2].map(|()| w.connect_with(config("user 7", "k1")));
    let other = w.connect_with(config("user 7", "k2"));
    let third = w.connect_with(config("user 7", "k1"));
    assert_eq!(w.close_reasons(), [(first, CloseReason::Replaced)]);
    assert_eq!(w.hub.of_principal("user 7").collect::<Vec<_>>(), [third, other, second]);
}

#[test]
fn u2_a_closing_connection_counts_and_can_be_replaced() {
    let mut w = limited(1);
    let closing = w.connect_with(config("user 7", "k1"));
    w.send(closing, "never read");
    w.hub.close_connection(w.now, closing);
    let refused = w.hub.connect(w.now, config("user 7", "k2"));
    assert_eq!(refused, Err(ConnectError::TooManyOfPrincipal { limit: 1 }));
    w.connect_with(config("user 7", "k1"));
    assert_eq!(w.close_reasons(), [(closing, CloseReason::Replaced)]);
}

#[test]
fn u2_the_place_is_free_at_the_limit_of_the_hub_as_well() {
    let limits = Limits { connections: 2, per_principal: 1, ..Limits::default() };
    let mut w = World::with(HubConfig { limits, ..HubConfig::default() });
    w.connect();
    w.connect_with(config("user 7", "k1"));
    w.connect_with(config("user 7", "k1"));
    let refused = w.hub.connect(w.now, config("user 8", ""));
    assert_eq!(refused, Err(ConnectError::TooManyConnections { limit: 2 }));
}

#[test]
fn u2_a_refused_connection_replaces_nothing() {
    let mut w = limited(1);
    let c = w.connect_with(config("user 7", "k1"));
    let short = ConnectionConfig { ping: Some(Duration::ZERO), ..config("user 7", "k1") };
    assert!(w.hub.connect(w.now, short).is_err());
    w.hub.drain(w.now, sse_core::DrainConfig::default());
    assert_eq!(w.hub.connect(w.now, config("user 7", "k1")), Err(ConnectError::ShuttingDown));
    assert!(w.hub.is_connection_open(c));
}

/// Three tabs of one user, whose network drops without a word every 20 seconds. The server notices a lost connection by its
/// pings, more than a minute later. Returns the number of attempts that were refused.
fn refusals_of_tabs(keys: [&str; 3]) -> u64 {
    let mut w = limited(3);
    let (mut attempts, mut refused) = (0, 0);
    let mut tabs = [None; 3];
    for second in 0..600 {
        if second % 20 == 0 {
            tabs = [None; 3];
        }
        for (tab, key) in tabs.iter_mut().zip(keys) {
            // A tab comes back after three seconds, and asks every three seconds while it is refused.
            if tab.is_none() && second % 20 >= 3 && second % 3 == 0 {
                attempts += 1;
                match w.hub.connect(w.now, ConnectionConfig { ping: Some(secs(50)), ..config("user 7", key) })
                {
                    Ok(connection) => *tab = Some(connection),
                    Err(error) => {
                        assert_eq!(error, ConnectError::TooManyOfPrincipal { limit: 3 });
                        refused += 1;
                    }
                }
            }
        }
        w.run_for(secs(1));
        // Connections with a network take their pings.
        for connection in tabs.into_iter().flatten() {
            assert!(w.hub.is_connection_open(connection), "a tab that is there keeps its connection");
            w.take_bytes(connection, usize::MAX);
        }
        assert!(w.hub.stats().connections <= 3);
    }
    assert!(attempts >= 90);
    refused
}

#[test]
fn u2_ghost_connections_keep_nobody_out() {
    assert_eq!(refusals_of_tabs(["k1", "k2", "k3"]), 0);
    assert!(refusals_of_tabs(["", "", ""]) > 100, "without client keys, the ghosts keep the tabs out");
}
