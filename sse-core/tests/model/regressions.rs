//! What the model found, each as the shortest list of steps that shows it.

use crate::engine::{Client, Content, GivenId, Last, Log, Op, Setup, Take, run};

fn connect(id: Last) -> Op {
    Op::Connect(Client { id, ..Client::default() })
}

fn open(name: u8, log: Log) -> Op {
    Op::Open { name, log }
}

fn subscribe(channel: u8, connection: u8) -> Op {
    Op::Subscribe { channel, connection }
}

fn publish(channels: u8) -> Op {
    Op::Publish { channels, event: Content::default(), except: None }
}

fn live(channels: u8) -> Op {
    Op::Publish { channels, event: Content { live_only: true, ..Content::default() }, except: None }
}

fn look(connection: u8) -> Op {
    Op::Transmit { connection, take: Take::Nothing }
}

/// A reader that lost a live-only event alone was closed for lag when history had let go of a later event.
#[test]
fn s1_a_live_only_event_that_fell_out_is_no_loss_though_history_keeps_nothing() {
    let log = Log { bytes: Some(0), backlog_bytes: Some(0), ..Log::default() };
    run(&[open(0, log), connect(Last::None), subscribe(0, 0), live(1), publish(1), look(0)]);
}

/// A loss beyond the end of a closing connection took the frames that it was still to get.
#[test]
fn s1_a_loss_beyond_the_end_of_a_connection_that_took_nothing_does_not_concern_it() {
    let setup = Setup { history_bytes: Some(0), ..Setup::default() };
    let log = Log { backlog_frames: Some(0), ..Log::default() };
    run(&[
        Op::Configure(setup),
        open(0, log),
        connect(Last::None),
        subscribe(0, 0),
        Op::Close(0),
        publish(1),
        publish(1),
        look(0),
    ]);
}

/// With the policy to skip, its reset came with an id beyond its end: what another channel had before that was hidden.
#[test]
fn h7_the_reset_of_a_closing_connection_does_not_pass_its_end() {
    let log = Log { events: Some(1), backlog_frames: Some(0), skips: true, ..Log::default() };
    run(&[
        open(0, Log::default()),
        open(1, log),
        connect(Last::None),
        subscribe(0, 0),
        subscribe(1, 0),
        publish(1),
        Op::Close(0),
        publish(2),
        publish(1),
        publish(1),
        Op::Transmit { connection: 0, take: Take::All },
    ]);
}

/// The floor with which a channel of a fed hub opens was taken for an event that its first reader had lost.
#[test]
fn o4_the_floor_of_an_opening_channel_is_no_loss() {
    let fed = Setup { fed: true, after: 22, ..Setup::default() };
    let feed = |step, channels| Op::PublishAt { channels, step };
    run(&[
        Op::Configure(fed),
        open(0, Log::default()),
        feed(10, 1),
        open(1, Log { backlog_bytes: Some(0), ..Log::default() }),
        connect(Last::Own(0)),
        subscribe(0, 0),
        feed(9, 1),
        feed(9, 1),
        look(0),
    ]);
}

/// Who took a part of a frame before it was named, and then left the channel, was never named for the rest.
#[test]
fn d3_who_leaves_a_channel_with_a_frame_in_progress_is_named_for_the_rest() {
    run(&[
        open(0, Log { ids_are_own: true, ..Log::default() }),
        connect(Last::None),
        Op::Transmit { connection: 0, take: Take::All },
        Op::PollAll,
        subscribe(0, 0),
        publish(1),
        Op::Transmit { connection: 0, take: Take::Bytes(1) },
        Op::Unsubscribe { channel: 0, connection: 0 },
        Op::PollAll,
    ]);
}

/// An event that a connection was left out of counted as its loss when it grew too old, and nobody was told.
#[test]
fn o5_what_a_connection_was_left_out_of_is_none_of_its_losses() {
    let log = Log { age: Some(1), start: 1, ..Log::default() };
    run(&[
        open(0, log),
        Op::Connect(Client { is_silent: true, ..Client::default() }),
        Op::Publish { channels: 1, event: Content::default(), except: Some(0) },
        Op::PollAll,
        subscribe(0, 0),
        Op::Advance(1),
        Op::HandleTimeout,
        connect(Last::None),
    ]);
}

/// A second subscription before the first byte had a reader that had fallen lose what it never was owed.
#[test]
fn s1_who_fell_before_its_first_byte_and_subscribes_again_has_lost_nothing_more() {
    let none = Log { events: Some(0), backlog_bytes: Some(0), on_gap: 2, ..Log::default() };
    let own = Content { id: GivenId::Own(0), ..Content::default() };
    run(&[
        open(1, Log { ids_are_own: true, ..Log::default() }),
        open(0, none),
        connect(Last::None),
        subscribe(0, 0),
        publish(3),
        Op::Publish { channels: 3, event: own, except: None },
        look(0),
        subscribe(1, 0),
        look(0),
    ]);
}

