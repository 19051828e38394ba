//! The list of origins whose pages may subscribe (X8).

mod parse;
mod preflight;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};

use crate::SseBody;

pub use parse::OriginError;

/// A list of origins whose pages may subscribe. Requests from other origins are refused before a subscription
/// ([X8](sse_core::rules#x8)).
///
/// A server without such a list sends no `Access-Control-Allow-Origin`. Browsers then hide its streams from pages of other
/// origins, but still open them, with cookies if the page requests so. The list refuses such requests.
///
/// [`preflight`](AllowedOrigins::preflight) answers the requests by which browsers ask whether a page of another origin may
/// send headers such as `Last-Event-ID`. Clients that are built on `fetch` cause such requests.
///
/// Pages of the server's own origin need no entry, because browsers send no `Origin` with their `GET` requests. Programs
/// other than browsers do not have to send `Origin` either. The list therefore protects the users of browsers and is no
/// access control.
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
/// let mut response = Response::new(()); // or sse_hyper::response(version, outbound)
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
    /// The value of `Access-Control-Allow-Headers`.
    request_headers: HeaderValue,
}

impl AllowedOrigins {
    /// Creates a list of origins in the form that browsers send: `scheme://host` in lower case, with `:port` unless it is
    /// the default port of the scheme. An empty list refuses every other origin.
    ///
    /// # Errors
    ///
    /// Returns an [`OriginError`] for an origin that no browser sends, because it would never match.
    pub fn new<O: AsRef<str>>(origins: impl IntoIterator<Item = O>) -> Result<AllowedOrigins, OriginError> {
        let origins = origins.into_iter().map(|origin| parse::parse(origin.as_ref()));
        Ok(AllowedOrigins {
            origins: origins.collect::<Result<_, _>>()?,
            credentials: false,
            request_headers: preflight::REQUEST_HEADERS,
        })
    }

    /// Sets whether pages of these origins may send credentials such as cookies, as
    /// `new EventSource(url, { withCredentials: true })` does. The default is `false`.
    ///
    /// ```
    /// let origins = sse_hyper::AllowedOrigins::new(["https://app.example"])?.credentials(true);
    /// # Ok::<(), sse_hyper::OriginError>(())
    /// ```
    pub fn credentials(self, allowed: bool) -> AllowedOrigins {
        AllowedOrigins { credentials: allowed, ..self }
    }

    /// Checks the `Origin` of a request. Call it before anything is subscribed. Requests without `Origin` are admitted.
    ///
    /// # Errors
    ///
    /// Returns [`Forbidden`] if the origin is not listed, or if the request has several origins.
    ///
    /// # Cost
    ///
    /// One comparison for each listed origin.
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

/// The header fields for the response to a request that [`AllowedOrigins`] admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "without it the browser keeps the response from the page"]
pub struct Admitted {
    origin: Option<HeaderValue>,
    credentials: bool,
}

impl Admitted {
    /// Adds the fields to a response. Add them to a [`Refusal`](crate::Refusal) as well: without them the browser treats it
    /// as a network error.
    ///
    /// The fields are `Access-Control-Allow-Origin` with the admitted origin, and `Access-Control-Allow-Credentials` if
    /// configured. Every response also has `Vary: Origin`, because it depends on that field.
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

/// The error for a request whose origin is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forbidden;

impl Forbidden {
    /// Creates the response to a request of `version`: status 403, after which an `EventSource` does not reconnect.
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
        f.write_str("the origin of the request is not allowed")
    }
}

impl Error for Forbidden {}

/// Adds `Origin` to the `Vary` field, unless the field contains it already.
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
}
