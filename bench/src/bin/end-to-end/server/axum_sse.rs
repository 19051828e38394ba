//! axum's `Sse` on a broadcast channel, as in the documentation of axum.

use std::convert::Infallible;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::{self, Sender, error::RecvError};

/// The default number of events in the history of a channel.
const CAPACITY: usize = 500;

/// An id and the data. With the id, every server sends the same number of bytes.
type Message = (u64, String);

pub(super) async fn serve() -> Result<(), Box<dyn Error>> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let (sender, _) = broadcast::channel::<Message>(CAPACITY);
    let publish = async |State(sender): State<Sender<Message>>, data: String| {
        // An error means that there are no receivers.
        let _ = sender.send((NEXT.fetch_add(1, Ordering::Relaxed), data));
        StatusCode::NO_CONTENT
    };
    let app = Router::new()
        .route(super::FOLLOW, get(follow))
        .route(super::PUBLISH, post(publish))
        .with_state(sender);
    let listener = super::listen().await?.tap_io(|socket| drop(socket.set_nodelay(true)));
    axum::serve(listener, app).await?;
    Ok(())
}

async fn follow(State(sender): State<Sender<Message>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = stream::unfold(sender.subscribe(), async |mut receiver| {
        loop {
            match receiver.recv().await {
                Ok((id, data)) => {
                    let event = Event::default().id(format!("mywpiww0-{id}")).data(data);
                    return Some((Ok(event), receiver));
                }
                // Lost events are skipped.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