/// A ping came in front of the reset for a loss that nobody had been named for yet.
#[test]
fn t1_no_ping_joins_a_loss_that_is_not_told_yet() {
    let own = Content { id: GivenId::Own(0), ..Content::default() };
    run(&[
        open(0, Log { age: Some(1), skips: true, ..Log::default() }),
        Op::Publish { channels: 1, event: own, except: None },
        publish(1),
        Op::Connect(Client { id: Last::Own(0), ping: Some(0), ..Client::default() }),
        subscribe(0, 0),
        Op::Advance(2),
        Op::Turn,
        look(0),
    ]);
}

/// A second subscription took a reader back to its start: an event it had been left out of counted as its loss.
#[test]
fn o3_a_plan_made_anew_does_not_lose_what_was_passed() {
    run(&[
        open(1, Log { events: Some(2), backlog_bytes: Some(0), ..Log::default() }),
        Op::Connect(Client { is_silent: true, ..Client::default() }),
        subscribe(0, 0),
        Op::Publish { channels: 1, event: Content::default(), except: Some(0) },
        open(2, Log::default()),
        Op::PollAll,
        subscribe(0, 0),
        publish(6),
        publish(2),
        look(0),
    ]);
}

/// A reader skipped a loss before its first byte; when its subscriptions changed then, the reset was forgotten.
#[test]
fn s1_who_was_to_be_told_of_a_loss_is_told_though_its_subscriptions_change() {
    run(&[
        open(0, Log { events: Some(1), backlog_frames: Some(0), skips: true, ..Log::default() }),
        open(1, Log::default()),
        connect(Last::Rubbish(0)),
        subscribe(1, 0),
        publish(2),
        publish(2),
        look(0),
        subscribe(0, 0),
        Op::Transmit { connection: 0, take: Take::All },
    ]);
}

/// An id that a second subscription made known had a reader lose events that its channel never had.
#[test]
fn h4_an_id_that_becomes_known_is_no_loss_where_nothing_was() {
    let own = Content { id: GivenId::Own(1), ..Content::default() };
    run(&[
        open(0, Log { bytes: Some(0), ..Log::default() }),
        open(1, Log::default()),
        Op::Publish { channels: 3, event: own, except: None },
        publish(1),
        connect(Last::Own(1)),
        subscribe(1, 0),
        subscribe(0, 0),
        publish(2),
        look(0),
    ]);
}

/// A closing connection that read on behind its end was told by the model of a loss up to there, though nothing for it
/// was lost there.
#[test]
fn s1_what_a_closing_connection_is_told_of_a_loss_goes_no_further_than_the_loss() {
    let fed = Setup { fed: true, after: 19, ..Setup::default() };
    let log = Log {
        events: Some(1),
        backlog_bytes: Some(0),
        ids_are_own: true,
        start: 1,
        skips: true,
        ..Log::default()
    };
    let feed = |step| Op::PublishAt { channels: 1, step };
    run(&[
        Op::Configure(fed),
        open(0, log),
        feed(21),
        feed(21),
        feed(23),
        connect(Last::None),
        subscribe(0, 0),
        Op::ShutDown,
        feed(21),
        feed(15),
        Op::Transmit { connection: 0, take: Take::All },
    ]);
}

/// Who left a channel while it was being closed, and before its first byte, was given a reset beyond its end: what other
/// channels had before that was hidden.
#[test]
fn h7_the_plan_of_a_closing_connection_stands() {
    run(&[
        open(0, Log { events: Some(1), ..Log::default() }),
        open(1, Log::default()),
        open(2, Log::default()),
        publish(1),
        connect(Last::Behind(0)),
        subscribe(0, 0),
        subscribe(1, 0),
        subscribe(2, 0),
        publish(2),
        Op::Close(0),
        publish(2),
        publish(4),
        publish(4),
        Op::Unsubscribe { channel: 0, connection: 0 },
        Op::Transmit { connection: 0, take: Take::All },
    ]);
}

/// A closing connection that read on behind its end counted as lost what was kept, beyond its end, when it did.
#[test]
fn s1_what_a_closing_connection_reads_on_to_ends_with_it() {
    let own = |id| Content { id: GivenId::Own(id), ..Content::default() };
    let with_id = |id| Op::Publish { channels: 1, event: own(id), except: None };
    run(&[
        open(1, Log::default()),
        open(0, Log { events: Some(1), backlog_frames: Some(0), ids_are_own: true, ..Log::default() }),
        connect(Last::None),
        subscribe(0, 0),
        subscribe(1, 0),
        publish(2),
        publish(2),
        Op::Close(0),
        with_id(0),
        publish(1),
        publish(1),
        look(0),
        with_id(1),
        look(0),
    ]);
}
