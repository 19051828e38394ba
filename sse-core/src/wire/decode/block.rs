//! Collects the lines of one block into a message.

use alloc::borrow::Cow;
use alloc::string::String;
use core::mem;

use memchr::memchr;

use super::message::Message;
use crate::wire::syntax::Line;

/// The capacity in bytes that is retained for ids between events. Most ids are short.
const RETAINED_ID_BYTES: usize = 1024;

/// The block that is being decoded: the data, event type and last event ID buffers of 9.2.6.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Lines are joined by LF. The standard appends an LF to each line and removes the last one, with the same result.
    data: String,
    has_data: bool,
    event: String,
    /// The id that this block sets, valid if `has_id`. Until a block sets an id, the last event id applies.
    id: String,
    has_id: bool,
    /// Whether the event exceeds the limit. Until its blank line, only `retry` takes effect.
    pub(super) is_too_large: bool,
}

impl Block {
    pub(super) const fn new() -> Self {
        Self {
            data: String::new(),
            has_data: false,
            event: String::new(),
            id: String::new(),
            has_id: false,
            is_too_large: false,
        }
    }

    /// Creates a block whose event exceeds the limit. The block drops its fields until its blank line.
    pub(super) fn too_large() -> Self {
        Self { is_too_large: true, ..Self::new() }
    }

    /// Adds a field, or returns `None` if the event exceeds the limit with that field.
    pub(super) fn add_field(&mut self, line: &Line<'_>, limit: usize) -> Option<()> {
        if self.is_too_large {
            return Some(());
        }
        let max_len = self.max_value_len(line, limit)?;
        match *line {
            Line::Data(value) => {
                let value = decode_utf8(value, max_len)?;
                if mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(&value);
            }
            Line::Event(value) => self.event = decode_utf8(value, max_len)?.into_owned(),
            Line::Id(value) => {
                let id = decode_utf8(value, max_len)?;
                if memchr(0, id.as_bytes()).is_none() {
                    self.id.clear();
                    self.id.push_str(&id);
                    self.has_id = true;
                }
            }
            Line::Retry(value) if value.len() > max_len => return None,
            Line::Retry(_) | Line::Blank | Line::Ignored => {}
        }
        Some(())
    }

    /// Returns whether an incomplete line can still fit into the event. If not, the line does not have to be buffered.
    pub(super) fn may_fit(&self, line: &Line<'_>, limit: usize) -> bool {
        let (Line::Data(value) | Line::Event(value) | Line::Id(value) | Line::Retry(value)) = *line else {
            return false;
        };
        // Decoding never shortens a value: U+FFFD is as long as the longest malformed part that it replaces.
        self.max_value_len(line, limit).is_some_and(|max_len| value.len() <= max_len)
    }

    /// Returns the maximum length of the value of a line, or `None` if not even an empty value fits.
    fn max_value_len(&self, line: &Line<'_>, limit: usize) -> Option<usize> {
        let id_len = if self.has_id { self.id.len() } else { 0 };
        let used = match line {
            Line::Data(_) => {
                let line_feed = usize::from(self.has_data);
                [self.data.len(), line_feed, self.event.len(), id_len]
            }
            Line::Event(_) => [self.data.len(), 0, 0, id_len],
            Line::Id(_) => [self.data.len(), 0, self.event.len(), 0],
            Line::Retry(_) | Line::Blank | Line::Ignored => [0; 4],
        };
        used.into_iter().try_fold(limit, usize::checked_sub)
    }

    /// Ends the block at its blank line and returns its message, if it has data (9.2.6, "dispatch the event").
    #[inline]
    pub(super) fn dispatch(&mut self, last_event_id: &mut String) -> Option<Message> {
        self.is_too_large = false;
        if mem::take(&mut self.has_id) {
            // The swap keeps the capacity of the previous id for the next one.
            mem::swap(last_event_id, &mut self.id);
            self.id.clear();
            self.id.shrink_to(RETAINED_ID_BYTES);
            // An earlier `id` line of the same block may have been longer.
            last_event_id.shrink_to(RETAINED_ID_BYTES);
        }
        let event = mem::take(&mut self.event);
        if !mem::take(&mut self.has_data) {
            return None;
        }
        let event = if event.is_empty() { String::from("message") } else { event };
        // Not `clone`: its result is moved through the stack, which costs 8 ns.
        let id = String::from(last_event_id.as_str());
        Some(Message { event, data: mem::take(&mut self.data), id })
    }
}

/// Decodes a value, or returns `None` if it has more than `max_len` bytes before or after decoding.
fn decode_utf8(value: &[u8], max_len: usize) -> Option<Cow<'_, str>> {
    if value.len() > max_len {
        return None;
    }
    // The strict check runs first: on well-formed text it is several times faster than the lossy one.
    let text = match core::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(value),
    };
    (text.len() <= max_len).then_some(text)
}

#[cfg(test)]
mod tests {
    use crate::Decoder;

    #[test]
    fn c2_a_long_id_that_was_replaced_in_its_block_frees_its_capacity() {
        let mut decoder = Decoder::new();
        decoder.push(b"id: ");
        decoder.push(&[b'x'; 1 << 20]);
        decoder.push(b"\nid: 1\ndata: a\n\n");
        assert_eq!(decoder.next_message().unwrap().unwrap().id, "1");
        assert!(decoder.last_event_id.capacity() <= super::RETAINED_ID_BYTES);
    }
}
