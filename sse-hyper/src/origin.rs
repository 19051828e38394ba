//! Which other sites' pages may subscribe (X8).

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};

use crate::SseBody;

/// The origins whose pages may subscribe; all others are refused before anything is subscribed (X8).
///
/// A server without such a list sends no `Access-Control-Allow-Origin`: browsers then show its streams to pages of its
/// own origin alone, but ask for them all the same, with cookies if the page wants so. The list turns them away.
///
/// Pages of the server's own origin need no entry: a browser sends no `Origin` with their `GET`. Nor do programs that
/// are no browsers; so the list protects users of browsers, and is no access control.
///
/// ```
/// use http::{HeaderMap, HeaderValue, Response, header};
/// use sse_hyper::AllowedOrigins;
///
/// let origins = AllowedOrigins::new(["https://app.example", "http://localhost:5173"])?;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(header::ORIGIN, HeaderValue::from_static("https://app.example"));
/// let admitted = origins.admit(&headers).expect("it is listed");
/// let mut response = Response::new(()); // or sse_hyper::response(version, stream)
/// admitted.apply(&mut response);
/// assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
///
/// headers.insert(header::ORIGIN, HeaderValue::from_static("https://elsewhere.example"));
/// let forbidden = origins.admit(&headers).unwrap_err();
/// assert_eq!(forbidden.into_response(http::Version::HTTP_11).status(), 403);
/// # Ok::<(), sse_hyper::OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigins {
    origins: Arc<[HeaderValue]>,
    credentials: bool,
}

impl AllowedOrigins {
    /// A list of origins as browsers write them: `scheme://host` in lower case, and `:port` if it is not the scheme's
    /// own. An empty list refuses every page of another origin.
    ///
    /// # Errors
    ///
    /// [`OriginError`] for what no browser ever sends, which would silently never match.
    pub fn new<O: AsRef<str>>(origins: impl IntoIterator<Item = O>) -> Result<AllowedOrigins, OriginError> {
        let origins = origins.into_iter().map(|origin| parse(origin.as_ref()));
        Ok(AllowedOrigins { origins: origins.collect::<Result<_, _>>()?, credentials: false })
    }

    /// Whether pages of these origins may send cookies and other credentials, as `new EventSource(url,
    /// { withCredentials: true })` does. Not unless configured.
    ///
    /// ```
    /// let origins = sse_hyper::AllowedOrigins::new(["https://app.example"])?.credentials(true);
    /// # Ok::<(), sse_hyper::OriginError>(())
    /// ```
    pub fn credentials(self, allowed: bool) -> AllowedOrigins {
        AllowedOrigins { credentials: allowed, ..self }
    }

    /// Looks at the headers of a request, before anything is subscribed for it. One without `Origin` is admitted.
    ///
    /// # Errors
    ///
    /// [`Forbidden`] when the origin is not listed, or there are several.
    ///
    /// # Cost
    ///
    /// A comparison for each listed origin.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Forbidden> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (None, _) => None,
            (Some(origin), None) if self.origins.contains(origin) => Some(origin.clone()),
            _ => return Err(Forbidden),
        };
        Ok(Admitted { origin, credentials: self.credentials })
    }
}

/// What the response to a request that [`AllowedOrigins`] admitted has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "without it the browser keeps the response from the page"]
pub struct Admitted {
    origin: Option<HeaderValue>,
    credentials: bool,
}

