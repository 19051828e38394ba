//! Parsing of requests, with bounds.

use std::str;

use httparse::{EMPTY_HEADER, Error, Header, Status};

/// Limits of a request: bytes of the head, bytes of the body, and header fields.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_BODY_BYTES: usize = 1024 * 1024;
pub(crate) const MAX_FIELDS: usize = 64;
pub(crate) const NO_FIELDS: [Header<'static>; MAX_FIELDS] = [EMPTY_HEADER; MAX_FIELDS];

pub(crate) struct Request<'h, 'b> {
    pub(crate) method: &'b str,
    pub(crate) path: &'b str,
    pub(crate) query: &'b str,
    pub(crate) is_http_1_1: bool,
    pub(crate) body: &'b [u8],
    /// The length of the request in bytes.
    pub(crate) len: usize,
    fields: &'h [Header<'b>],
}

impl<'h, 'b> Request<'h, 'b> {
    /// Parses the first request. Returns `None` if it is incomplete, and the status of the response as an error.
    pub(crate) fn parse(
        input: &'b [u8],
        fields: &'h mut [Header<'b>; MAX_FIELDS],
    ) -> Result<Option<Request<'h, 'b>>, &'static str> {
        let mut parsed = httparse::Request::new(fields);
        let head = match parsed.parse(input) {
            Ok(Status::Complete(head)) if head <= MAX_HEAD_BYTES => head,
            Ok(Status::Partial) if input.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(_) | Err(Error::TooManyHeaders) => return Err("431 Request Header Fields Too Large"),
            Err(_) => return Err("400 Bad Request"),
        };
        let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let is_http_1_1 = parsed.version == Some(1);
        let mut request =
            Request { method, path, query, is_http_1_1, body: &[], len: head, fields: parsed.headers };
        let len = head + request.body_len()?;
        let Some(body) = input.get(head..len) else { return Ok(None) };
        (request.body, request.len) = (body, len);
        Ok(Some(request))
    }

    fn body_len(&self) -> Result<usize, &'static str> {
        if self.field("transfer-encoding").is_some() {
            return Err("411 Length Required");
        }
        let mut lengths = self.fields_of("content-length");
        let (length, another) = (lengths.next(), lengths.next());
        // Repeated lengths allow request smuggling past a proxy.
        if another.is_some() {
            return Err("400 Bad Request");
        }
        let digits = str::from_utf8(length.unwrap_or(b"0")).unwrap_or_default();
        match digits.parse() {
            Ok(length) if length <= MAX_BODY_BYTES && !digits.starts_with('+') => Ok(length),
            Ok(_) => Err("413 Content Too Large"),
            Err(_) => Err("400 Bad Request"),
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields_of(name).next()
    }

    fn fields_of(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Returns whether the client sends no further request on this socket.
    pub(crate) fn is_last(&self) -> bool {
        !self.is_http_1_1
            || self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<Vec<u8>> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        // In a query, a plus is a space.
        pairs.find(|(key, _)| *key == name).map(|(_, value)| percent_decode(&value.replace('+', " ")))
    }
}

/// Decodes percent encodings.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, others)) = rest.split_first() {
        let hex = others.get(..2).and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        let (byte, used) = hex.filter(|_| *first == b'%').map_or((*first, 0), |byte| (byte, 2));
        bytes.push(byte);
        rest = &others[used..];
    }
    bytes
}
