//! The answer to the question of a browser whether a page may send certain request headers (Fetch, section 4.8).

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};

use super::AllowedOrigins;
use crate::SseBody;

/// The request headers of clients of event streams that need a permission.
pub(super) const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("last-event-id, cache-control");

/// Streams use GET. Browsers allow HEAD and POST without an entry.
const METHODS: HeaderValue = HeaderValue::from_static("GET");

/// Two hours, in seconds: the longest time for which Chromium remembers an answer. An answer that is out of date admits
/// nobody, because the list checks the request that follows as well.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

impl AllowedOrigins {
    /// Allows pages of these origins to send further request headers, such as `Authorization`. `Last-Event-ID` and
    /// `Cache-Control` are always allowed. A second call adds to the first.
    ///
    /// ```
    /// use http::header::{AUTHORIZATION, CONTENT_TYPE};
    /// use sse_hyper::AllowedOrigins;
    ///
    /// // `Content-Type` is needed if a client requests its stream with a `POST` of JSON.
    /// let origins = AllowedOrigins::new(["https://app.example"])?.request_headers([AUTHORIZATION, CONTENT_TYPE]);
    /// # Ok::<(), sse_hyper::OriginError>(())
    /// ```
    pub fn request_headers(self, names: impl IntoIterator<Item = HeaderName>) -> AllowedOrigins {
        let mut list = self.request_headers.as_bytes().to_vec();
        for name in names {
            list.extend_from_slice(b", ");
            list.extend_from_slice(name.as_str().as_bytes());
        }
        // Names of header fields are valid in a value.
        let request_headers =
            HeaderValue::from_maybe_shared(Bytes::from(list)).unwrap_or(self.request_headers);
        AllowedOrigins { request_headers, ..self }
    }

    /// Returns the response if a request is a CORS preflight, and `None` for every other request.
    ///
    /// Before a page of another origin sends a header such as `Last-Event-ID` with `fetch`, the browser asks for permission
    /// with an `OPTIONS` request, the *preflight*. The browsers' own `EventSource` causes no preflight. Clients that are
    /// built on `fetch` do, often not before their first reconnection.
    ///
    /// The response to a listed origin has status 204 and allows the method `GET`, the [request
    /// headers](AllowedOrigins::request_headers) and, if configured, [credentials](AllowedOrigins::credentials), for two
    /// hours. The response to every other origin has status 403. Browsers then fail the request of the page.
    ///
    /// A browser also fails the request if it has a header that is not allowed, or a method other than `GET`, `HEAD` and
    /// `POST`.
    ///
    /// ```
    /// use http::Request;
    /// use sse_hyper::AllowedOrigins;
    ///
    /// let origins = AllowedOrigins::new(["https://app.example"])?;
    /// let request = Request::options("/events")
    ///     .header("origin", "https://app.example")
    ///     .header("access-control-request-method", "GET")
    ///     .header("access-control-request-headers", "last-event-id")
    ///     .body(())?;
    /// let response = origins.preflight(&request).expect("it is a preflight");
    /// assert_eq!(response.status(), 204);
    /// assert_eq!(response.headers()["access-control-allow-headers"], "last-event-id, cache-control");
    ///
    /// assert!(origins.preflight(&Request::get("/events").body(())?).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn preflight<B>(&self, request: &Request<B>) -> Option<Response<SseBody>> {
        let headers = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let admitted = match self.admit(headers) {
            Ok(admitted) => admitted,
            Err(forbidden) => return Some(forbidden.into_response(request.version())),
        };
        let mut response = Response::new(SseBody::fixed(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        admitted.apply(&mut response);
        let fields = response.headers_mut();
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.request_headers.clone());
        fields.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, CONTENT_TYPE};

    use super::*;

    fn origins() -> AllowedOrigins {
        AllowedOrigins::new(["https://app.example", "http://localhost:5173"]).unwrap()
    }

    /// The preflight that Chromium sends before a reconnection with `fetch`.
    fn preflight(origin: &str) -> Request<()> {
        Request::options("/events")
            .header("access-control-request-headers", "cache-control,last-event-id")
            .header(ACCESS_CONTROL_REQUEST_METHOD, "GET")
            .header(ORIGIN, origin)
            .body(())
            .unwrap()
    }

    /// The status and the header fields in the form of HTTP/1.
    fn head(response: &Response<SseBody>) -> String {
        let fields = response.headers().iter();
        let fields = fields.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
        format!("{}\n{}", response.status().as_u16(), fields.collect::<String>())
    }

    #[test]
    fn x8_a_preflight_of_a_listed_origin_is_allowed() {
        let response = origins().preflight(&preflight("http://localhost:5173")).unwrap();
        assert_eq!(
            head(&response),
            "204\n\
             vary: origin\n\
             access-control-allow-origin: http://localhost:5173\n\
             access-control-allow-methods: GET\n\
             access-control-allow-headers: last-event-id, cache-control\n\
             access-control-max-age: 7200\n"
        );
        assert!(http_body::Body::is_end_stream(response.body()));
    }

    #[test]
    fn x8_a_preflight_allows_what_is_configured() {
        let origins =
            origins().credentials(true).request_headers([AUTHORIZATION]).request_headers([CONTENT_TYPE]);
        assert_eq!(
            head(&origins.preflight(&preflight("https://app.example")).unwrap()),
            "204\n\
             vary: origin\n\
             access-control-allow-origin: https://app.example\n\
             access-control-allow-credentials: true\n\
             access-control-allow-methods: GET\n\
             access-control-allow-headers: last-event-id, cache-control, authorization, content-type\n\
             access-control-max-age: 7200\n"
        );
    }

    #[test]
    fn x8_a_preflight_of_another_origin_is_refused() {
        for origin in ["https://elsewhere.example", "null", "http://app.example"] {
            let response = origins().preflight(&preflight(origin)).unwrap();
            assert_eq!(head(&response), "403\nvary: origin\n", "{origin}");
        }
        let mut twice = preflight("https://app.example");
        twice.headers_mut().append(ORIGIN, HeaderValue::from_static("https://app.example"));
        assert_eq!(origins().preflight(&twice).unwrap().status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn x8_a_request_that_is_no_preflight_is_left_to_the_application() {
        let (mut get, mut without_origin, mut without_method) = (
            preflight("https://app.example"),
            preflight("https://app.example"),
            preflight("https://app.example"),
        );
        *get.method_mut() = Method::GET;
        without_origin.headers_mut().remove(ORIGIN);
        without_method.headers_mut().remove(ACCESS_CONTROL_REQUEST_METHOD);
        for request in [get, without_origin, without_method] {
            assert!(origins().preflight(&request).is_none(), "{request:?}");
        }
    }
}
