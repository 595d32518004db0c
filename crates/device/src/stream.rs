//! Messages that are larger than memory.

use core::fmt;

use embassy_sync::blocking_mutex::raw::RawMutex;
use tautline_proto::{Instant, Kind, Part};

use crate::link::Link;
use crate::transport::Clock;

/// A message that is being sent piece by piece: see [`Link::begin`].
///
/// Dropping it before [`finish`](Self::finish) takes it back as long as nothing of it has left; otherwise the link is closed with 1011,
/// and made anew: the message can be neither completed nor taken back.
pub struct Stream<'l, 'm, M: RawMutex> {
    link: &'l Link<'m, M>,
    kind: Kind,
    connection: u32,
    begun: bool,
    finished: bool,
}

/// Why a piece was not taken. The message is lost then: drop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The link on which it was begun is down.
    Disconnected,
    /// There was no room for all of the piece in time.
    TimedOut,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnected => "the link went down in the middle of the message",
            Self::TimedOut => "the link did not take the piece in time",
        })
    }
}

impl core::error::Error for StreamError {}

impl<'l, 'm, M: RawMutex> Stream<'l, 'm, M> {
    pub(crate) fn new(link: &'l Link<'m, M>, kind: Kind, connection: u32) -> Self {
        Self { link, kind, connection, begun: false, finished: false }
    }

    /// Sends the next piece, in one frame or several, as there is room for it. Pieces of text may be cut inside a character.
    ///
    /// # Errors
    /// Not all of it was taken.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, some of the piece may have been taken, and the message is lost.
    pub async fn write(&mut self, piece: &[u8], clock: &impl Clock, deadline: Instant) -> Result<(), StreamError> {
        self.send(piece, false, clock, deadline).await
    }

    /// Sends the last piece, which may be empty.
    ///
    /// # Errors
    /// Not all of it was taken.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, the message is lost.
    pub async fn finish(mut self, piece: &[u8], clock: &impl Clock, deadline: Instant) -> Result<(), StreamError> {
        self.send(piece, true, clock, deadline).await?;
        self.finished = true;
        Ok(())
    }

    async fn send(
        &mut self,
        mut piece: &[u8],
        last: bool,
        clock: &impl Clock,
        deadline: Instant,
    ) -> Result<(), StreamError> {
        loop {
            let part = match (self.begun, last) {
                (false, true) => Part::Whole(self.kind),
                (false, false) => Part::First(self.kind),
                (true, true) => Part::Last,
                (true, false) => Part::Next,
            };
            let len = self.link.push_fragment(self.connection, part, piece, clock, deadline).await?;
            self.begun = true;
            piece = &piece[len..];
            if piece.is_empty() {
                return Ok(());
            }
        }
    }
}

impl<M: RawMutex> Drop for Stream<'_, '_, M> {
    fn drop(&mut self) {
        self.link.end_stream(self.connection, self.finished);
    }
}

impl<M: RawMutex> fmt::Debug for Stream<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("kind", &self.kind).field("begun", &self.begun).finish_non_exhaustive()
    }
}
