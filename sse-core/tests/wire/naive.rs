//! A naive decoder that follows the text of the standard word by word, and the outcome in which it is compared with the
//! decoder of the crate. The fuzz targets use it too.

use sse_core::{DecodeError, Decoder, Message};

/// The result of decoding a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) results: Vec<Result<Message, DecodeError>>,
    pub(crate) last_event_id: String,
    pub(crate) retry: Option<u64>,
}

/// Decodes `stream` in chunks that end at `cuts`, and takes all messages after each chunk.
pub(crate) fn decode_cut(mut decoder: Decoder, stream: &[u8], cuts: &[usize]) -> Outcome {
    let mut results = Vec::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&stream.len()]) {
        decoder.push(&stream[start..cut]);
        results.extend(std::iter::from_fn(|| decoder.next_message()));
        start = cut;
    }
    let retry = decoder.retry().map(|retry| u64::try_from(retry.as_millis()).unwrap());
    Outcome { results, last_event_id: decoder.last_event_id().to_owned(), retry }
}

pub(crate) fn decode(stream: &[u8]) -> Outcome {
    decode_cut(Decoder::new(), stream, &[])
}

/// Returns the cuts for chunks of `size` bytes.
pub(crate) fn every(size: usize, len: usize) -> Vec<usize> {
    (size..len).step_by(size).collect()
}

pub(crate) fn message(event: &str, data: &str, id: &str) -> Message {
    Message { event: event.into(), data: data.into(), id: id.into() }
}

/// Splits a text into lines one byte at a time. Returns the terminated lines and the unterminated rest.
pub(crate) fn naive_lines(text: &[u8]) -> (Vec<String>, String) {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\r' && bytes.peek() == Some(&b'\n') {
            bytes.next();
        }
        match byte {
            b'\r' | b'\n' => lines.push(std::mem::take(&mut line)),
            byte => line.push(byte),
        }
    }
    // Text that is not UTF-8 becomes one character per byte, because only its length is used.
    let text = |line: Vec<u8>| match String::from_utf8(line) {
        Ok(line) => line,
        Err(error) => {
            error.as_bytes().iter().map(|byte| if byte.is_ascii() { *byte as char } else { 'x' }).collect()
        }
    };
    (lines.into_iter().map(text).collect(), text(line))
}

fn name_and_value(line: &str) -> (&str, &str) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name, value.strip_prefix(' ').unwrap_or(value))
}

/// Decodes a whole stream in the order of the text of WHATWG HTML 9.2.6, with the limit of `Decoder::with_limit`.
pub(crate) fn naive(stream: &[u8], last_event_id: &str, limit: usize) -> Outcome {
    let stream = stream.strip_prefix("\u{feff}".as_bytes()).unwrap_or(stream);
    let text = String::from_utf8_lossy(stream);
    let (lines, unfinished) = naive_lines(text.as_bytes());
    // Reconnection times and the unterminated line are never decoded, so their raw length counts.
    let (raw_lines, raw_unfinished) = naive_lines(stream);
    assert_eq!(lines.len(), raw_lines.len(), "decoding UTF-8 neither adds nor removes line ends");
    let mut outcome = Outcome { results: vec![], last_event_id: last_event_id.to_owned(), retry: None };
    let (mut data, mut event_type, mut id_buffer) = (String::new(), String::new(), None::<String>);
    let mut too_large = false;
    let decoded = lines.iter().chain([&unfinished]);
    for (number, (line, raw)) in decoded.zip(raw_lines.iter().chain([&raw_unfinished])).enumerate() {
        let is_unfinished = number == lines.len();
        if line.is_empty() && !is_unfinished {
            if let Some(id) = id_buffer.take() {
                outcome.last_event_id = id;
            }
            if !data.is_empty() && !too_large {
                data.pop();
                let event = if event_type.is_empty() { "message" } else { &event_type };
                outcome.results.push(Ok(message(event, &data, &outcome.last_event_id)));
            }
            data.clear();
            event_type.clear();
            too_large = false;
            continue;
        }
        if is_unfinished && !line.contains(':') {
            break;
        }
        let (name, value) = name_and_value(line);
        let raw_len = name_and_value(raw).1.len();
        let counted = if is_unfinished { raw_len } else { value.len() };
        let id_len = id_buffer.as_ref().map_or(0, String::len);
        let size = match name {
            "data" => data.len() + counted + event_type.len() + id_len,
            "event" => data.len().saturating_sub(1) + counted + id_len,
            "id" => data.len().saturating_sub(1) + counted + event_type.len(),
            "retry" => raw_len,
            _ => 0,
        };
        if size > limit && !too_large {
            // The id of the dropped event takes effect, unless another one is just arriving.
            let id = id_buffer.take_if(|_| name != "id");
            outcome.last_event_id = id.clone().unwrap_or(outcome.last_event_id);
            outcome.results.push(Err(DecodeError::EventTooLarge { limit, id }));
            too_large = true;
            data.clear();
            event_type.clear();
        }
        if is_unfinished {
            break;
        }
        match name {
            "data" if !too_large => {
                data.push_str(value);
                data.push('\n');
            }
            "event" if !too_large => event_type = value.to_owned(),
            "id" if value.len() > limit => id_buffer = None,
            "id" if !value.contains('\0') => id_buffer = Some(value.to_owned()),
            "retry"
                if raw_len <= limit
                    && !value.is_empty()
                    && value.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                outcome.retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    outcome
}
