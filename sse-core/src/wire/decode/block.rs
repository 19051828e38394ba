//! From lines to an event.

use alloc::borrow::Cow;
use alloc::string::String;
use core::mem;

use memchr::memchr;

use super::message::Message;
use crate::wire::syntax::Line;

/// Room that is kept for ids, in bytes. Theirs are short.
const RETAINED_ID_BYTES: usize = 1024;

/// The event that is being read: the buffers of 9.2.6.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Without the LF that the standard appends to each line and takes from the last.
    data: String,
    has_data: bool,
    event: String,
    /// Means something if `has_id`: of the id buffer only what the block itself sets is here. Before that it is the last
    /// event id.
    id: String,
    has_id: bool,
    /// Whether the event went above the limit; up to its blank line only `retry` is read.
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

    /// A block whose event went above the limit: its end is waited for.
    pub(super) fn too_large() -> Self {
        Self { is_too_large: true, ..Self::new() }
    }

    /// Takes a field; `None` if the event is larger than the limit with it.
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

    /// Whether the end of a line that has begun like this has to be waited for.
    pub(super) fn may_fit(&self, line: &Line<'_>, limit: usize) -> bool {
        let (Line::Data(value) | Line::Event(value) | Line::Id(value) | Line::Retry(value)) = *line else {
            return false;
        };
        // A text is never shorter than its bytes, since U+FFFD is as long as the longest part it stands for.
        self.max_value_len(line, limit).is_some_and(|max_len| value.len() <= max_len)
    }

    /// How long the value of that line may be; `None` if not even an empty one fits.
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

    /// Ends the block at its blank line (9.2.6, "dispatch the event").
    #[inline]
    pub(super) fn dispatch(&mut self, last_event_id: &mut String) -> Option<Message> {
        self.is_too_large = false;
        if mem::take(&mut self.has_id) {
            // The room of the id before is for the next one.
            mem::swap(last_event_id, &mut self.id);
            self.id.clear();
            self.id.shrink_to(RETAINED_ID_BYTES);
            // A longer one may have stood there before in the same block.
            last_event_id.shrink_to(RETAINED_ID_BYTES);
        }
        let event = mem::take(&mut self.event);
        if !mem::take(&mut self.has_data) {
            return None;
        }
        let event = if event.is_empty() { String::from("message") } else { event };
        // Not `clone`, whose result takes a way over the stack that costs 8 ns.
        let id = String::from(last_event_id.as_str());
        Some(Message { event, data: mem::take(&mut self.data), id })
    }
}

/// Decodes the value of a whole line, if it is no longer than `max_len` bytes before and after.
fn decode_utf8(value: &[u8], max_len: usize) -> Option<Cow<'_, str>> {
    if value.len() > max_len {
        return None;
    }
    // The strict check first: it is several times faster than the lossy one on what is well-formed.
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
    fn c2_an_id_that_another_replaced_in_its_block_leaves_no_room_behind() {
        let mut decoder = Decoder::new();
        decoder.push(b"id: ");
        decoder.push(&[b'x'; 1 << 20]);
        decoder.push(b"\nid: 1\ndata: a\n\n");
        assert_eq!(decoder.next_message().unwrap().unwrap().id, "1");
        assert!(decoder.last_event_id.capacity() <= super::RETAINED_ID_BYTES);
    }
}
