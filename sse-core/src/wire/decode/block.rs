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
    /// Whether the event exceeds the limit. Until its blank line, only `id` and `retry` lines take effect.
    is_too_large: bool,
}

/// The outcome of adding a field with which the event exceeds the limit.
pub(super) struct TooLarge {
    /// The id of the event, if a line of it came before that field.
    pub(super) id: Option<String>,
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

    /// Adds a field.
    pub(super) fn add_field(&mut self, line: &Line<'_>, limit: usize) -> Result<(), TooLarge> {
        if self.is_too_large {
            self.add_late_id(line, limit);
            return Ok(());
        }
        if self.try_add_field(line, limit).is_some() {
            return Ok(());
        }
        let too_large = self.reject(line);
        self.add_late_id(line, limit);
        Err(too_large)
    }

    /// Adds a field, or returns `None` if the event exceeds the limit with that field.
    fn try_add_field(&mut self, line: &Line<'_>, limit: usize) -> Option<()> {
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
            Line::Id(value) => self.set_id(value, max_len)?,
            Line::Retry(value) if value.len() > max_len => return None,
            Line::Retry(_) | Line::Blank | Line::Ignored => {}
        }
        Some(())
    }

    /// Sets the id, or returns `None` if it has more than `max_len` bytes. An id with NUL is ignored.
    fn set_id(&mut self, value: &[u8], max_len: usize) -> Option<()> {
        let id = decode_utf8(value, max_len)?;
        if memchr(0, id.as_bytes()).is_none() {
            self.id.clear();
            self.id.push_str(&id);
            self.has_id = true;
        }
        Some(())
    }

    /// Sets the id of an event that exceeds the limit, if the line is an `id` line.
    #[cold]
    fn add_late_id(&mut self, line: &Line<'_>, limit: usize) {
        if let Line::Id(value) = *line
            && self.set_id(value, limit).is_none()
        {
            // The id of the event is this one, which is too long to be stored, and no longer an earlier one.
            self.has_id = false;
        }
    }

    /// Drops the event, which exceeds the limit with `line`, and the rest of it up to its blank line.
    #[cold]
    fn reject(&mut self, line: &Line<'_>) -> TooLarge {
        // A further `id` line replaces the id, so the id is known only when that line is complete.
        let is_known = self.has_id && !matches!(line, Line::Id(_));
        let (id, has_id) = (mem::take(&mut self.id), self.has_id);
        *self = Self { is_too_large: true, ..Self::new() };
        if is_known {
            return TooLarge { id: Some(id) };
        }
        (self.id, self.has_id) = (id, has_id);
        TooLarge { id: None }
    }

    /// Checks a line whose end has not arrived. Returns whether the line has to be buffered.
    pub(super) fn check_partial(&mut self, line: &Line<'_>, limit: usize) -> Result<bool, TooLarge> {
        if self.may_fit(line, limit) {
            return Ok(true);
        }
        if matches!(line, Line::Ignored) {
            return Ok(false);
        }
        if !self.is_too_large {
            return Err(self.reject(line));
        }
        if matches!(line, Line::Id(_)) {
            self.has_id = false;
        }
        Ok(false)
    }

    /// Returns whether an incomplete line can still take effect. If not, the line does not have to be buffered.
    fn may_fit(&self, line: &Line<'_>, limit: usize) -> bool {
        let value = match *line {
            Line::Id(value) | Line::Retry(value) => value,
            Line::Data(value) | Line::Event(value) if !self.is_too_large => value,
            Line::Data(_) | Line::Event(_) | Line::Blank | Line::Ignored => return false,
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
