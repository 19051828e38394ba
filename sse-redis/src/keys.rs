//! The keys of a cluster in Redis. They share a hash tag, so that they are in one slot.

/// The names of the keys.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    tag: String,
}

impl Keys {
    pub(crate) fn new(cluster: &str) -> Keys {
        Keys { tag: format!("{{{cluster}}}") }
    }

    /// Returns the key of the log.
    pub(crate) fn log(&self) -> String {
        format!("{}:log", self.tag)
    }

    /// Returns the key of the state of the log.
    pub(crate) fn meta(&self) -> String {
        format!("{}:meta", self.tag)
    }

    /// Returns the key of a publisher.
    pub(crate) fn publisher(&self, publisher: u64) -> String {
        format!("{}:p:{publisher:016x}", self.tag)
    }

    /// Returns the key of the history of a channel.
    pub(crate) fn history(&self, channel: &str) -> String {
        format!("{}:h:{channel}", self.tag)
    }
}
