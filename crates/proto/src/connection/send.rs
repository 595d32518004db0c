//! Sending (RFC 6455 §5, §6.1).

use crate::config::{Context, Direction};
use crate::control::Control;
use crate::event::{Ended, Kind, SendError};
use crate::frame::{Header, MAX_CONTROL_FRAME, MAX_HEADER, OpCode};
use crate::mask;
use crate::time::Instant;

use super::{Connection, Inflation, Phase, Role};

/// Which part of a message a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A whole message in one frame.
    Whole(Kind),
    /// The first of several frames.
    First(Kind),
    /// A further frame, not the last.
    Next,
    /// The last of several frames.
    Last,
}

impl<C: Context> Connection<C> {
    /// Prepares a data frame with this payload: writes its header to `head` and answers the header's length.
    ///
    /// What goes to the transport is the header, then the payload; a client masks it first, with
    /// [`mask::apply`]`(key, 0, payload)`. `key` is 4 random bytes, fresh for every frame and unpredictable for whoever
    /// chooses the payload (§5.3); a server's is ignored.
    ///
    /// # Errors
    ///
    /// The connection is closing or closed, or `part` does not continue what was sent before.
    pub fn send(
        &mut self,
        part: Part,
        payload: &[u8],
        key: [u8; 4],
        head: &mut [u8; MAX_HEADER],
    ) -> Result<usize, SendError> {
        self.send_streamed(part, payload.len() as u64, payload, key, head)
    }

    /// As [`send`](Self::send), for a payload that is compressed: a message's, or a part of it, without its last four bytes
    /// (RFC 7692 §7.2.1). Only the first frame of a message says so; the others are sent by [`send`](Self::send) just as well.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and that compression was not agreed on.
    pub fn send_compressed(
        &mut self,
        part: Part,
        payload: &[u8],
        key: [u8; 4],
        head: &mut [u8; MAX_HEADER],
    ) -> Result<usize, SendError> {
        self.frame(part, true, payload.len() as u64, payload, key, head)
    }

