//! Sockets, readers and transports on smol, without async-std.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use smol::future::FutureExt;
use smol::io::AsyncReadExt;
use sse_async_std::{EventReader, Sockets, serve};
use sse_core::adapter::Framing;
use sse_core::shared::Outbound;
use sse_core::{ChannelConfig, CloseReason, ConnectionConfig, Event, HubConfig};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a test on an executor of its own.
fn run<T>(work: impl AsyncFnOnce(&smol::Executor<'static>) -> T) -> T {
    let executor = smol::Executor::new();
    let late = async {
        smol::Timer::after(TIMEOUT).await;
        panic!("not within {TIMEOUT:?}")
    };
    smol::block_on(executor.run(work(&executor).or(late)))
}

#[test]
fn sockets_readers_and_timers_work_on_smol() {
    run(async |executor| {
        let (hub, drive) = sse_async_std::drive("e", HubConfig::default()).unwrap();
        let hub_task = executor.spawn(drive);
        let (sockets, drive) = Sockets::drive();
        let sockets_task = executor.spawn(drive);
        let channel = hub.open_channel("news", ChannelConfig::default()).unwrap();
        let follow = || -> Outbound {
            let ping = Some(Duration::from_millis(40));
            let config = ConnectionConfig { ping, announce_position: false, ..Default::default() };
            let outbound = hub.connect(config).unwrap();
            outbound.subscribe(&channel).unwrap();
            outbound
        };

        let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = smol::unblock(move || {
            let mut socket = TcpStream::connect(address).unwrap();
            let mut seen = String::new();
            let mut buffer = [0; 256];
            while !seen.ends_with("\n:\n:\n") {
                let count = socket.read(&mut buffer).unwrap();
                assert_ne!(count, 0, "the stream ended with {seen:?}");
                seen += std::str::from_utf8(&buffer[..count]).unwrap();
            }
            seen
        });
        let socket: Arc<smol::Async<TcpStream>> = listener.accept().await.unwrap().0.into();
        sockets.attach(socket, follow(), Framing::UntilClose).unwrap();
        let mut reader = EventReader::new(follow());
        channel.publish(&Event::new().data("one")).unwrap();

        let mut buffer = [0; 256];
        let count = reader.read(&mut buffer).await.unwrap();
        assert!(buffer[..count].ends_with(b"id: e-1\ndata: one\n\n"));
        let seen = client.await;
        assert_eq!(seen.replace(":\n", ""), "id: e-1\ndata: one\n\n");
        while hub.stats().connections > 1 {
            smol::Timer::after(Duration::from_millis(2)).await;
        }
        assert_eq!(hub.stats().closed.disconnected, 1, "the disconnect is noticed");

        drop(sockets);
        sockets_task.await;
        drop((reader, channel, hub));
        hub_task.await;
    });
}

#[test]
fn a_smol_socket_can_be_served_on_a_task_of_its_own() {
    run(async |executor| {
        let (hub, drive) = sse_async_std::drive("e", HubConfig::default()).unwrap();
        executor.spawn(drive).detach();
        let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = smol::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let outbound = hub.connect(ConnectionConfig::default()).unwrap();
        let handle = outbound.handle();
        let socket = listener.accept().await.unwrap().0;
        let served = executor.spawn(serve(outbound, Framing::Chunked, socket));
        handle.send(&Event::new().data("one")).await.unwrap();
        handle.close();
        let mut seen = String::new();
        client.read_to_string(&mut seen).await.unwrap();
        assert!(seen.ends_with("data: one\n\n\r\n0\r\n\r\n"), "{seen:?}");
        assert_eq!(served.await.unwrap(), CloseReason::Requested);
    });
}
