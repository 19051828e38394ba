//! Response heads, and refusals.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode, Version};
use sse_core::adapter::{HEADERS, report_connection};
use sse_core::shared::Outbound;
use sse_core::{ConnectError, Frame, OpenError, SubscribeError};

use crate::SseBody;

/// Creates the response to a request of `version` that streams a connection ([X1](sse_core::rules#x1)).
///
/// The head declares `text/event-stream` in UTF-8. It forbids caches and proxies to store, transform or buffer the stream.
/// For HTTP/1.1 it also has `connection: keep-alive`. HTTP/2 does not have the field, and the body of a response to HTTP/1.0
/// ends with the connection.
///
/// The response has an extension by which [`serve_connection`](crate::serve_connection) detaches the connection from hyper.
/// Every other server streams the body.
///
/// ```
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ConnectionConfig, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1", HubConfig::default(), || Instant::ORIGIN).unwrap();
/// # let outbound = hub.connect(ConnectionConfig::default()).unwrap();
/// let response = sse_hyper::response(http::Version::HTTP_11, outbound);
/// assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
/// ```
pub fn response(version: Version, outbound: Outbound) -> Response<SseBody> {
    report_connection(&outbound);
    let (body, handle) = SseBody::detachable(outbound);
    let mut response = with_head(version, body);
    response.extensions_mut().insert(handle);
    response
}

/// Creates the response to a page that wants no other channels than those that the connection follows: the status 204 if its
/// client has everything that will ever come ([K6](sse_core::rules#k6)), and otherwise the stream, as [`response`] does.
///
/// For channels that finish. A browser reconnects after every end of a stream, and stops at this status.
///
/// ```
/// # use std::time::Duration;
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1", HubConfig::default(), || Instant::ORIGIN)?;
/// let answer = hub.open_channel("answer 7", ChannelConfig::answer())?;
/// answer.finish(Some(&Event::new().event("done").data("")), Duration::from_secs(600))?;
/// for (last_event_id, status) in [(None, 200), (Some("1-1".into()), 204)] {
///     let outbound = hub.connect(ConnectionConfig { last_event_id, ..ConnectionConfig::default() })?;
///     outbound.subscribe(&answer)?;
///     assert_eq!(sse_hyper::finite_response(http::Version::HTTP_11, outbound).status(), status);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn finite_response(version: Version, outbound: Outbound) -> Response<SseBody> {
    if outbound.handle().is_over() {
        return Refusal::StayAway.into_response(version);
    }
    response(version, outbound)
}

/// A response that refuses a client ([A1](sse_core::rules#a1)).
///
/// The `EventSource` of a browser never reconnects after a status other than 200. The variants differ in whether the client
/// retries. Errors of the hub convert into the refusal that suits them: a name that is too long stays too long, and a limit
/// that is reached may have room later.
///
/// ```
/// use sse_core::{ChannelConfig, Hub, HubConfig, Instant};
/// use sse_hyper::Refusal;
///
/// let mut hub = Hub::new(HubConfig::default()).unwrap();
/// let error = hub.open_channel(Instant::ORIGIN, &"x".repeat(1025), ChannelConfig::default()).unwrap_err();
/// assert_eq!(Refusal::from(error), Refusal::StayAway);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Asks the client to reconnect after this time, at most one day: status 200 and a stream that consists of a `retry:`
    /// line.
    Later(Duration),
    /// Status 503 with `Retry-After`, rounded up to whole seconds. Browsers do not retry.
    Unavailable(Duration),
    /// Status 204, after which browsers never reconnect: the client may not have the stream, or has all of it
    /// ([`finite_response`]). Some other clients reconnect nevertheless: `docs/clients.md` lists
    /// them.
    StayAway,
}

impl Default for Refusal {
    /// Returns `Later` with ten seconds.
    fn default() -> Refusal {
        Refusal::Later(Duration::from_secs(10))
    }
}

/// A limit that is reached may have room later. A mistake in the request or in the configuration stays one.
impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Refusal {
        match error {
            ConnectError::PingTooShort { .. }
            | ConnectError::FarewellHasId
            | ConnectError::FarewellTooLarge { .. }
            | ConnectError::PrincipalTooLong { .. }
            | ConnectError::ClientTooLong { .. } => Refusal::StayAway,
            _ => Refusal::default(),
        }
    }
}

/// A name that is too long is refused for good, and so is a channel that is open with another configuration. At the limit of
/// channels, the client retries.
impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Refusal {
        match error {
            OpenError::NameTooLong { .. } | OpenError::OtherConfig => Refusal::StayAway,
            _ => Refusal::default(),
        }
    }
}

