//! What happens to a node, for `tracing`. Without the feature there is no code for it.

use std::fmt::Display;

/// The log cannot be read: the node tries again.
pub(crate) fn connection_lost(error: &impl Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(%error, "the log cannot be read");
    let _ = error;
}

/// The log is read again.
pub(crate) fn connected() {
    #[cfg(feature = "tracing")]
    tracing::info!("the log is read again");
}

/// Records of the log are missing: their events are read from the histories.
pub(crate) fn gap(position: sse_core::Position) {
    #[cfg(feature = "tracing")]
    tracing::warn!(%position, "records of the log are missing");
    let _ = position;
}

/// The log has lost acknowledged records.
pub(crate) fn rewound(position: sse_core::Position) {
    #[cfg(feature = "tracing")]
    tracing::error!(%position, "the log has lost acknowledged records: clients are reset");
    let _ = position;
}

/// An attempt to append failed.
pub(crate) fn append_failed(error: &impl Display, is_given_up: bool) {
    #[cfg(feature = "tracing")]
    tracing::warn!(%error, is_given_up, "publications cannot be appended");
    let _ = (error, is_given_up);
}

/// The past of channels cannot be read.
pub(crate) fn past_failed(error: &impl Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(%error, "the past of a channel cannot be read");
    let _ = error;
}
