//! An app that tells the test what happens and does what the test wants.

use tautline_proto::Ended;
use tautline_proto::app::{App, ConnectionId, Io, Message, Opening};
use tautline_proto::handshake::server::Rejection;
use tokio::sync::mpsc;

/// A call of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Admit(ConnectionId, String),
    Open(ConnectionId),
    Text(ConnectionId, String),
    Binary(ConnectionId, Vec<u8>),
    Drained(ConnectionId),
    Alive(ConnectionId),
    Closed(ConnectionId, Option<Ended>),
    Timer(u64),
}

impl Happened {
    /// The connection that it happened to.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Admit(id, _)
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

/// Records every call, and then does what `act` does. Refuses the path `/refused`.
pub(crate) struct Recorder {
    record: mpsc::UnboundedSender<Happened>,
    act: Box<Act>,
}

type Act = dyn FnMut(&mut dyn Io, &Happened) + Send;

pub(crate) type Record = mpsc::UnboundedReceiver<Happened>;

impl Recorder {
    pub(crate) fn new(act: impl FnMut(&mut dyn Io, &Happened) + Send + 'static) -> (Self, Record) {
        let (record, receiver) = mpsc::unbounded_channel();
        (Self { record, act: Box::new(act) }, receiver)
    }

    fn happened(&mut self, io: &mut dyn Io, happened: Happened) {
        let _ = self.record.send(happened.clone());
        (self.act)(io, &happened);
    }
}

impl App for Recorder {
    fn admit(&mut self, io: &mut dyn Io, id: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        if opening.path == "/refused" {
            return Err(Rejection::CONFLICT.with_retry_after(7));
        }
        self.happened(io, Happened::Admit(id, opening.path.to_owned()));
        Ok(())
    }

    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.happened(io, Happened::Open(id));
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        self.happened(
            io,
            match message {
                Message::Text(text) => Happened::Text(id, text.to_owned()),
                Message::Binary(bytes) => Happened::Binary(id, bytes.to_vec()),
            },
        );
    }

    fn drained(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.happened(io, Happened::Drained(id));
    }

    fn alive(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.happened(io, Happened::Alive(id));
    }

    fn closed(&mut self, io: &mut dyn Io, id: ConnectionId, ended: Option<Ended>) {
        self.happened(io, Happened::Closed(id, ended));
    }

    fn timer(&mut self, io: &mut dyn Io, timer: u64) {
        self.happened(io, Happened::Timer(timer));
    }
}