/// A request that follows too many channels, and a channel of another hub, are refused for good. Otherwise the client retries.
impl From<SubscribeError> for Refusal {
    fn from(error: SubscribeError) -> Refusal {
        match error {
            SubscribeError::TooManySubscriptions { .. } | SubscribeError::OtherHub { .. } => {
                Refusal::StayAway
            }
            _ => Refusal::default(),
        }
    }
}

impl Refusal {
    /// Creates the response to a request of `version`.
    ///
    /// ```
    /// use sse_hyper::Refusal;
    ///
    /// let response = Refusal::StayAway.into_response(http::Version::HTTP_11);
    /// assert_eq!(response.status(), 204);
    /// ```
    pub fn into_response(self, version: Version) -> Response<SseBody> {
        match self {
            Refusal::Later(time) => {
                let retry = Frame::retry(time.min(LONGEST_RETRY));
                with_head(
                    version,
                    SseBody::fixed(retry.map_or_else(|_| Bytes::new(), |frame| frame.into_bytes())),
                )
            }
            Refusal::Unavailable(time) => {
                let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
                let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
            Refusal::StayAway => empty(StatusCode::NO_CONTENT),
        }
    }
}

/// The longest time of [`Refusal::Later`]: a day. Longer times are shortened to it.
const LONGEST_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

fn with_head(version: Version, body: SseBody) -> Response<SseBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if version == Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
    }
    if version < Version::HTTP_11 {
        // hyper grants the `keep-alive` that a client of HTTP/1.0 asks for, unless the response has the same version.
        *response.version_mut() = version;
    }
    response
}

fn empty(status: StatusCode) -> Response<SseBody> {
    let mut response = Response::new(SseBody::fixed(Bytes::new()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use http_body::Body;

    use super::*;

    #[test]
    fn x1_the_head_has_keep_alive_on_http_1_1_only() {
        for (version, expected) in [
            (Version::HTTP_10, false),
            (Version::HTTP_11, true),
            (Version::HTTP_2, false),
            (Version::HTTP_3, false),
        ] {
            let response = Refusal::default().into_response(version);
            assert_eq!(response.headers().contains_key(CONNECTION), expected, "{version:?}");
        }
    }

    #[test]
    fn a1_what_stays_wrong_is_refused_for_good() {
        let limit = 1;
        let later = Refusal::default();
        assert_eq!(Refusal::from(OpenError::NameTooLong { bytes: 1_025, limit: 1_024 }), Refusal::StayAway);
        assert_eq!(Refusal::from(OpenError::OtherConfig), Refusal::StayAway);
        assert_eq!(Refusal::from(OpenError::TooManyChannels { limit }), later);
        assert_eq!(Refusal::from(SubscribeError::TooManySubscriptions { limit }), Refusal::StayAway);
        assert_eq!(Refusal::from(SubscribeError::TooManyMembers { limit }), later);
        assert_eq!(Refusal::from(SubscribeError::ChannelClosed { name: "a".into() }), later);
        assert_eq!(Refusal::from(ConnectError::TooManyConnections { limit }), later);
        assert_eq!(Refusal::from(ConnectError::ShuttingDown), later);
        let (interval, min) = (Duration::ZERO, Duration::from_millis(1));
        assert_eq!(Refusal::from(ConnectError::PingTooShort { interval, min }), Refusal::StayAway);
        assert_eq!(Refusal::from(ConnectError::FarewellHasId), Refusal::StayAway);
        let too_large = ConnectError::FarewellTooLarge { bytes: 2, limit };
        assert_eq!(Refusal::from(too_large), Refusal::StayAway);
        assert_eq!(Refusal::from(ConnectError::TooManyOfPrincipal { limit }), later);
        let (bytes, limit) = (300, 255);
        assert_eq!(Refusal::from(ConnectError::PrincipalTooLong { bytes, limit }), Refusal::StayAway);
        assert_eq!(Refusal::from(ConnectError::ClientTooLong { bytes, limit }), Refusal::StayAway);
    }

    #[test]
    fn a1_each_refusal_has_its_status_and_retry_time() {
        let time = Duration::from_millis(1500);
        let later = Refusal::Later(time).into_response(Version::HTTP_11);
        assert_eq!(later.status(), StatusCode::OK);
        let Poll::Ready(Some(Ok(line))) =
            pin!(later.into_body()).poll_frame(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("the body has the retry time");
        };
        // Without a blank line: some clients would dispatch an empty event.
        assert_eq!(line.into_data().unwrap(), "retry: 1500\n");
        let unavailable = Refusal::Unavailable(time).into_response(Version::HTTP_11);
        assert_eq!(
            (unavailable.status().as_u16(), &unavailable.headers()[RETRY_AFTER]),
            (503, &"2".parse().unwrap())
        );
        let stay_away = Refusal::StayAway.into_response(Version::HTTP_11);
        assert_eq!(stay_away.status(), StatusCode::NO_CONTENT);
    }
}
