//! An open connection.

use std::io;
use std::time::Duration;

use bitflags::bitflags;
use bytes::Bytes;
use tautline_proto::app::ConnectionId;
use tautline_proto::{Control, Instant, MAX_CONTROL_FRAME, OpCode};

use super::backlog::Backlog;
use super::turn::{self, Turn};
use crate::metrics::Counters;
use crate::peer::Peer;
use crate::profile::Shared;
use crate::transport::Transport;

/// A connection. While it is idle this is all of it.
pub(super) struct Connection<T> {
    pub(super) id: ConnectionId,
    pub(super) core: tautline_proto::Connection<Shared>,
    /// `None` until the opening handshake has been answered: until then everything waits.
    pub(super) transport: Option<T>,
    /// What only a connection needs that is in the middle of something.
    pub(super) more: Option<Box<More>>,
    /// What it gets in this turn: an entry of [`Turn`].
    pub(super) entry: u32,
    pub(super) peer: Peer,
    pub(super) app: u8,
    flags: Flags,
}

bitflags! {
    /// What is so of a connection. In one byte: there are very many of them.
    #[derive(Clone, Copy)]
    pub(super) struct Flags: u8 {
        /// The transport takes no more at the moment: everything waits in the backlog.
        const BLOCKED = 1;
        /// The app was told that something had to be queued, and not yet that everything is written.
        const BUSY = 1 << 1;
        /// The app has closed it, or it was too slow: the app hears nothing more but its end.
        const CLOSING = 1 << 2;
        /// It is not read, because the app answers it and it does not take the answers.
        const PAUSED = 1 << 3;
        /// The app has been told that it is gone.
        const REPORTED = 1 << 4;
        /// Our sending direction has ended.
        const SHUT = 1 << 5;
        /// The transport has failed, or was given up.
        const FAILED = 1 << 6;
        /// It is listed to be looked at before the turn ends.
        const LISTED = 1 << 7;
    }
}

/// What a connection needs in the middle of something.
#[derive(Default)]
pub(super) struct More {
    /// What does not fit the socket.
    pub(super) backlog: Backlog,
    /// The control frame that is owed. Others, whose transport takes it at once, share one.
    pub(super) control: Control,
    /// Input that is not consumed: an incomplete header or control frame, or all there is if it is paused.
    pub(super) unread: Vec<u8>,
    /// A message whose end has not come.
    pub(super) message: Assembly,
    /// The transport has said that its end is among what was not read.
    pub(super) to_end: bool,
    /// Until when a connection that is closed otherwise may take what is left.
    pub(super) linger: Option<Instant>,
    /// The app wants to know whether the peer is there, which can be asked when the opening handshake is answered.
    pub(super) to_probe: Option<Duration>,
}

/// A message that is being put together. `bytes` is longer than what has come, so that the rest can be read to its place.
#[derive(Default)]
pub(super) struct Assembly {
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
}

impl<T: Transport> Connection<T> {
    /// A connection that is admitted.
    pub(super) fn new(id: ConnectionId, core: tautline_proto::Connection<Shared>, app: u8, peer: Peer) -> Self {
        Self {
            id,
            core,
            transport: None,
            more: Some(Box::default()),
            entry: turn::NONE,
            app,
            peer,
            flags: Flags::BLOCKED,
        }
    }

    #[inline]
    pub(super) fn is(&self, flag: Flags) -> bool {
        self.flags.contains(flag)
    }

    pub(super) fn set(&mut self, flag: Flags, on: bool) {
        self.flags.set(flag, on);
    }

    /// Sets a flag, and answers what it was.
    pub(super) fn replace(&mut self, flag: Flags, on: bool) -> bool {
        let was = self.is(flag);
        self.set(flag, on);
        was
    }

    pub(super) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Whether the app can send to it.
    pub(super) fn takes_messages(&self) -> bool {
        !self.is(Flags::CLOSING) && self.core.is_open()
    }

    /// Whether it is to be read no further: what was sent to it does not fit its queue.
    pub(super) fn is_to_pause(&self, turn: &Turn) -> bool {
        self.is_full(turn) && self.takes_messages()
    }

    /// How many bytes wait to be written.
    pub(super) fn queued(&self, turn: &Turn) -> usize {
        self.more.as_ref().map_or(0, |more| more.backlog.len()) + turn.len(self.entry)
    }

    /// Whether what waits to be written is too much.
    pub(super) fn is_full(&self, turn: &Turn) -> bool {
        self.is(Flags::BLOCKED) && self.queued(turn) >= self.core.context().queue_limit()
    }

    /// How many bytes that are to be read, and to be written, belong to frames that have begun.
    pub(super) fn begun(&self, turn: &Turn) -> (u64, u64) {
        // While there is a backlog, whatever is in the turn is behind it and whole.
        let written = self.more.as_ref().map_or(0, |more| more.backlog.begun()) + turn.begun(self.entry);
        (self.core.frame_outstanding(), written as u64)
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_flushed(&self) -> bool {
        !self.is(Flags::BLOCKED) && self.entry == turn::NONE
    }

    /// The control frame that is owed and waits for the backlog. Without a backlog none waits.
    pub(super) fn owed(&self) -> Option<OpCode> {
        self.more.as_ref().and_then(|more| self.core.next_transmit(&more.control))
    }

    /// The core, and where the control frame is that it owes.
    pub(super) fn core_and_control<'a>(
        &'a mut self,
        shared: &'a mut Control,
    ) -> (&'a mut tautline_proto::Connection<Shared>, &'a mut Control) {
        match &mut self.more {
            Some(more) if self.flags.contains(Flags::BLOCKED) => (&mut self.core, &mut more.control),
            _ => (&mut self.core, shared),
        }
    }

