//! The two logs of a channel: history for clients that reconnect, and the backlog for connected readers that are behind.

mod backlog;
mod entry;
mod history;
mod history_order;

pub(super) use backlog::Backlog;
pub(super) use entry::LogEntry;
pub(super) use history::History;
pub(super) use history_order::{HistoryOrder, HistorySize};
