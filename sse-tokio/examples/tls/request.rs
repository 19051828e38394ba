//! The least that has to be known of a request.

use std::io;

use sse_core::LastEventId;
use sse_core::adapter::Framing;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How long the head of a request may be, in bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Reads the head of a request, and says how its answer is framed and what its client saw last.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(Framing, Option<LastEventId>)> {
    let (mut bytes, mut filled) = ([0; MAX_HEAD_BYTES], 0);
    loop {
        let count = stream.read(&mut bytes[filled..]).await?;
        filled += count;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no request, or one that is too large"));
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
