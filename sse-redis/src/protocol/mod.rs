//! The protocol between nodes and the log, without I/O.

pub(crate) mod batch;
pub(crate) mod continuity;
pub(crate) mod floor;
pub(crate) mod record;
pub(crate) mod repair;
