//! Receiving (RFC 6455 §5, §6.2).

use crate::close::CloseCode;
use crate::config::{Context, Direction};
use crate::control::Control;
use crate::event::{Compressed, Data, Ended, Event, Kind};
use crate::frame::{Header, OpCode, RSV1, check_first};
use crate::mask;
use crate::time::Instant;
use crate::violation::Violation;

use super::{Connection, Incoming, Inflation, Phase, Role};

impl<C: Context> Connection<C> {
    /// Takes bytes from the peer and answers the next thing that they contain; call it until it answers `None`.
    ///
    /// Moves the beginning of `input` past what it has consumed. When it answers `None`, what is left in `input` (at
    /// most 130 bytes: an incomplete header or control frame) has to stand in front of the bytes of the next call.
    /// Data frames are consumed as they arrive, whatever their size; a message that lies whole in `input` is handed
    /// up whole.
    ///
    /// Pongs and close frames that become due wait in `control`, for [`poll_transmit`](Self::poll_transmit).
    /// Input that breaks the protocol ends the connection: the answer is `None` then, and [`ended`](Self::ended)
    /// tells why. After the end, input is consumed and discarded.
    pub fn receive<'b>(&mut self, now: Instant, input: &mut &'b mut [u8], control: &mut Control) -> Option<Event<'b>> {
        // What an earlier call left comes again and is no new sign of life.
        if input.len() > self.unread as usize {
            self.heard = now;
        }
        let event = loop {
            if self.ended.is_some() {
                *input = &mut [];
                break None;
            }
            match self.next_event(now, input, control) {
                Ok(event) => break event,
                Err(violation) => self.fail(now, violation, control),
            }
        };
        self.unread = u32::try_from(input.len()).unwrap_or(u32::MAX);
        event
    }

    /// How many bytes of the current data frame's payload are outstanding, if it is not compressed. Up to so many bytes may be
    /// read straight to where the message is being put together, and [`receive`](Self::receive) unmasks and checks them there.
    pub fn payload_outstanding(&self) -> u64 {
        if self.is_inflating() { 0 } else { self.frame_left }
    }

    /// How many bytes of the current data frame's payload are outstanding, compressed or not: so many, and then another frame
    /// begins.
    pub fn frame_outstanding(&self) -> u64 {
        self.frame_left
    }

    /// The next event, or `None` if the input does not contain all of it.
    #[inline(always)] // its only caller; the result need not be copied then
    fn next_event<'b>(
        &mut self,
        now: Instant,
        input: &mut &'b mut [u8],
        control: &mut Control,
    ) -> Result<Option<Event<'b>>, Violation> {
        if self.frame_left > 0 {
            return self.payload(input);
        }
        // The first byte is judged first, so that what is wrong does not depend on how the input is cut.
        let Some(&first) = input.first() else { return Ok(None) };
        let opcode = check_first(first)?;
        if first & RSV1 != 0 && self.inflation == Inflation::None {
            return Err(Violation::ReservedBit);
        }
        // §5.1: which side masks. Bit 7 of the second byte shows it before the rest of the header is there.
        if let Some(second) = input.get(1) {
            match (self.role, second & 0x80 != 0) {
                (Role::Server, false) => return Err(Violation::NotMasked),
                (Role::Client, true) => return Err(Violation::Masked),
                _ => {}
            }
        }
        let Some((header, header_len)) = Header::decode_checked(opcode, input)? else { return Ok(None) };
        let at_hand = (input.len() - header_len).min(usize::try_from(header.len).unwrap_or(usize::MAX));
        if !header.opcode.is_control() {
            self.begin_data_frame(&header)?;
        } else if at_hand < header.len as usize {
            return Ok(None);
        }
        // What is at hand of a data frame is unmasked once, here, so that the hook sees it; `payload` begins behind it.
        let payload = &mut take(input, header_len + at_hand)[header_len..];
        self.unmask(header.mask.unwrap_or_default(), 0, payload);
        self.context.trace(Direction::Received, &header, payload);
        if header.opcode.is_control() {
            self.control_frame(now, header.opcode, payload, control)
        } else {
            self.data(payload)
        }
    }

    fn begin_data_frame(&mut self, header: &Header) -> Result<(), Violation> {
        let config = self.context.config();
        if header.len > config.max_frame {
            return Err(Violation::FrameTooBig);
        }
        // §5.4: a message is one frame, or a first one and continuations.
        let message = match (header.opcode, self.message) {
            (OpCode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (OpCode::Continuation, Some(message)) => message,
            (_, Some(_)) => return Err(Violation::ExpectedContinuation),
            (opcode, None) => {
                let kind = if opcode == OpCode::Text { Kind::Text } else { Kind::Binary };
                let message = Incoming::new(kind, header.compressed);
                self.message = Some(message);
                self.message_len = 0;
                self.fragments = 0;
                message
            }
        };
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > config.max_fragments {
            return Err(Violation::TooManyFragments);
        }
        // What counts of a compressed message is what it is inflated to: see `inflate`.
        if !message.is_compressed() {
            self.message_len = self.message_len.saturating_add(header.len);
            if self.message_len > config.max_message {
                return Err(Violation::MessageTooBig);
            }
        }
        self.frame_fin = header.fin;
        self.frame_len = header.len;
        self.frame_left = header.len;
        self.mask = header.mask.unwrap_or_default();
        Ok(())
    }

    /// More of the payload of a frame whose header came in an earlier call.
    fn payload<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, Violation> {
        let at_hand = input.len().min(usize::try_from(self.frame_left).unwrap_or(usize::MAX));
        let bytes = take(input, at_hand);
        self.unmask(self.mask, (self.frame_len - self.frame_left) as usize % 4, bytes);
        self.data(bytes)
    }

    /// What a server sends is not masked (§5.1).
    fn unmask(&self, key: [u8; 4], phase: usize, payload: &mut [u8]) {
        if self.role == Role::Server {
            mask::apply(key, phase, payload);
        }
    }

    /// Hands up unmasked payload.
    fn data<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<Event<'b>>, Violation> {
        // An empty piece says something only if the frame is empty.
        if bytes.is_empty() && self.frame_left > 0 {
            return Ok(None);
        }
        // A frame implies a message.
        let message = self.message.unwrap_or(Incoming::Binary);
        let kind = message.kind();
        let offset = self.frame_len - self.frame_left;
        self.frame_left -= bytes.len() as u64;
        let last = self.frame_fin && self.frame_left == 0;
        if last {
            self.message = None;
        }
        if message.is_compressed() {
            return Ok(Some(Event::Compressed(Compressed { kind, bytes, tail: last.then_some(0) })));
        }
        let text = match kind {
            // §8.1: as early as it shows.
            Kind::Text => self.utf8.push(bytes).map_err(|_| Violation::InvalidUtf8)?,
            Kind::Binary => None,
        };
        if last {
            self.utf8.finish().map_err(|_| Violation::InvalidUtf8)?;
        }
        Ok(Some(Event::Data(Data {
            opcode: if self.fragments > 1 { OpCode::Continuation } else { kind.opcode() },
            kind,
            fin: self.frame_fin,
            payload_len: self.frame_len,
            offset,
            bytes,
            text,
        })))
    }

    fn control_frame<'b>(
        &mut self,
        now: Instant,
        opcode: OpCode,
        payload: &'b [u8],
        control: &mut Control,
    ) -> Result<Option<Event<'b>>, Violation> {
        Ok(Some(match opcode {
            OpCode::Ping => {
                // §5.5.2: answered unless a close frame has been received; §5.5.1: nothing follows ours.
                if self.phase == Phase::Open {
                    control.owe_pong(payload);
                }
                Event::Ping(payload)
            }
            OpCode::Pong => Event::Pong { payload, latency: self.pong(now, payload) },
            _ => self.close_frame(now, payload, control)?,
        }))
    }

    fn close_frame<'b>(
        &mut self,
        now: Instant,
        payload: &'b [u8],
        control: &mut Control,
    ) -> Result<Event<'b>, Violation> {
        // §5.5.1: nothing, or a code and perhaps a reason.
        let (code, reason) = match payload.split_first_chunk() {
            Some((&code, reason)) => {
                let code = CloseCode::new(u16::from_be_bytes(code)).ok_or(Violation::InvalidCloseCode)?;
                (code, core::str::from_utf8(reason).map_err(|_| Violation::InvalidCloseReason)?)
            }
            None if payload.is_empty() => (CloseCode::NO_STATUS, ""),
            None => return Err(Violation::TruncatedCloseCode),
        };
        match self.phase {
            Phase::CloseSent(ours) => {
                self.ended = Some(Ended::ClosedByUs { code: ours, clean: true });
                self.closed();
            }
            // Both sides began at once: our frame, still owed, is the reply to theirs.
            Phase::CloseOwed(ours) => {
                self.ended = Some(Ended::ClosedByUs { code: ours, clean: false });
                self.phase = Phase::ReplyOwed;
            }
            _ => {
                self.ended = Some(Ended::ClosedByPeer { code, clean: false });
                self.phase = Phase::ReplyOwed;
                self.due = now + self.context.config().close_timeout;
                // §5.5.1: the reply typically echoes the code.
                control.owe_close((code != CloseCode::NO_STATUS).then_some(code.as_u16()), "");
            }
        }
        if self.phase == Phase::AwaitEnd {
            self.due = now + self.context.config().close_timeout;
        }
        Ok(Event::Close { code, reason })
    }
}

/// Splits the first `n` bytes off `input`.
fn take<'b>(input: &mut &'b mut [u8], n: usize) -> &'b mut [u8] {
    let (head, rest) = core::mem::take(input).split_at_mut(n);
    *input = rest;
    head
}
