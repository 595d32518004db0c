//! An app that writes down what happens and does what the test wants.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tautline_proto::Ended;
use tautline_proto::app::{App, ConnectionId, Io, Message, Opening};
use tautline_proto::handshake::server::Rejection;

/// A call of the app.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    Admit(ConnectionId),
    Open(ConnectionId),
    Message(ConnectionId, Message<'a>),
    Drained(ConnectionId),
    Alive(ConnectionId),
    Closed(ConnectionId, Option<Ended>),
    Timer(u64),
}

/// A call of the app, written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Admit(ConnectionId),
    Open(ConnectionId),
    Text(ConnectionId, String),
    Binary(ConnectionId, Vec<u8>),
    Drained(ConnectionId),
    Alive(ConnectionId),
    Closed(ConnectionId, Option<Ended>),
    Timer(u64),
}

impl Happened {
    /// Whom it happened to.
    pub(crate) fn whose(&self) -> Option<ConnectionId> {
        match self {
            Self::Admit(id)
            | Self::Open(id)
            | Self::Text(id, _)
            | Self::Binary(id, _)
            | Self::Drained(id)
            | Self::Alive(id)
            | Self::Closed(id, _) => Some(*id),
            Self::Timer(_) => None,
        }
    }
}

impl From<Call<'_>> for Happened {
    fn from(call: Call<'_>) -> Self {
        match call {
            Call::Admit(id) => Self::Admit(id),
            Call::Open(id) => Self::Open(id),
            Call::Message(id, Message::Text(text)) => Self::Text(id, text.to_owned()),
            Call::Message(id, Message::Binary(bytes)) => Self::Binary(id, bytes.to_vec()),
            Call::Drained(id) => Self::Drained(id),
            Call::Alive(id) => Self::Alive(id),
            Call::Closed(id, ended) => Self::Closed(id, ended),
            Call::Timer(timer) => Self::Timer(timer),
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Happened>>>);

impl Record {
    fn lock(&self) -> MutexGuard<'_, Vec<Happened>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has happened since this was asked last.
    pub(crate) fn take(&self) -> Vec<Happened> {
        std::mem::take(&mut self.lock())
    }

    pub(crate) fn all(&self) -> Vec<Happened> {
        self.lock().clone()
    }
}

/// Refuses the path `/refused`.
pub(crate) struct Recorder<F> {
    pub(crate) record: Record,
    pub(crate) act: F,
}

impl<F: FnMut(&mut dyn Io, Call<'_>) + Send> Recorder<F> {
    fn happened(&mut self, io: &mut dyn Io, call: Call<'_>) {
        self.record.lock().push(call.into());
        (self.act)(io, call);
    }
}

impl<F: FnMut(&mut dyn Io, Call<'_>) + Send> App for Recorder<F> {
    fn admit(&mut self, io: &mut dyn Io, id: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        if opening.path == "/refused" {
            return Err(Rejection::new(409));
        }
        self.happened(io, Call::Admit(id));
        Ok(())
    }

    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.happened(io, Call::Open(id));
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        self.happened(io, Call::Message(id, message));
    }

    fn drained(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.happened(io, Call::Drained(id));
    }

    fn alive(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.happened(io, Call::Alive(id));
    }

    fn closed(&mut self, io: &mut dyn Io, id: ConnectionId, ended: Option<Ended>) {
        self.happened(io, Call::Closed(id, ended));
    }

    fn timer(&mut self, io: &mut dyn Io, timer: u64) {
        self.happened(io, Call::Timer(timer));
    }
}

/// Sends back every message.
pub(crate) fn echo(io: &mut dyn Io, call: Call<'_>) {
    if let Call::Message(id, message) = call {
        io.send(id, message);
    }
}
