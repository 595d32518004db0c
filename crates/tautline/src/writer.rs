//! Messages sent in fragments.

use bytes::Bytes;
use tautline_proto::{CloseCode, Kind, Part};

use crate::send::{How, SendError, Urgency};
use crate::shared::notify;
use crate::websocket::Sender;

/// A message that is being sent in fragments (RFC 6455 §5.4): see [`Sender::begin`].
///
/// Dropping it before [`finish`](Self::finish) closes the connection with 1011: the message can be neither completed
/// nor taken back.
#[derive(Debug)]
pub struct MessageWriter {
    sender: Sender,
    kind: Kind,
    begun: bool,
    finished: bool,
}

impl MessageWriter {
    pub(crate) fn new(sender: Sender, kind: Kind) -> Self {
        Self { sender, kind, begun: false, finished: false }
    }

    /// Sends the next piece, as one frame, compressed where that was agreed on (unless its
    /// [`Sender`](crate::Sender::compress) does not). Pieces of text may be cut inside a character; together they have to be
    /// UTF-8, or the peer will end the connection.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing of the piece has been sent.
    pub async fn write(&mut self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let part = if self.begun { Part::Next } else { Part::First(self.kind) };
        self.send(part, piece.into()).await?;
        self.begun = true;
        Ok(())
    }

    /// Sends the last piece, which may be empty.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the message is unfinished: if a piece has been sent, the connection is
    /// closed with 1011.
    pub async fn finish(mut self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let part = if self.begun { Part::Last } else { Part::Whole(self.kind) };
        self.send(part, piece.into()).await?;
        self.finished = true;
        Ok(())
    }

    fn send(&self, part: Part, piece: Bytes) -> impl Future<Output = Result<(), SendError>> + Send {
        let how = How { part, urgency: Urgency::Now, in_stream: true, compress: self.sender.compress };
        self.sender.handle.0.send_part(how, piece)
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        let shared = &self.sender.handle.0;
        // First, so that nobody sends a message in the middle of this one.
        if self.begun && !self.finished {
            shared.begin_close(CloseCode::INTERNAL_ERROR, "message not finished");
        }
        let mut state = shared.lock();
        state.streaming = false;
        notify(state);
    }
}