impl Admitted {
    /// Puts it on the response, also on one that refuses for another reason: otherwise the page's browser takes a
    /// [`Refusal`](crate::Refusal) for a broken connection.
    ///
    /// That is `Access-Control-Allow-Origin` with the one origin, `Access-Control-Allow-Credentials` if configured, and
    /// in any case `Vary: Origin`, because the response depends on it.
    ///
    /// ```
    /// use http::{HeaderMap, Response};
    ///
    /// let origins = sse_hyper::AllowedOrigins::new(["https://app.example"])?;
    /// let mut response = Response::new(());
    /// origins.admit(&HeaderMap::new()).expect("no browser of another site").apply(&mut response);
    /// assert_eq!(response.headers()["vary"], "origin");
    /// # Ok::<(), sse_hyper::OriginError>(())
    /// ```
    pub fn apply<B>(&self, response: &mut Response<B>) {
        vary(response);
        let Some(origin) = &self.origin else { return };
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// A request from a page whose origin is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forbidden;

impl Forbidden {
    /// The response to a request of `version`: 403, after which a browser's EventSource does not come back.
    ///
    /// ```
    /// # let origins = sse_hyper::AllowedOrigins::new(["https://app.example"])?;
    /// # let mut headers = http::HeaderMap::new();
    /// # headers.insert("origin", http::HeaderValue::from_static("null"));
    /// let forbidden = origins.admit(&headers).unwrap_err();
    /// assert_eq!(forbidden.into_response(http::Version::HTTP_11).status(), 403);
    /// # Ok::<(), sse_hyper::OriginError>(())
    /// ```
    pub fn into_response(self, _version: Version) -> Response<SseBody> {
        let mut response = Response::new(SseBody::fixed(Bytes::new()));
        *response.status_mut() = StatusCode::FORBIDDEN;
        vary(&mut response);
        response
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request comes from a page whose origin is not allowed")
    }
}

impl Error for Forbidden {}

/// Why [`AllowedOrigins::new`] took no such origin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginError {
    /// It does not begin with a scheme in lower case and `://`. `*` and `null` are no origins either: the one is
    /// everybody, the other is whoever hides where it comes from.
    Scheme {
        /// What was given.
        origin: String,
    },
    /// Its host is empty, or has something in it that a browser does not write there: upper case, letters beyond ASCII
    /// (a browser sends `xn--…`), a user, a path, even `/` alone.
    Host {
        /// What was given.
        origin: String,
    },
    /// Its port is no number from 1 to 65,535, or the one that the scheme has anyway, which a browser leaves out.
    Port {
        /// What was given.
        origin: String,
    },
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, problem) = match self {
            OriginError::Scheme { origin } => (origin, "does not begin with a scheme and ://"),
            OriginError::Host { origin } => (origin, "is not a scheme and a bare host in lower case ASCII"),
            OriginError::Port { origin } => (origin, "has a port that a browser does not send"),
        };
        write!(f, "{origin:?} {problem}, as in https://app.example or http://localhost:5173")
    }
}

impl Error for OriginError {}

/// An origin in the one form that browsers send (RFC 6454, section 6.2).
fn parse(origin: &str) -> Result<HeaderValue, OriginError> {
    let given = || origin.to_owned();
    let (scheme, authority) =
        origin.split_once("://").ok_or_else(|| OriginError::Scheme { origin: given() })?;
    if !is_scheme(scheme) {
        return Err(OriginError::Scheme { origin: given() });
    }
    let (host, port) = split_port(authority);
    if !is_host(host) {
        return Err(OriginError::Host { origin: given() });
    }
    if port.is_some_and(|port| !is_port(scheme, port)) {
        return Err(OriginError::Port { origin: given() });
    }
    HeaderValue::from_str(origin).map_err(|_| OriginError::Host { origin: given() })
}

/// The colons of an IPv6 address stand in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    !host.is_empty()
        && host.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
}

fn is_port(scheme: &str, port: &str) -> bool {
    let Ok(number) = port.parse::<u16>() else { return false };
    let default = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    number > 0 && Some(number) != default && number.to_string() == port
}

