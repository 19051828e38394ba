//! Faults: what breaks while clients move and publishers publish.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::client::pause;
use super::{Random, Run, World, redis};

/// Something that breaks, and is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Redis is killed, and starts again on its data.
    KillRedis,
    /// Redis stands still for three seconds.
    PauseRedis,
    /// A node is killed, and another one takes its place.
    KillNode,
    /// Redis ends the connections of all nodes.
    KillClients,
    /// Redis forgets its scripts.
    FlushScripts,
    /// The network between the nodes and Redis is cut for six seconds.
    CutNetwork,
    /// The link to the network namespace of Redis is down for twelve seconds.
    CutLink,
    /// A node stands still for two seconds, while the log goes on.
    PauseNode,
    /// Redis loses everything.
    FlushAll,
    /// Redis is killed, and the end of its append-only file is lost.
    TruncateFile,
    /// A replica that is half a second behind becomes the master.
    Failover,
    /// A replica whose clock is one hour behind becomes the master, and has everything.
    FailoverToOldClock,
}

/// Causes the faults in turn, for the time of the run. Returns their number.
pub(super) async fn cause(world: &Arc<World>, run: Run, faults: &[Fault]) -> usize {
    let mut random = Random(run.seed);
    let end = tokio::time::Instant::now() + Duration::from_secs(run.seconds);
    let mut count = 0;
    pause(1_500).await;
    while tokio::time::Instant::now() < end {
        if let Some(fault) = faults.get(count % faults.len().max(1)) {
            apply(world, *fault, &mut random).await;
            count += 1;
        }
        tokio::time::sleep(random.millis(700, 1_500)).await;
    }
    count
}

async fn apply(world: &Arc<World>, fault: Fault, random: &mut Random) {
    match fault {
        Fault::KillRedis => restart(world, 0).await,
        Fault::TruncateFile => restart(world, random.below(40_000) + 1_000).await,
        Fault::PauseRedis => {
            with_redis(world, |redis| redis.signal("STOP")).await;
            pause(3_000).await;
            with_redis(world, |redis| redis.signal("CONT")).await;
        }
        Fault::KillNode => world.restart_node(random.below(3) as usize).await,
        Fault::KillClients => {
            with_redis(world, |redis| drop(redis.command(&["CLIENT", "KILL", "TYPE", "normal"]))).await;
        }
        Fault::FlushScripts => with_redis(world, |redis| drop(redis.command(&["SCRIPT", "FLUSH"]))).await,
        Fault::FlushAll => with_redis(world, |redis| drop(redis.command(&["FLUSHALL"]))).await,
        Fault::CutNetwork => {
            world.proxy.set_cut(true);
            pause(6_000).await;
            world.proxy.set_cut(false);
        }
        Fault::CutLink => {
            let set = |is_cut: bool| {
                with_redis(world, move |redis| {
                    redis.namespace.iter().for_each(|namespace| namespace.set_cut(is_cut));
                })
            };
            set(true).await;
            pause(12_000).await;
            set(false).await;
        }
        Fault::PauseNode => {
            let node = &world.nodes[random.below(3) as usize];
            let signal = |signal: &str| {
                let process = node.process.lock().unwrap_or_else(PoisonError::into_inner);
                process.iter().for_each(|process| process.signal(signal));
            };
            signal("STOP");
            pause(2_000).await;
            signal("CONT");
        }
        Fault::Failover => fail_over(world, false).await,
        Fault::FailoverToOldClock => fail_over(world, true).await,
    }
}

/// Kills Redis, cuts bytes from the end of its append-only file, and starts it again.
async fn restart(world: &Arc<World>, lost_bytes: u64) {
    with_redis(world, redis::RedisServer::kill).await;
    pause(700).await;
    with_redis(world, move |redis| {
        let newest =
            redis.append_only_files().into_iter().filter(|file| file.to_string_lossy().contains("incr"));
        if let Some(file) = newest.max().filter(|_| lost_bytes > 0) {
            let length = std::fs::metadata(&file).expect("the file is there").len();
            let file = std::fs::OpenOptions::new().write(true).open(file).expect("it can be cut");
            file.set_len(length.saturating_sub(lost_bytes)).expect("it can be cut");
        }
        redis.launch();
    })
    .await;
}

/// Starts a replica, and makes it the master. It is half a second behind its master, or its clock is one hour behind.
async fn fail_over(world: &Arc<World>, has_old_clock: bool) {
    let port = with_redis(world, |redis| redis.port.to_string()).await;
    let started = tokio::task::spawn_blocking(move || {
        let options = ["--appendonly", "yes", "--replicaof", "127.0.0.1", &port];
        let start = if has_old_clock { redis::start_an_hour_behind } else { redis::start };
        let replica = start(&options);
        let replica = replica.expect("it is installed");
        while !replica.command(&["INFO", "replication"]).contains("master_link_status:up") {
            std::thread::sleep(Duration::from_millis(20));
        }
        replica
    });
    let replica = started.await.expect("the replica starts");
    if has_old_clock {
        // The master takes nothing more, and the replica has all of it.
        with_redis(world, |redis| drop(redis.command(&["CLIENT", "PAUSE", "2000", "WRITE"]))).await;
        pause(500).await;
        replica.command(&["REPLICAOF", "NO", "ONE"]);
    } else {
        replica.command(&["REPLICAOF", "NO", "ONE"]);
        // The old master goes on to take events until the nodes are led to the new one.
        pause(500).await;
    }
    world.proxy.move_to(&replica.host, replica.port);
    with_redis(world, move |redis| *redis = replica).await;
}

/// Does something with Redis on a thread that may wait.
async fn with_redis<T: Send + 'static>(
    world: &Arc<World>,
    work: impl FnOnce(&mut redis::RedisServer) -> T + Send + 'static,
) -> T {
    let world = Arc::clone(world);
    let done = tokio::task::spawn_blocking(move || {
        work(&mut world.redis.lock().unwrap_or_else(PoisonError::into_inner))
    });
    done.await.expect("it works")
}
