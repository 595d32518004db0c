//! A client, from its handshake to its end.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_sink::Sink;
use http::Extensions;
use tautline::{CloseCode, Message, SendError, Sender, WebSocket};
use tautline_proto::app::{self, App, ConnectionId, Opening};
use tautline_proto::handshake::server::Rejection;

use super::Inner;
use super::world::{Call, Current};

/// A question to a client whether it is still there; ready when something has arrived from it.
type Probe = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

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
        let admitted = inner.call(None, |app, io| {
            app.admit(io, id, opening)?;
            io.world.admit(id);
            Ok(())
        });
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
        let signals = self.inner.lock().world.add(self.id, sender.clone());
        self.call(None, |app, io| app.open(io, self.id));
        let (mut full, mut draining) = (false, false);
        let mut probe = None;
        loop {
            tokio::select! {
                biased;
                () = room(sender.clone()), if full => full = false,
                message = receiver.recv(), if !full => {
                    let Some(message) = message else { return };
                    // Not read faster than the answers are taken.
                    full = self.message(&message) && !has_room(&mut sender).await;
                }
                () = signals.probed.notified() => {
                    let within = self.inner.lock().world.take_probe(self.id);
                    probe = within.map(|within| ask(sender.clone(), within)).or(probe);
                }
                heard = settled(&mut probe) => {
                    probe = None;
                    // Otherwise the connection has ended, which the receiver tells.
                    if heard.is_ok() {
                        self.alive();
                    }
                }
                () = signals.queued.notified(), if !draining => draining = true,
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

    /// The client has answered.
    fn alive(&self) {
        self.call(None, |app, io| {
            if !io.world.is_closing(self.id) {
                app.alive(io, self.id);
            }
        });
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
            let ended = io.world.ended(self.id);
            app.closed(io, self.id, ended);
            io.world.remove(self.id);
        });
    }
}

/// Waits until the send queue has room, or the connection has ended.
async fn room(mut sender: Sender) {
    let _ = poll_fn(|cx| Pin::new(&mut sender).poll_ready(cx)).await;
}

/// Whether there is nothing to wait for in [`room`].
async fn has_room(sender: &mut Sender) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *sender).poll_ready(cx).is_ready())).await
}

/// Asks a client whether it is still there.
fn ask(sender: Sender, within: Duration) -> Probe {
    Box::pin(async move { sender.probe(within).await })
}

/// Waits until a question is settled, if there is one.
async fn settled(probe: &mut Option<Probe>) -> Result<(), SendError> {
    match probe {
        Some(probe) => probe.await,
        None => pending().await,
    }
}
