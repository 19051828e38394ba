//! The list, run against each path.

use adapter_tests::{Path, list, paths};

/// A module for each path, with a test for each entry of the list.
macro_rules! paths {
    ($($(#[$only:meta])* $path:ident: $run:path, http2 $is_http2:literal, reads_requests $reads:literal;)*) => {
        $($(#[$only])* mod $path {
            use super::*;

            const PATH: Path = Path { run: $run, is_http2: $is_http2, reads_requests: $reads };

            tests! {
                the_head_comes_first
                events_arrive_in_order
                who_comes_back_has_missed_nothing
                frames_of_every_size_arrive_whole
                pings_come_when_it_is_quiet
                a_life_ends_when_its_time_is_over
                the_application_may_extend_a_life
                a_peer_that_goes_is_noticed
                a_peer_that_does_not_read_delays_nobody
                a_peer_that_reads_late_gets_what_was_kept
                a_close_delivers_what_was_due
                a_drain_asks_clients_to_come_back
                one_too_many_is_asked_to_come_back
                a_graceful_shutdown_returns
                connects_and_disconnects_leave_nothing_behind
            }

            #[test]
            fn rubbish_does_no_harm() {
                // Where the test's own server reads requests, there is nothing of this project to be tried.
                if PATH.reads_requests {
                    list::rubbish_does_no_harm(PATH);
                }
            }
        })*
    };
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test] fn $name() { list::$name(PATH); })*
    };
}

paths! {
    hyper_body: paths::hyper::axum_body, http2 false, reads_requests true;
    hyper_http2: paths::hyper::http2_body, http2 true, reads_requests true;
    tokio_stream: paths::tokio::stream, http2 false, reads_requests true;
    tokio_transport: paths::tokio::transport, http2 false, reads_requests false;
    #[cfg(unix)]
    tokio_attached: paths::tokio::attached, http2 false, reads_requests true;
    async_std_transport: paths::async_std::transport, http2 false, reads_requests false;
    async_std_reader: paths::async_std::reader, http2 false, reads_requests false;
    async_std_attached: paths::async_std::attached, http2 false, reads_requests true;
    smol_body: paths::smol::body, http2 false, reads_requests true;
    smol_attached: paths::smol::attached, http2 false, reads_requests true;
}