/// Says that the response depends on `Origin`, unless it does.
fn vary<B>(response: &mut Response<B>) {
    let mut fields = response.headers().get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    let has_origin = |field: &str| field.trim() == "*" || field.trim().eq_ignore_ascii_case("origin");
    if !fields.any(|value| value.split(',').any(has_origin)) {
        response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> AllowedOrigins {
        AllowedOrigins::new(["https://app.example", "http://localhost:5173"]).unwrap()
    }

    fn headers_from(origins: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ORIGIN, HeaderValue::from_bytes(origin).unwrap());
        }
        headers
    }

    fn applied(admitted: &Admitted) -> HeaderMap {
        let mut response = Response::new(());
        admitted.apply(&mut response);
        response.into_parts().0.headers
    }

    #[test]
    fn x8_a_listed_origin_is_allowed_to_read_the_stream() {
        for origin in ["https://app.example", "http://localhost:5173"] {
            let headers = applied(&origins().admit(&headers_from(&[origin.as_bytes()])).unwrap());
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], origin);
            assert_eq!(headers[VARY], "origin");
            assert_eq!(headers.len(), 2, "{headers:?}");
        }
    }

    #[test]
    fn x8_credentials_are_allowed_only_if_configured_and_only_with_an_origin() {
        let origins = origins().credentials(true);
        let headers = applied(&origins.admit(&headers_from(&[b"https://app.example"])).unwrap());
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        let headers = applied(&origins.admit(&headers_from(&[])).unwrap());
        assert_eq!(headers.keys().collect::<Vec<_>>(), [VARY]);
    }

    #[test]
    fn x8_a_request_without_an_origin_is_admitted() {
        let headers = applied(&origins().admit(&HeaderMap::new()).unwrap());
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn x8_every_other_origin_is_refused() {
        let others: [&[u8]; 10] = [
            b"https://elsewhere.example",
            b"http://app.example",
            b"https://app.example:8443",
            b"https://app.example.evil.example",
            b"https://app.exampl",
            b"https://APP.example",
            b"https://app.example/",
            b"null",
            b"",
            b"\xff",
        ];
        for other in others {
            assert_eq!(origins().admit(&headers_from(&[other])), Err(Forbidden), "{other:?}");
        }
        let twice: [&[u8]; 2] = [b"https://app.example", b"https://elsewhere.example"];
        assert_eq!(origins().admit(&headers_from(&twice)), Err(Forbidden));
        let none = AllowedOrigins::new([""; 0]).unwrap();
        assert_eq!(none.admit(&headers_from(&[b"https://app.example"])), Err(Forbidden));
    }

    #[test]
    fn x8_the_refusal_is_a_403_that_no_page_can_read() {
        let response = Forbidden.into_response(Version::HTTP_11);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.headers().keys().collect::<Vec<_>>(), [VARY]);
        assert!(http_body::Body::is_end_stream(response.body()));
    }

    #[test]
    fn x8_vary_contains_origin_once_and_keeps_other_fields() {
        let admitted = origins().admit(&HeaderMap::new()).unwrap();
        for (before, after) in [
            ("accept", vec!["accept", "origin"]),
            ("accept, Origin", vec!["accept, Origin"]),
            ("*", vec!["*"]),
        ] {
            let mut response = Response::new(());
            response.headers_mut().insert(VARY, HeaderValue::from_static(before));
            admitted.apply(&mut response);
            admitted.apply(&mut response);
            assert_eq!(response.headers().get_all(VARY).iter().collect::<Vec<_>>(), after);
        }
    }

    #[test]
    fn origins_as_browsers_send_them_are_accepted() {
        for origin in [
            "https://app.example",
            "http://localhost:8080",
            "https://127.0.0.1:8443",
            "http://[::1]",
            "http://[::1]:3000",
            "http://[2001:db8::7]:3000",
            "https://xn--grn-ioa.example",
            "http://under_score.example",
            "http://app.example:443",
            "capacitor://localhost",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        ] {
            assert!(AllowedOrigins::new([origin]).is_ok(), "{origin}");
        }
    }

    #[test]
    fn other_origins_are_rejected_with_the_reason() {
        let scheme = |origin: String| OriginError::Scheme { origin };
        let host = |origin: String| OriginError::Host { origin };
        let port = |origin: String| OriginError::Port { origin };
        type Wrong = fn(String) -> OriginError;
        let cases: [(&str, Wrong); 26] = [
            ("", scheme),
            ("*", scheme),
            ("null", scheme),
            ("app.example", scheme),
            ("//app.example", scheme),
            ("://app.example", scheme),
            ("HTTPS://app.example", scheme),
            (" https://app.example", scheme),
            ("https:/app.example", scheme),
            ("https://", host),
            ("https://:8443", host),
            ("https://App.example", host),
            ("https://app.example/", host),
            ("https://app.example/sse", host),
            ("https://user@app.example", host),
            ("https://*.app.example", host),
            ("https://grün.example", host),
            ("https://app.example ", host),
            ("https://app.example\r\n", host),
            ("https://[::1", host),
            ("https://[0:0:0:0:0:0:0:1]", host),
            ("https://app.example:", port),
            ("https://app.example:443", port),
            ("https://app.example:0443", port),
            ("https://app.example:65536", port),
            ("https://app.example:8443/", port),
        ];
        for (origin, wrong) in cases {
            let error = AllowedOrigins::new(["https://app.example", origin]).unwrap_err();
            assert_eq!(error, wrong(origin.to_owned()));
            assert!(error.to_string().starts_with(&format!("{origin:?} ")), "{error}");
        }
    }
}
