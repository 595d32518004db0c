//! A client, from its handshake to its end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use futures_sink::Sink;
use http::Extensions;
use tautline::{CloseCode, Ended, Message, Sender, WebSocket};
use tautline_proto::app::{self, App, ConnectionId, Opening};
use tautline_proto::handshake::server::Rejection;

use super::Inner;
use super::world::{Call, Current};

/// A client that the app has admitted. Dropping it tells the app that the client is gone, opened or not.
pub(super) struct Admitted {
    inner: Arc<Inner>,
    id: ConnectionId,
}

/// Where it waits for the connection. It cannot be cloned, as what is attached to a request has to be.
#[derive(Clone)]
struct Waiting(Arc<Mutex<Option<Admitted>>>);

impl Admitted {
    /// Asks the app whether it admits a client.
    pub(super) fn new(inner: &Arc<Inner>, opening: &Opening<'_>) -> Result<Self, Rejection> {
        let id = ConnectionId(inner.next_id.fetch_add(1, Ordering::Relaxed));
        let admitted = inner.call(None, |app, io| app.admit(io, id, opening));
        admitted.unwrap_or(Err(Rejection::new(500))).map(|()| Self { inner: inner.clone(), id })
    }

    /// Lets it wait with a request. If that never becomes a connection, it is dropped with it.
    pub(super) fn wait_in(self, extensions: &mut Extensions) {
        extensions.insert(Waiting(Arc::new(Mutex::new(Some(self)))));
    }

    pub(super) fn take_from(extensions: &mut Extensions) -> Option<Self> {
        extensions.remove::<Waiting>()?.0.lock().ok()?.take()
    }

    /// Carries the client's connection to its end.
    pub(super) async fn run(self, ws: WebSocket) {
        let (mut sender, mut receiver) = ws.split();
        let queued = self.inner.lock().world.add(self.id, sender.clone());
        self.call(None, |app, io| app.open(io, self.id));
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                message = receiver.recv() => {
                    let Some(message) = message else { return };
                    // Not read faster than the answers are taken.
                    if self.message(&message) {
                        room(&mut sender).await;
                    }
                }
                () = queued.notified(), if !draining => draining = true,
                // Not reached while more messages are at hand, so that the answers to all of them leave in one write.
                _ = sender.flush(), if draining => {
                    draining = false;
                    if self.inner.lock().world.take_drained(self.id) {
                        self.call(None, |app, io| app.drained(io, self.id));
                    }
                }
            }
        }
    }

    /// Hands a message to the app. Answers whether it sent something to the same client.
    fn message(&self, message: &Message) -> bool {
        let borrowed = match message {
            Message::Text(text) => app::Message::Text(text),
            Message::Binary(bytes) => app::Message::Binary(bytes),
        };
        let mut answered = false;
        self.call(Some(Current { message, from: self.id, answered: &mut answered }), |app, io| {
            if !io.world.is_closing(self.id) {
                app.message(io, self.id, borrowed);
            }
        });
        answered
    }

    /// A call of the app for this connection, which is closed if it panics.
    fn call(&self, current: Option<Current<'_>>, call: impl FnOnce(&mut dyn App, &mut Call<'_>)) {
        if self.inner.call(current, call).is_err() {
            self.inner.lock().world.close(self.id, CloseCode::INTERNAL_ERROR, "");
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let _ = self.inner.call(None, |app, io| {
            // Without an end the task was dropped while the connection was open.
            let ended = io.world.sender(self.id).map(|sender| sender.ended().unwrap_or(Ended::TransportFailed));
            app.closed(io, self.id, ended);
            io.world.remove(self.id);
        });
    }
}

/// Waits until the send queue has room, or the connection has ended.
async fn room(sender: &mut Sender) {
    let _ = poll_fn(|cx| Pin::new(&mut *sender).poll_ready(cx)).await;
}
