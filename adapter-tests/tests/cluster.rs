//! Nodes of a cluster as processes, with real sockets, while Redis, nodes and the network fail. Every client ends with every event
//! once and in order, or with a reset that explains what it lacks.
//!
//! `CLUSTER_SECONDS`, `CLUSTER_CLIENTS` and `CLUSTER_SEED` make a longer or another run. CONTRIBUTING.md has the commands.

#![expect(clippy::disallowed_methods, reason = "processes need time")]

mod cluster_kit;

use std::sync::{Mutex, PoisonError};

use cluster_kit::{Fault, Report, Run, redis};

/// Runs are one after the other: each needs the processors.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn run_with(options: &[&str], faults: &[Fault], log_entries: usize) -> Option<Report> {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let needs_link = faults.contains(&Fault::CutLink);
    let server = if needs_link { redis::start_in_namespace(options)? } else { redis::start(options)? };
    adapter_tests::examples::build(&["cluster"]);
    let run = Run {
        seed: variable("CLUSTER_SEED", 1),
        clients: variable("CLUSTER_CLIENTS", 60) as usize,
        seconds: variable("CLUSTER_SECONDS", 6),
        rate: variable("CLUSTER_RATE", 200),
        log_entries,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(cluster_kit::run(run, server, faults));
    println!("{faults:?} {run:?}: {report:?}");
    let violations = (report.missed, report.doubled, report.out_of_order, report.unknown);
    assert_eq!(violations, (0, 0, 0, 0), "missed, doubled, out of order, unknown: {report:?}");
    assert!(report.delivered > 0, "{report:?}");
    Some(report)
}

/// Runs with faults that lose nothing: no client is sent a reset.
fn nothing_is_lost(options: &[&str], faults: &[Fault], log_entries: usize) {
    if let Some(report) = run_with(options, faults, log_entries) {
        assert_eq!(report.resets, 0, "resets that were not needed: {report:?}");
    }
}

/// Runs with faults that lose acknowledged events: each client is sent at most one reset for each of them.
fn losses_are_told(options: &[&str], faults: &[Fault]) {
    if let Some(report) = run_with(options, faults, 100_000) {
        let clients = variable("CLUSTER_CLIENTS", 60) as usize;
        assert!(report.resets > 0, "{report:?}");
        assert!(report.resets <= clients * report.faults * 2, "{report:?}");
    }
}

#[test]
fn clients_that_move_between_nodes_miss_nothing() {
    nothing_is_lost(redis::EVERYSEC, &[], 100_000);
}

#[test]
fn redis_is_killed() {
    nothing_is_lost(redis::ALWAYS, &[Fault::KillRedis], 100_000);
}

#[test]
fn redis_stands_still() {
    nothing_is_lost(redis::EVERYSEC, &[Fault::PauseRedis], 100_000);
}

#[test]
fn nodes_are_killed() {
    nothing_is_lost(redis::EVERYSEC, &[Fault::KillNode], 100_000);
}

#[test]
fn connections_and_scripts_are_lost() {
    nothing_is_lost(redis::EVERYSEC, &[Fault::KillClients, Fault::FlushScripts], 100_000);
}

#[test]
fn the_network_is_cut() {
    nothing_is_lost(redis::EVERYSEC, &[Fault::CutNetwork], 100_000);
}

#[test]
fn the_link_to_redis_is_down() {
    nothing_is_lost(redis::EVERYSEC, &[Fault::CutLink], 100_000);
}

#[test]
fn a_node_is_slower_than_the_log_is_long() {
    nothing_is_lost(redis::EVERYSEC, &[Fault::PauseNode], 100);
}

#[test]
#[ignore = "it takes minutes: CONTRIBUTING.md has the command"]
fn redis_and_nodes_are_killed_again_and_again() {
    nothing_is_lost(redis::ALWAYS, &[Fault::KillRedis, Fault::KillNode], 100_000);
}

#[test]
#[ignore = "it takes minutes: CONTRIBUTING.md has the command"]
fn everything_fails_in_turn() {
    let faults = [
        Fault::KillRedis,
        Fault::KillNode,
        Fault::KillClients,
        Fault::PauseNode,
        Fault::KillRedis,
        Fault::FlushScripts,
        Fault::KillNode,
        Fault::PauseRedis,
        Fault::CutNetwork,
    ];
    nothing_is_lost(redis::ALWAYS, &faults, 1_000);
}

#[test]
fn redis_loses_everything() {
    losses_are_told(redis::ALWAYS, &[Fault::FlushAll]);
}

#[test]
fn the_end_of_the_file_is_lost() {
    losses_are_told(redis::ALWAYS, &[Fault::TruncateFile]);
}

#[test]
fn the_clock_of_a_new_master_is_one_hour_behind() {
    nothing_is_lost(redis::EVERYSEC, &[Fault::FailoverToOldClock], 100_000);
}

#[test]
fn a_replica_that_is_behind_becomes_the_master() {
    losses_are_told(redis::ALWAYS, &[Fault::Failover]);
}
