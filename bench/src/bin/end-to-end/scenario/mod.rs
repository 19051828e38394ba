//! The scenarios.

pub(crate) mod churn;
pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod replay;
pub(crate) mod slow;

use std::time::Duration;

use crate::client::Faults;
use crate::process::Server;

/// The time without load before the memory of a server is read.
const SETTLE: Duration = Duration::from_millis(1000);

/// A measurement of processor time.
struct Meter {
    before: Option<Duration>,
}

impl Meter {
    fn start(server: &Server) -> Meter {
        Meter { before: server.busy() }
    }

    fn micros_each(&self, server: &Server, count: usize) -> Option<f64> {
        let busy = server.busy()?.saturating_sub(self.before?);
        Some(busy.as_secs_f64() * 1e6 / count as f64)
    }
}

fn format_faults(faults: Faults) -> String {
    format!("{}, {}", faults.lost, faults.doubled)
}
