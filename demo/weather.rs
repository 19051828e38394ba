//! The two channels of the server: the weather, and the counters of the hub.

use std::time::Duration;

use serde_json::json;
use sse_core::Event;

use crate::routes::Demo;

/// Publishes a weather report and the counters of the hub every second.
pub(crate) async fn report(demo: Demo) {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    for second in 0u32.. {
        every_second.tick().await;
        let report = json!({ "celsius": celsius(second), "wind": wind(second), "at": millis_since_1970() });
        publish(&demo, "weather", Event::new().event("weather").json(report));
        demo.remove_closed_clients();

        let stats = demo.hub.stats();
        let counters = json!({
            "connections": stats.connections,
            "channels": stats.channels,
            "published": stats.published,
            "delivered": stats.delivered,
            "replayed": stats.replayed,
            "history": demo.open("weather").ok().and_then(|channel| channel.stats()).map(|s| s.history_events),
        });
        publish(&demo, "stats", Event::new().event("stats").json(counters).live_only());
    }
}

fn publish(demo: &Demo, channel: &str, event: Event<'_>) {
    let published = demo.open(channel).map(|channel| channel.publish(&event));
    if !matches!(published, Ok(Ok(_))) {
        eprintln!("{channel}: {published:?}");
    }
}

/// Returns a temperature with a period of about two minutes.
fn celsius(second: u32) -> f64 {
    let t = f64::from(second);
    let celsius = 16.0 + 6.0 * (t / 19.0).sin() + 1.5 * (t / 3.1).sin() + 0.6 * (t / 0.7).sin();
    (celsius * 10.0).round() / 10.0
}

fn wind(second: u32) -> f64 {
    let t = f64::from(second);
    let wind = 4.0 + 2.5 * (t / 11.0).cos() + 1.2 * (t / 2.3).sin();
    (wind.max(0.0) * 10.0).round() / 10.0
}

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a report contains its time")]
fn millis_since_1970() -> u128 {
    use std::time::SystemTime;
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
}
