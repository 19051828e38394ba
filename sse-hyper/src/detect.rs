//! The service around the application's service, which detects event streams among its responses.

use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use pin_project_lite::pin_project;
use sse_core::adapter::Framing;

use crate::detach::DetachHandle;
use crate::flush::HandOver;

/// The application's service with its middleware, and a look at each finished response.
pub(crate) struct DetectService<S> {
    service: S,
    hand_over: HandOver,
}

impl<S> DetectService<S> {
    pub(crate) fn new(service: S, hand_over: HandOver) -> DetectService<S> {
        DetectService { service, hand_over }
    }
}

impl<S, B> Service<Request<Incoming>> for DetectService<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = DetectFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let info = RequestInfo { is_head: request.method() == Method::HEAD, version: request.version() };
        DetectFuture {
            response: self.service.call(request),
            request: info,
            hand_over: self.hand_over.clone(),
        }
    }
}

/// The parts of a request that its response depends on. hyper does not provide them with the response.
#[derive(Clone, Copy)]
struct RequestInfo {
    is_head: bool,
    version: Version,
}

impl RequestInfo {
    /// Returns how the body is framed: HTTP/1.0 has no chunked coding.
    fn framing(self) -> Framing {
        if self.version < Version::HTTP_11 { Framing::UntilClose } else { Framing::Chunked }
    }

    /// Returns whether only the bytes of the connection follow the head. Otherwise the body path serves the response.
    fn is_event_stream<B>(self, response: &Response<B>) -> bool {
        let headers = response.headers();
        !self.is_head
            && response.status() == StatusCode::OK
            && !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(TRAILER)
    }
}

pin_project! {
    /// The future of the application's response.
    pub(crate) struct DetectFuture<F> {
        #[pin]
        response: F,
        request: RequestInfo,
        hand_over: HandOver,
    }
}

impl<F, B, E> Future for DetectFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.response.poll(cx))?;
        Poll::Ready(Ok(detect(response, *this.request, this.hand_over)))
    }
}

fn detect<B>(
    mut response: Response<B>,
    request: RequestInfo,
    hand_over: &HandOver,
) -> Response<ResponseBody<B>> {
    let handle = response.extensions_mut().remove::<DetachHandle>();
    let outbound = handle.filter(|_| request.is_event_stream(&response)).and_then(|handle| handle.take());
    let Some(outbound) = outbound else { return response.map(|body| ResponseBody::Body { body }) };
    hand_over.begin(outbound, request.framing());
    frame_head(&mut response, request);
    response.map(|_| ResponseBody::Stream { hand_over: hand_over.clone() })
}

/// Sets the fields that frame the body, so that neither the handler nor hyper decides what the driver has to write.
fn frame_head<B>(response: &mut Response<B>, request: RequestInfo) {
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    match request.framing() {
        Framing::Chunked => *response.version_mut() = Version::HTTP_11,
        Framing::UntilClose => {
            // The body ends with the connection, so hyper must not grant a `keep-alive` that an HTTP/1.0 client requested.
            headers.remove(CONNECTION);
            *response.version_mut() = Version::HTTP_10;
        }
    }
}

pin_project! {
    /// The response body that hyper polls.
    #[project = ResponseBodyProjection]
    pub(crate) enum ResponseBody<B> {
        /// The body of the application.
        Body { #[pin] body: B },
        /// The body of a detected event stream: the first bytes, then pending until the connection leaves hyper.
        Stream { hand_over: HandOver },
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = ResponseData<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        match self.project() {
            ResponseBodyProjection::Body { body } => {
                body.poll_frame(cx).map_ok(|frame| frame.map_data(ResponseData::Body))
            }
            ResponseBodyProjection::Stream { hand_over } => match hand_over.first_bytes() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(ResponseData::FirstBytes(bytes))))),
                None => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Body { body } => body.is_end_stream(),
            ResponseBody::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Body { body } => body.size_hint(),
            ResponseBody::Stream { .. } => SizeHint::default(),
        }
    }
}

/// Data of a [`ResponseBody`].
pub(crate) enum ResponseData<D> {
    Body(D),
    FirstBytes(Bytes),
}

impl<D: Buf> Buf for ResponseData<D> {
    fn remaining(&self) -> usize {
        match self {
            ResponseData::Body(data) => data.remaining(),
            ResponseData::FirstBytes(bytes) => bytes.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            ResponseData::Body(data) => data.chunk(),
            ResponseData::FirstBytes(bytes) => bytes.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            ResponseData::Body(data) => data.chunks_vectored(slices),
            ResponseData::FirstBytes(bytes) => bytes.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            ResponseData::Body(data) => data.advance(count),
            ResponseData::FirstBytes(bytes) => bytes.advance(count),
        }
    }
}