    /// As [`send`](Self::send), for a frame of `len` bytes (below 2^63) of which only the beginning, or nothing, is
    /// at hand. Exactly `len` bytes of payload have to follow the header before anything else is transmitted.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_streamed(
        &mut self,
        part: Part,
        len: u64,
        at_hand: &[u8],
        key: [u8; 4],
        head: &mut [u8; MAX_HEADER],
    ) -> Result<usize, SendError> {
        self.frame(part, false, len, at_hand, key, head)
    }

    fn frame(
        &mut self,
        part: Part,
        compressed: bool,
        len: u64,
        at_hand: &[u8],
        key: [u8; 4],
        head: &mut [u8; MAX_HEADER],
    ) -> Result<usize, SendError> {
        let (opcode, fin, continues) = match part {
            Part::Whole(kind) => (kind.opcode(), true, false),
            Part::First(kind) => (kind.opcode(), false, false),
            Part::Next => (OpCode::Continuation, false, true),
            Part::Last => (OpCode::Continuation, true, true),
        };
        self.check(continues)?;
        self.check_compressed(compressed)?;
        self.sending = !fin;
        // RFC 7692 §6.1.
        let compressed = compressed && !continues;
        let header = Header { fin, opcode, compressed, mask: self.key(key), len };
        self.context.trace(Direction::Sent, &header, at_hand);
        Ok(header.encode(head))
    }

    /// Notes that a message in one frame, encoded already (unmasked, for many recipients at once), is to be sent
    /// here. For servers.
    ///
    /// # Errors
    ///
    /// The connection is closing or closed, a fragmented message is unfinished, or the message is compressed and that was not
    /// agreed on.
    pub fn send_encoded(&mut self, header: &Header, payload: &[u8]) -> Result<(), SendError> {
        self.check(false)?;
        self.check_compressed(header.compressed)?;
        self.context.trace(Direction::Sent, header, payload);
        Ok(())
    }

    /// Whether a fragmented message is unfinished.
    pub fn is_message_in_progress(&self) -> bool {
        self.sending
    }

    /// Has the peer pinged, before the next ping is due by itself. The latency comes with
    /// [`Event::Pong`](crate::Event::Pong).
    ///
    /// Answers the ping's number, which is its payload in big-endian order. Only the latest ping is timed.
    ///
    /// # Errors
    ///
    /// The connection is closing or closed.
    pub fn ping(&mut self, now: Instant) -> Result<u32, SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        self.owe_ping(now);
        Ok(self.ping_number)
    }

    /// Writes the next frame that the protocol owes the peer (close, pong or ping) to `out` and answers its length;
    /// 0 if there is none.
    ///
    /// Call it after every other call with `&mut self`, whenever the transport takes bytes, until it answers 0. Its
    /// frames may stand between any two others but not inside one, and need not wait for queued messages. `key` is
    /// as in [`send`](Self::send).
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        key: [u8; 4],
        control: &mut Control,
        out: &mut [u8; MAX_CONTROL_FRAME],
    ) -> usize {
        let number = self.ping_number.to_be_bytes();
        let Some(opcode) = self.next_transmit(control) else {
            // A pong that came due before the end. Nobody waits for it, least of all who uses the memory next.
            control.clear();
            return 0;
        };
        let payload = match control.owed() {
            Some((_, payload)) => payload,
            None => &number[..],
        };
        let header = Header { fin: true, opcode, compressed: false, mask: self.key(key), len: payload.len() as u64 };
        self.context.trace(Direction::Sent, &header, payload);
        let Some(head) = out.first_chunk_mut() else { return 0 };
        let head_len = header.encode(head);
        let len = head_len + payload.len();
        let body = &mut out[head_len..len];
        body.copy_from_slice(payload);
        if let Some(key) = header.mask {
            mask::apply(key, 0, body);
        }
        match opcode {
            OpCode::Ping => self.ping_transmitted(now),
            OpCode::Close => self.close_transmitted(),
            _ => {}
        }
        if opcode != OpCode::Ping {
            control.clear();
        }
        len
    }

    /// What [`poll_transmit`](Self::poll_transmit) would give now. For drivers with a queue of messages: pings and
    /// pongs may overtake them, a close frame must not, since nothing may follow it (§5.5.1).
    pub fn next_transmit(&self, control: &Control) -> Option<OpCode> {
        match control.owed() {
            // Pongs are for an open connection only; the same memory may have been lent to another one before.
            Some((OpCode::Pong, _)) => (self.phase == Phase::Open).then_some(OpCode::Pong),
            Some((opcode, _)) => Some(opcode),
            None => (self.ping_owed && self.phase == Phase::Open).then_some(OpCode::Ping),
        }
    }

    fn close_transmitted(&mut self) {
        match self.phase {
            Phase::CloseOwed(code) => self.phase = Phase::CloseSent(code),
            Phase::ReplyOwed => {
                if let Some(Ended::ClosedByPeer { clean, .. } | Ended::ClosedByUs { clean, .. }) = &mut self.ended {
                    *clean = true;
                }
                self.closed();
            }
            Phase::FailureOwed if self.transport_ended => self.phase = Phase::Done,
            Phase::FailureOwed => self.phase = Phase::Failed,
            _ => {}
        }
    }

    fn check(&self, continues: bool) -> Result<(), SendError> {
        match (self.phase, continues, self.sending) {
            (Phase::Open, true, true) | (Phase::Open, false, false) => Ok(()),
            (Phase::Open, true, false) => Err(SendError::NoMessageInProgress),
            (Phase::Open, false, true) => Err(SendError::MessageInProgress),
            _ => Err(SendError::Closed),
        }
    }

    fn check_compressed(&self, compressed: bool) -> Result<(), SendError> {
        if compressed && self.inflation == Inflation::None { Err(SendError::NotAgreed) } else { Ok(()) }
    }

    fn key(&self, key: [u8; 4]) -> Option<[u8; 4]> {
        (self.role == Role::Client).then_some(key)
    }
}
