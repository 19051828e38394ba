//! Random steps. The simple alternatives come first, so that shrinking ends in readable lists.

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;

use crate::engine::{ChannelSetup, ConnectionSetup, Content, Excluded, GivenId, HubSetup, LastId, Op, Take};

/// Generates a hub with some channels and connections, followed by random steps.
pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let start = (setup(), vec(open(), 1..4), vec(connect(), 1..4));
    (start, vec(op(), 0..60)).prop_map(|((setup, channels, connections), ops)| {
        let start = [Op::Configure(setup)].into_iter().chain(channels).chain(connections);
        start.chain(ops).collect()
    })
}

fn op() -> impl Strategy<Value = Op> {
    let some = || 0..5u8;
    prop_oneof![
        4 => connect(),
        1 => some().prop_map(Op::Disconnect),
        1 => some().prop_map(Op::Close),
        2 => open(),
        1 => some().prop_map(Op::CloseChannel),
        2 => (some(), of(content()), time())
            .prop_map(|(channel, last, keep)| Op::FinishChannel { channel, last, keep }),
        1 => some().prop_map(Op::Stop),
        3 => some().prop_map(Op::Room),
        1 => (some(), any::<bool>()).prop_map(|(connection, is_set)| Op::SetFarewell(connection, is_set)),
        7 => (0..4u8, some()).prop_map(|(channel, connection)| Op::Subscribe { channel, connection }),
        3 => (0..4u8, some(), of(last()))
            .prop_map(|(channel, connection, after)| Op::Join { channel, connection, after }),
        1 => (0..4u8, some()).prop_map(|(channel, connection)| Op::Unsubscribe { channel, connection }),
        10 => (channels(), content(), weighted(0.3, excluded()))
            .prop_map(|(channels, event, except)| Op::Publish { channels, event, except }),
        8 => (channels(), step()).prop_map(|(channels, step)| Op::PublishAt { channels, step }),
        1 => (0..8u8).prop_map(Op::AdvanceHead),
        1 => (some(), 0..16u8).prop_map(|(channel, step)| Op::Lose { channel, step }),
        4 => (some(), bytes()).prop_map(|(connection, bytes)| Op::Send { connection, bytes }),
        1 => (0..3u8, bytes()).prop_map(|(principal, bytes)| Op::SendToPrincipal { principal, bytes }),
        1 => weighted(0.3, 0..3u8).prop_map(|it| it.map_or(Op::TakeReported, Op::ClosePrincipal)),
        1 => (0..4u8, 0..3u8).prop_map(|(channel, principal)| Op::UnsubscribePrincipal { channel, principal }),
        1 => weighted(0.1, Just(())).prop_map(|it| it.map_or(Op::TakeReported, |()| Op::ShutDown)),
        1 => (some(), of(time())).prop_map(|(connection, time)| Op::SetPing(connection, time)),
        1 => (some(), of(time())).prop_map(|(connection, time)| Op::SetMaxLifetime(connection, time)),
        2 => time().prop_map(Op::Advance),
        2 => (0..2u8).prop_map(Op::AdvanceToDeadline),
        1 => time().prop_map(Op::Rewind),
        2 => Just(Op::HandleTimeout),
        2 => Just(Op::Poll),
        3 => Just(Op::PollAll),
        3 => Just(Op::Turn),
        2 => (0..8u8).prop_map(Op::Sleep),
        8 => (some(), take()).prop_map(|(connection, take)| Op::Transmit { connection, take }),
        2 => Just(Op::TakeReported),
        4 => (some(), of(any::<u8>())).prop_map(|(connection, most)| Op::Claim { connection, most }),
        2 => (some(), 0..60u8).prop_map(|(connection, refused)| Op::PutBack { connection, refused }),
    ]
}

fn setup() -> impl Strategy<Value = HubSetup> {
    let limit = || weighted(0.1, 0..5u8);
    let limits = (limit(), limit(), limit(), limit(), weighted(0.3, 0..4u8));
    let bytes = (weighted(0.1, bytes()), weighted(0.2, bytes()));
    let after = prop_oneof![3 => Just(0u8), 1 => 1..100u8, 1 => Just(u8::MAX)];
    (any::<(bool, bool)>(), after, any::<u8>(), of(time()), limits, bytes).prop_map(
        |(
            (external, log),
            after,
            seed,
            stall,
            (connections, channels, subscriptions, members, per_principal),
            bytes,
        )| HubSetup {
            external,
            log,
            after,
            seed,
            stall,
            connections,
            channels,
            subscriptions,
            members,
            event_bytes: bytes.0,
            history_bytes: bytes.1,
            per_principal,
        },
    )
}

