//! The list of tests, run against each path.

use adapter_tests::{Path, ends, list, paths};

/// Defines a module for each path, with each test of the list.
macro_rules! paths {
    ($($(#[$only:meta])* $path:ident: $run:path, http2 $is_http2:literal, reads_requests $reads:literal;)*) => {
        $($(#[$only])* mod $path {
            use super::*;

            pub(super) const PATH: Path = Path { run: $run, is_http2: $is_http2, reads_requests: $reads };

            tests! {
                the_head_is_sent_before_any_event
                events_arrive_in_order
                a_reconnecting_client_receives_what_it_missed
                frames_of_every_size_arrive_whole
                an_idle_connection_receives_pings
                a_connection_ends_at_its_max_lifetime
                the_application_can_extend_a_max_lifetime
                a_disconnect_is_noticed_without_a_write
                a_peer_that_does_not_read_delays_no_other_peer
                a_slow_reader_receives_the_whole_backlog
                a_close_delivers_pending_events_first
                a_drain_sends_each_client_a_retry_time
                a_client_beyond_the_limit_is_refused_with_a_retry_time
                a_graceful_shutdown_returns_with_open_streams
                disconnected_clients_leave_nothing_behind
            }

            ends! {
                t3_the_tail_of_a_slow_reader_is_whole_after_a_close
                x1_a_response_to_http_1_0_ends_with_the_connection
                x5_instants_count_from_1970
                x6_a_graceful_shutdown_returns_although_peers_do_not_read
            }

            // A reader has no transport. The test's own server copies it to one, and ends at the first byte of the peer.
            const HAS_TRANSPORT: bool = !matches!(stringify!($path).as_bytes(), b"async_std_reader");

            #[test]
            fn t3_a_peer_that_never_reads_is_gone_from_the_process() {
                if HAS_TRANSPORT {
                    ends::t3_a_peer_that_never_reads_is_gone_from_the_process(PATH);
                }
            }

            #[test]
            fn x3_a_disconnect_behind_unread_bytes_is_noticed() {
                if HAS_TRANSPORT {
                    ends::x3_a_disconnect_behind_unread_bytes_is_noticed(PATH);
                }
            }

            #[test]
            fn malformed_requests_do_no_harm() {
                // Where the test's own server parses requests, no code of this project is involved.
                if PATH.reads_requests {
                    list::malformed_requests_do_no_harm(PATH);
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

macro_rules! ends {
    ($($name:ident)*) => {
        $(#[test] fn $name() { ends::$name(PATH); })*
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

/// actix-web owns its sockets and writes its heads. It notices a disconnect only at the next write.
mod actix_stream {
    use super::*;

    const PATH: Path = Path { run: paths::actix::stream, is_http2: false, reads_requests: true };

    tests! {
        events_arrive_in_order
        a_reconnecting_client_receives_what_it_missed
        frames_of_every_size_arrive_whole
        a_connection_ends_at_its_max_lifetime
        a_peer_that_does_not_read_delays_no_other_peer
        a_slow_reader_receives_the_whole_backlog
        a_close_delivers_pending_events_first
        a_drain_sends_each_client_a_retry_time
        a_client_beyond_the_limit_is_refused_with_a_retry_time
        a_graceful_shutdown_returns_with_open_streams
        malformed_requests_do_no_harm
    }

    ends! {
        x6_a_graceful_shutdown_returns_although_peers_do_not_read
    }

    /// The option of the socket exists on Linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn t3_a_peer_that_never_reads_is_gone_from_the_process() {
        ends::t3_a_peer_that_never_reads_is_gone_from_the_process(PATH);
    }
}

#[test]
fn t3_a_stream_without_a_window_is_reset_and_the_others_live() {
    ends::t3_a_stream_without_a_window_is_reset_and_the_others_live(hyper_http2::PATH);
}
