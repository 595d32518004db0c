//! What goes to the transport.

use tautline_proto::{Instant, MAX_HEADER, mask};

use crate::outbox::Outbox;
use crate::transport::Random;

use super::{Machine, Phase, draw};

/// A data frame whose header has gone out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    key: [u8; 4],
    len: u32,
    /// How much of its payload was given out.
    given: u32,
}

impl Machine<'_> {
    /// The next bytes for the transport, into `out` (at least [`MIN_TRANSMIT`](crate::MIN_TRANSMIT) bytes); answers how many. All of
    /// them have to be written, and reported with [`took`](Self::took), before it is called again.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        random: &mut impl Random,
        outbox: &mut Outbox<'_>,
        out: &mut [u8],
    ) -> usize {
        let Phase::Open(connection) = &mut self.phase else { return 0 };
        let len = if let Some(frame) = &mut self.frame {
            frame.give(outbox, out)
        } else if connection.next_transmit(&self.control).is_some() {
            let Some(out) = out.first_chunk_mut() else { return 0 };
            connection.poll_transmit(now, draw(random), &mut self.control, out)
        } else if connection.is_open()
            && let Some(outgoing) = outbox.outgoing()
        {
            let key = draw(random);
            if self.codec.takes(outgoing) {
                self.codec.give(connection, outgoing, outbox.payload(), key, out)
            } else {
                let Some((head, rest)) = out.split_first_chunk_mut::<MAX_HEADER>() else { return 0 };
                let Ok(head_len) = connection.send_streamed(outgoing.part, outgoing.len.into(), &[], key, head) else {
                    return 0;
                };
                let frame = self.frame.insert(Frame { key, len: outgoing.len, given: 0 });
                let len = frame.give(outbox, rest);
                // A shorter header than the longest leaves a gap.
                out.copy_within(MAX_HEADER..MAX_HEADER + len, head_len);
                head_len + len
            }
        } else {
            0
        };
        if len > 0 {
            self.untaken.get_or_insert(now);
        }
        len
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) would give something.
    pub fn has_transmit(&self, outbox: &Outbox<'_>) -> bool {
        let Phase::Open(connection) = &self.phase else { return false };
        self.frame.is_some()
            || connection.next_transmit(&self.control).is_some()
            || (connection.is_open() && outbox.has_outgoing())
    }

    /// The transport has taken some of the bytes given last; `all`: the last of them.
    pub fn took(&mut self, now: Instant, all: bool, outbox: &mut Outbox<'_>) {
        let Phase::Open(connection) = &mut self.phase else { return };
        connection.transport_took_bytes(now);
        self.untaken = Some(now);
        let complete = self.frame.map_or_else(|| self.codec.is_complete(), |frame| frame.given == frame.len);
        if all && complete {
            self.frame = None;
            self.codec.sent();
            outbox.sent();
        }
    }

    /// The transport has let go of everything that it took.
    pub fn flushed(&mut self, now: Instant) {
        self.untaken = None;
        self.settle(now);
    }
}

impl Frame {
    /// The next piece of the payload, masked (RFC 6455 §5.3).
    fn give(&mut self, outbox: &Outbox<'_>, out: &mut [u8]) -> usize {
        let payload = outbox.payload().get(self.given as usize..).unwrap_or_default();
        let len = payload.len().min(out.len());
        out[..len].copy_from_slice(&payload[..len]);
        mask::apply(self.key, self.given as usize % 4, &mut out[..len]);
        self.given += len as u32;
        len
    }
}
