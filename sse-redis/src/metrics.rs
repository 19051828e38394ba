//! Metrics of a node, for the `metrics` facade.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::cluster::Cluster;
use crate::status::Status;

impl Cluster {
    /// Reports the [`Status`] of the node to the recorder that is installed now, at this interval. Call it once, after installing
    /// the recorder. The report ends with the last handle on the cluster.
    ///
    /// | name | kind | what |
    /// | --- | --- | --- |
    /// | `sse_cluster_connected` | gauge | 1 while the node reads the log |
    /// | `sse_cluster_reconnects_total` | counter | lost connections |
    /// | `sse_cluster_gaps_total` | counter | gaps found in the log |
    /// | `sse_cluster_repaired_events_total` | counter | events read from histories to fill gaps |
    /// | `sse_cluster_rewound_total` | counter | losses of acknowledged records |
    /// | `sse_cluster_cold_opens_total` | counter | channels opened with a past |
    /// | `sse_cluster_refused_opens_total` | counter | subscriptions refused because a past could not be read |
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn record_metrics(&self, every: Duration) {
        describe_gauge!("sse_cluster_connected", "1 while the node reads the log");
        describe_counter!("sse_cluster_reconnects_total", "lost connections to the log");
        describe_counter!("sse_cluster_gaps_total", "gaps found in the log");
        describe_counter!("sse_cluster_repaired_events_total", "events read from histories to fill gaps");
        describe_counter!("sse_cluster_rewound_total", "losses of acknowledged records");
        describe_counter!("sse_cluster_cold_opens_total", "channels opened with a past");
        describe_counter!(
            "sse_cluster_refused_opens_total",
            "subscriptions refused because a past could not be read"
        );
        report(self.status());
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(shared) = shared.upgrade() else { return };
                report(shared.counters.status());
            }
        });
    }
}

fn report(status: Status) {
    gauge!("sse_cluster_connected").set(f64::from(u8::from(status.is_connected)));
    counter!("sse_cluster_reconnects_total").absolute(status.reconnects);
    counter!("sse_cluster_gaps_total").absolute(status.gaps);
    counter!("sse_cluster_repaired_events_total").absolute(status.repaired);
    counter!("sse_cluster_rewound_total").absolute(status.rewound);
    counter!("sse_cluster_cold_opens_total").absolute(status.cold_opens);
    counter!("sse_cluster_refused_opens_total").absolute(status.refused_opens);
}
