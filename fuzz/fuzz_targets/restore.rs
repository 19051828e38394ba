//! Any export is restored or refused. The checksums are right, so that the fuzzer gets behind them.
#![no_main]

use std::time::Duration;

use bytes::Buf as _;
use libfuzzer_sys::fuzz_target;
use sse_core::{ChannelConfig, ConnectionConfig, Hub, HubConfig, Instant};

fuzz_target!(|input: (Vec<(u8, Vec<u8>)>, bool)| {
    let (sections, is_ended) = input;
    let mut export = b"SSEHUB\x01\x00".to_vec();
    let mut section = |kind: u8, contents: &[u8]| {
        export.push(kind);
        export.extend_from_slice(&(contents.len() as u32).to_le_bytes());
        export.extend_from_slice(&crc32fast::hash(contents).to_le_bytes());
        export.extend_from_slice(contents);
    };
    for (kind, contents) in &sections {
        section(kind % 5, contents);
    }
    if is_ended {
        section(4, b"");
    }
    let config = HubConfig { epoch: "next".into(), ..HubConfig::default() };
    let now = Instant::from_millis(1_000);
    let Ok(mut hub) = Hub::restore(config, now, Duration::from_secs(1), &export) else { return };
    let channel = hub.open_channel(now, "a", ChannelConfig::default());
    let connection = hub.connect(now, ConnectionConfig::default()).expect("few connections");
    if let Ok(channel) = channel {
        hub.subscribe(now, channel, connection).expect("both are open");
    }
    let _ = hub.transmit(now, connection).remaining();
    let again = hub.export(now).expect("its positions are local");
    let config = HubConfig { epoch: "third".into(), ..HubConfig::default() };
    assert!(Hub::restore(config, now, Duration::ZERO, &again).is_ok(), "what is written can be read");
});
