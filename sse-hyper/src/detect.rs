//! A service around the application's, which looks at each finished response and takes a subscription out of it.

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

use crate::ticket::Marker;
use crate::watch::Progress;

/// The application's service, from outside all of its middleware.
pub(crate) struct Answering<S> {
    service: S,
    progress: Progress,
}

impl<S> Answering<S> {
    pub(crate) fn new(service: S, progress: Progress) -> Answering<S> {
        Answering { service, progress }
    }
}

impl<S, B> Service<Request<Incoming>> for Answering<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Response = Response<Outgoing<B>>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let asked = Asked { is_head: request.method() == Method::HEAD, version: request.version() };
        Answer { response: self.service.call(request), asked, progress: self.progress.clone() }
    }
}

/// What the answer to a request depends on, and hyper does not tell later.
#[derive(Clone, Copy)]
struct Asked {
    is_head: bool,
    version: Version,
}

impl Asked {
    /// HTTP/1.0 knows no chunks.
    fn framing(self) -> Framing {
        if self.version < Version::HTTP_11 { Framing::UntilClose } else { Framing::Chunked }
    }

    /// Whether what follows the head on the wire are the bytes of the connection and nothing else. Where it is not,
    /// the body serves.
    fn is_stream<B>(self, response: &Response<B>) -> bool {
        let headers = response.headers();
        !self.is_head
            && response.status() == StatusCode::OK
            && !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(TRAILER)
    }
}

pin_project! {
    /// The application's response in the making.
    pub(crate) struct Answer<F> {
        #[pin]
        response: F,
        asked: Asked,
        progress: Progress,
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Outgoing<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.response.poll(cx))?;
        Poll::Ready(Ok(outgoing(response, *this.asked, this.progress)))
    }
}

fn outgoing<B>(mut response: Response<B>, asked: Asked, progress: &Progress) -> Response<Outgoing<B>> {
    let marker = response.extensions_mut().remove::<Marker>();
    let outbound = marker.filter(|_| asked.is_stream(&response)).and_then(|marker| marker.take());
    let Some(outbound) = outbound else { return response.map(|body| Outgoing::Body { body }) };
    progress.subscribe(outbound, asked.framing());
    frame_head(&mut response, asked);
    response.map(|_| Outgoing::Stream { progress: progress.clone() })
}

/// How the body is framed is decided here, as whoever writes it is told, and not by a handler or hyper.
fn frame_head<B>(response: &mut Response<B>, asked: Asked) {
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    match asked.framing() {
        Framing::Chunked => *response.version_mut() = Version::HTTP_11,
        Framing::UntilClose => {
            // hyper would promise a client of HTTP/1.0 that asks for it to keep the connection, although the body has
            // no other end than its.
            headers.remove(CONNECTION);
            *response.version_mut() = Version::HTTP_10;
        }
    }
}

pin_project! {
    /// The body that hyper gets.
    #[project = OutgoingProjection]
    pub(crate) enum Outgoing<B> {
        /// The application's.
        Body { #[pin] body: B },
        /// One that has the first bytes, and then is never ready: its connection is taken out of hyper when these are flushed.
        Stream { progress: Progress },
    }
}

impl<B: Body> Body for Outgoing<B> {
    type Data = Either<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        match self.project() {
            OutgoingProjection::Body { body } => {
                body.poll_frame(cx).map_ok(|frame| frame.map_data(Either::Body))
            }
            OutgoingProjection::Stream { progress } => match progress.first_bytes() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(Either::First(bytes))))),
                None => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Body { body } => body.is_end_stream(),
            Outgoing::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Body { body } => body.size_hint(),
            Outgoing::Stream { .. } => SizeHint::default(),
        }
    }
}

/// Bytes of the application's body, or the first ones of a stream.
pub(crate) enum Either<D> {
    Body(D),
    First(Bytes),
}

impl<D: Buf> Buf for Either<D> {
    fn remaining(&self) -> usize {
        match self {
            Either::Body(data) => data.remaining(),
            Either::First(bytes) => bytes.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Either::Body(data) => data.chunk(),
            Either::First(bytes) => bytes.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Either::Body(data) => data.chunks_vectored(slices),
            Either::First(bytes) => bytes.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Either::Body(data) => data.advance(count),
            Either::First(bytes) => bytes.advance(count),
        }
    }
}