fn connect() -> impl Strategy<Value = Op> {
    let client = (last(), any::<bool>(), of(time()), weighted(0.1, time()), any::<bool>());
    let identity = (weighted(0.6, 0..3u8), weighted(0.6, 0..3u8));
    (client, weighted(0.2, 8..40u8), weighted(0.2, Just(())), identity).prop_map(
        |((id, without_position, ping, timeout, reports_lifetime), direct_bytes, farewell, identity)| {
            Op::Connect(ConnectionSetup {
                id,
                without_position,
                ping,
                timeout,
                reports_lifetime,
                direct_bytes,
                has_farewell: farewell.is_some(),
                principal: identity.0,
                client: identity.1,
            })
        },
    )
}

fn last() -> impl Strategy<Value = LastId> {
    prop_oneof![
        3 => Just(LastId::None),
        4 => (0..8u8).prop_map(LastId::Behind),
        1 => (0..20u8).prop_map(LastId::Beyond),
        2 => (0..6u8).prop_map(LastId::Application),
        1 => (0..10u8).prop_map(LastId::Invalid),
    ]
}

fn open() -> impl Strategy<Value = Op> {
    let name = prop_oneof![20 => 0..4u8, 1 => Just(u8::MAX)];
    let history = (of(0..5u8), weighted(0.2, bytes()), weighted(0.2, time()));
    let backlog = (of(0..4u8), weighted(0.2, bytes()));
    let policies =
        (any::<bool>(), 0..6u8, 0..3u8, any::<bool>(), weighted(0.2, time()), weighted(0.3, Just(())));
    let producer = (weighted(0.3, time()), weighted(0.4, bytes()), weighted(0.3, time()));
    (name, history, backlog, policies, producer).prop_map(|(name, history, backlog, policies, producer)| {
        Op::Open {
            name,
            log: ChannelSetup {
                events: history.0,
                bytes: history.1,
                age: history.2,
                backlog_frames: backlog.0,
                backlog_bytes: backlog.1,
                application_ids: policies.0,
                start: policies.1,
                on_gap: policies.2,
                skips: policies.3,
                empty_timeout: policies.4,
                closes_connections: policies.5.is_some(),
                unwanted_after: producer.0,
                ahead: producer.1,
                linger: producer.2,
            },
        }
    })
}

fn content() -> impl Strategy<Value = Content> {
    let id = prop_oneof![
        6 => Just(GivenId::None),
        3 => (0..6u8).prop_map(GivenId::Application),
        1 => Just(GivenId::Empty),
        1 => (0..2u8).prop_map(GivenId::Reserved),
    ];
    let rare = |weight| weighted(weight, Just(())).prop_map(|it| it.is_some());
    (id, bytes(), rare(0.25), rare(0.03)).prop_map(|(id, bytes, live_only, has_line_break)| Content {
        id,
        bytes,
        live_only,
        has_line_break,
    })
}

fn excluded() -> impl Strategy<Value = Excluded> {
    prop_oneof![(0..5u8).prop_map(Excluded::Connection), (0..3u8).prop_map(Excluded::Client)]
}

fn take() -> impl Strategy<Value = Take> {
    prop_oneof![
        Just(Take::Nothing),
        (1..30u8).prop_map(Take::Bytes),
        (0..60u8).prop_map(Take::Copied),
        Just(Take::Frame),
        Just(Take::Window),
        Just(Take::All),
    ]
}

/// Generates a set of the newest channels, rarely an empty one.
fn channels() -> impl Strategy<Value = u8> {
    prop_oneof![20 => 1..16u8, 1 => Just(0u8)]
}

/// Generates steps around the head, which is step 8.
fn step() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 8..11u8, 1 => 0..24u8]
}

fn bytes() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0..4u8, 1 => 0..100u8]
}

fn time() -> impl Strategy<Value = u8> {
    0..12u8
}