    /// Takes note of a write. Answers how many bytes the transport took, if it took any.
    pub(super) fn wrote(
        &mut self,
        result: io::Result<usize>,
        turn: &mut Turn,
        counters: &mut Counters,
    ) -> Option<usize> {
        counters.writes += 1;
        match result {
            Ok(n) if n > 0 => {
                counters.bytes_out += n as u64;
                return Some(n);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.block(),
            _ => self.fail(turn),
        }
        None
    }

    /// The transport takes no more.
    fn block(&mut self) {
        self.set(Flags::BLOCKED, true);
        self.more();
    }

    /// The transport has failed: what waits for it is lost. Nobody is to write any more, so that counts as blocked.
    pub(super) fn fail(&mut self, turn: &mut Turn) {
        self.core.transport_failed();
        turn.done(&mut self.entry);
        self.set(Flags::FAILED, true);
        self.set(Flags::BLOCKED, true);
        self.more = Some(Box::default());
    }

    /// Has the transport pass on what it holds itself. Answers whether nothing remains.
    pub(super) fn flush_transport(&mut self, turn: &mut Turn) -> bool {
        match self.transport.flush() {
            Ok(true) => return true,
            Ok(false) => self.block(),
            Err(_) => self.fail(turn),
        }
        false
    }

    /// Moves what the connection gets in this turn to its backlog. The turn forgets nothing by that.
    pub(super) fn spill(&mut self, turn: &mut Turn) {
        let mut begun = turn.begun(self.entry);
        let backlog = &mut self.more.get_or_insert_default().backlog;
        for piece in turn.pieces(self.entry) {
            backlog.copy(turn.bytes(piece), begun, piece.what);
            begun = 0;
        }
        turn.release(&mut self.entry);
    }

    /// As [`spill`](Self::spill), with `all` bytes of the turn to share.
    pub(super) fn spill_shared(&mut self, turn: &mut Turn, all: &Bytes) {
        let mut begun = turn.begun(self.entry);
        let backlog = &mut self.more.get_or_insert_default().backlog;
        for piece in turn.pieces(self.entry) {
            backlog.share(all.slice(Turn::range(piece)), begun, piece.what);
            begun = 0;
        }
        turn.release(&mut self.entry);
    }

    /// Puts the control frames that are owed to where they belong in the backlog, once it is their turn: pings and pongs
    /// before the next frame, a close frame behind everything (RFC 6455 §5.5.1). Not earlier, since a ping that is
    /// transmitted as far as the core knows has to be answered in time. Answers whether one waits for the end of a frame.
    pub(super) fn backlog_owed(&mut self, now: Instant) -> bool {
        let Some(more) = &mut self.more else { return false };
        let mut frames = Vec::new();
        let mut out = [0; MAX_CONTROL_FRAME];
        while let Some(opcode) = self.core.next_transmit(&more.control)
            && (opcode != OpCode::Close || more.backlog.is_empty())
            && !more.backlog.is_control_next()
        {
            if more.backlog.has_begun() {
                return true;
            }
            let n = self.core.poll_transmit(now, [0; 4], &mut more.control, &mut out);
            frames.extend_from_slice(&out[..n]);
        }
        if !frames.is_empty() {
            more.backlog.overtake(&frames);
        }
        false
    }

    /// Gives back the memory that is not needed any more.
    pub(super) fn shrink(&mut self) {
        if let Some(more) = &self.more
            && !self.is(Flags::BLOCKED)
            && more.backlog.is_empty()
            && more.control.is_empty()
            && more.unread.is_empty()
            && more.message.len == 0
            && self.core.payload_outstanding() == 0
        {
            self.more = None;
        }
    }
}

impl Assembly {
    /// Makes room for up to `most` more bytes: twice what has come, since a peer may announce more than it ever sends.
    pub(super) fn room(&mut self, most: u64, spare: &mut Vec<u8>) -> &mut [u8] {
        const LEAST: usize = 64 * 1024;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if self.bytes.is_empty() && most >= LEAST {
            self.bytes = std::mem::take(spare);
        }
        if self.bytes.len() - self.len < most {
            let more = most.min(self.len.max(LEAST));
            let len = self.bytes.len().max(self.len + more);
            self.bytes.resize(len, 0);
        }
        let end = self.bytes.len().min(self.len.saturating_add(most));
        &mut self.bytes[self.len..end]
    }

    pub(super) fn push(&mut self, bytes: &[u8], spare: &mut Vec<u8>) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let room = self.room(bytes.len() as u64, spare);
            let n = room.len().min(bytes.len());
            room[..n].copy_from_slice(&bytes[..n]);
            self.len += n;
            bytes = &bytes[n..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_idle_connection_is_at_most_168_bytes() {
        // In debug builds mio's sockets are larger.
        let socket = size_of::<crate::socket::Socket>().saturating_sub(16);
        assert!(size_of::<Connection<crate::socket::Socket>>() <= 168 + socket);
    }
}
