//! What a hub leaves to the next run of the server.

use std::string::String;
use std::vec::Vec;

use crate::adapter::Driver;
use crate::{Hub, HubConfig, Instant, PositionsAreNotLocal, RestoreError};

use super::SharedHub;

impl SharedHub {
    /// Creates the hub of a run that continues a former one, from its [export](SharedHub::export), and the driver that has to run
    /// for it: [`Hub::restore`].
    ///
    /// The clocks of both runs have to count from the same origin, such as 1970
    /// ([`EpochClock`](crate::adapter::EpochClock)): so the hub knows how much time has passed between them.
    ///
    /// # Errors
    ///
    /// [`RestoreError`], as [`Hub::restore`]. Start with [`SharedHub::new`] then.
    pub fn restore(
        epoch: impl Into<String>,
        config: HubConfig,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
        export: &[u8],
    ) -> Result<(SharedHub, Driver), RestoreError> {
        let config = SharedHub::with_epoch(epoch.into(), config).map_err(RestoreError::Config)?;
        let now = clock();
        let elapsed = now.saturating_duration_since(Hub::exported_at(export)?);
        Ok(SharedHub::from_hub(Hub::restore(config, now, elapsed, export)?, clock))
    }

    /// Ends publishing for good ([R1](crate::rules#r1)): call it behind the drain, and before the
    /// [export](SharedHub::export).
    pub fn seal(&self) {
        let mut state = self.lock();
        let now = state.now;
        state.hub.seal(now);
    }

    /// Returns what the next run needs to resume the clients of this one: [`Hub::export`]. It is clean if the hub is
    /// [sealed](SharedHub::seal), and otherwise a copy.
    ///
    /// # Errors
    ///
    /// [`PositionsAreNotLocal`] in a hub whose positions come from outside.
    ///
    /// # Cost
    ///
    /// A copy of all histories, under the lock of the hub.
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, Event, HubConfig, Instant};
    /// # let clock = || Instant::ORIGIN;
    /// let (hub, _driver) = SharedHub::new("one", HubConfig::default(), clock)?;
    /// hub.open_channel("weather", ChannelConfig::default())?.publish(&Event::new().data("sunny"))?;
    /// hub.seal();
    /// let export = hub.export()?;
    ///
    /// let (next, _driver) = SharedHub::restore("two", HubConfig::default(), clock, &export)?;
    /// let weather = next.open_channel("weather", ChannelConfig::default())?;
    /// assert_eq!(weather.stats().unwrap().history_events, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(&self) -> Result<Vec<u8>, PositionsAreNotLocal> {
        let state = self.lock();
        state.hub.export(state.now)
    }
}
