//! A minimal parser for the head of a request.

use std::io;

use sse_core::LastEventId;
use sse_core::adapter::Framing;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Reads the head of a request, and returns the framing of its response and the last event id of its client.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(Framing, Option<LastEventId>)> {
    let (mut bytes, mut filled) = ([0; MAX_HEAD_BYTES], 0);
    loop {
        let count = stream.read(&mut bytes[filled..]).await?;
        filled += count;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is incomplete or too large"));
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(&bytes[..filled]).map_err(io::Error::other)?.is_complete() {
            let framing = if request.version == Some(1) { Framing::Chunked } else { Framing::UntilClose };
            let mut headers = request.headers.iter();
            let id = headers.find(|header| header.name.eq_ignore_ascii_case("last-event-id"));
            return Ok((framing, id.and_then(|header| LastEventId::new(header.value))));
        }
    }
}
