//! An [`Io`] that writes down what it is asked for.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tautline_proto::app::{App, ConnectionId, Delivery, Io, Message, Opening, Sent, Slow, Vitals};
use tautline_proto::{CloseCode, Instant};

/// What an app asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Text(u64, String),
    Binary(u64, Vec<u8>),
    PublishText(Vec<u64>, String),
    PublishBinary(Vec<u64>, Vec<u8>),
    Close(u64, CloseCode),
    Probe(u64, Duration),
    Timer(u64, Instant),
    Cancel(u64),
}

#[derive(Default)]
pub(crate) struct FakeIo {
    pub(crate) now: Instant,
    /// What `random` answers next; then zero.
    pub(crate) random: VecDeque<u32>,
    /// What is sent waits.
    pub(crate) busy: bool,
    asked: Vec<Asked>,
}

impl FakeIo {
    /// What was asked for since the last call.
    pub(crate) fn asked(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.asked)
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }
}

impl Io for FakeIo {
    fn peer(&self, _: ConnectionId) -> Option<SocketAddr> {
        None
    }

    fn vitals(&self, _: ConnectionId) -> Option<Vitals> {
        None
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn random(&mut self) -> u32 {
        self.random.pop_front().unwrap_or(0)
    }

    fn send(&mut self, to: ConnectionId, message: Message<'_>) -> Sent {
        self.asked.push(match message {
            Message::Text(text) => Asked::Text(to.0, text.to_owned()),
            Message::Binary(bytes) => Asked::Binary(to.0, bytes.to_vec()),
        });
        if self.busy { Sent::Queued } else { Sent::Written }
    }

    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnectionId>, message: Message<'_>, _: Slow) -> Delivery {
        let mut to: Vec<u64> = to.map(|id| id.0).collect();
        to.sort_unstable();
        self.asked.push(match message {
            Message::Text(text) => Asked::PublishText(to, text.to_owned()),
            Message::Binary(bytes) => Asked::PublishBinary(to, bytes.to_vec()),
        });
        Delivery::default()
    }

    fn close(&mut self, id: ConnectionId, code: CloseCode, _reason: &str) {
        self.asked.push(Asked::Close(id.0, code));
    }

    fn probe(&mut self, id: ConnectionId, within: Duration) {
        self.asked.push(Asked::Probe(id.0, within));
    }

    fn set_timer(&mut self, timer: u64, at: Instant) {
        self.asked.push(Asked::Timer(timer, at));
    }

    fn cancel_timer(&mut self, timer: u64) {
        self.asked.push(Asked::Cancel(timer));
    }
}

/// What a client asks for when it opens `path`.
pub(crate) fn opening(path: &str) -> Opening<'_> {
    Opening { path, ..Opening::default() }
}

/// Connects a client; answers what the app asked for then.
pub(crate) fn connect(app: &mut impl App, io: &mut FakeIo, id: u64, path: &str) -> Vec<Asked> {
    app.admit(io, ConnectionId(id), &opening(path)).expect("admitted");
    app.open(io, ConnectionId(id));
    io.asked()
}

/// A text message arrives; answers what the app asked for then.
pub(crate) fn text(app: &mut impl App, io: &mut FakeIo, id: u64, text: &str) -> Vec<Asked> {
    app.message(io, ConnectionId(id), Message::Text(text));
    io.asked()
}

/// A connection is gone; answers what the app asked for then.
pub(crate) fn disconnect(app: &mut impl App, io: &mut FakeIo, id: u64) -> Vec<Asked> {
    app.closed(io, ConnectionId(id), Some(tautline_proto::Ended::TransportClosed));
    io.asked()
}
