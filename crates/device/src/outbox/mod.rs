//! What waits to be sent.

mod record;
mod space;

use core::fmt;

use record::{HEADER, KEPT, Record, SENT};
use tautline_proto::{Kind, Part};

use crate::text::Text;

/// What gives way when the outbox is full. Chosen for each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// This message does, now: it is refused. Once taken it is not dropped for others.
    DropNewest,
    /// The oldest messages do that were not taken with [`Policy::DropNewest`]. If dropping all of them would not help, none is
    /// dropped, and this one is refused.
    DropOldest,
    /// Takes the place of the message that was sent with this number and still waits, if there is one: of a measured value
    /// only the latest counts. Otherwise as [`Policy::DropOldest`].
    KeepLatest(u16),
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There is no room for it now.
    Full,
    /// It is larger than the whole outbox.
    TooLarge,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the outbox is full",
            Self::TooLarge => "the message is larger than the outbox",
        })
    }
}

impl core::error::Error for PushError {}

/// What became of messages, counted since the start. Every one that was taken is in one of `sent`, `dropped`, `replaced`, or waits.
/// They wrap around after 2^32. Streamed messages are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Taken into the outbox.
    pub taken: u32,
    /// Handed to the transport; those that are to be acknowledged, when they were.
    pub sent: u32,
    /// Dropped for others.
    pub dropped: u32,
    /// Replaced by a later one with the same number.
    pub replaced: u32,
    /// Not taken.
    pub refused: u32,
}

/// A message's payload. It is asked twice: how long it is, and for its bytes.
pub(crate) trait Payload {
    /// Writes it; `id` is the message's own number.
    fn write(&self, id: u32, out: &mut Text<'_>);
}

impl Payload for &[u8] {
    fn write(&self, _: u32, out: &mut Text<'_>) {
        out.bytes(self);
    }
}

/// Messages in memory of the caller's, while the link is down and until the transport takes them.
///
/// A message takes its payload and 12 bytes. They lie one behind the other and move together when one leaves from between:
/// in a ring a message could neither give way in the middle nor be handed on in one piece.
#[derive(Debug)]
pub struct Outbox<'m> {
    memory: &'m mut [u8],
    /// Where the first record begins, and the last one ends.
    start: usize,
    end: usize,
    /// The record that is being sent.
    sending: Option<usize>,
    /// Whether a message in fragments has begun to be sent: nothing else may come in between (RFC 6455 §5.4).
    fragments: bool,
    /// How much whole messages leave to fragments: those that wait for the end of a message in fragments must not keep it from ending.
    reserved: usize,
    next_id: u32,
    counters: Counters,
}

/// The message that is being sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) part: Part,
    pub(crate) len: u32,
}

impl<'m> Outbox<'m> {
    /// Nothing waits.
    ///
    /// # Panics
    /// If the memory is larger than 2 GiB.
    pub const fn new(memory: &'m mut [u8]) -> Self {
        assert!(memory.len() <= i32::MAX as usize, "an outbox has at most 2 GiB");
        Self {
            memory,
            start: 0,
            end: 0,
            sending: None,
            fragments: false,
            reserved: 0,
            next_id: 0,
            counters: Counters::ZERO,
        }
    }

    /// Takes a message and answers its number.
    ///
    /// # Errors
    /// It was not taken, and nothing else was dropped for it.
    pub fn push(&mut self, kind: Kind, policy: Policy, payload: &[u8]) -> Result<u32, PushError> {
        self.push_payload(Part::Whole(kind), policy, false, &payload).inspect_err(|_| self.refuse())
    }

    /// As [`push`](Self::push), also for parts of a message, and for messages that are `kept` until
    /// [`acknowledge`](Self::acknowledge).
    pub(crate) fn push_payload(
        &mut self,
        part: Part,
        policy: Policy,
        kept: bool,
        payload: &dyn Payload,
    ) -> Result<u32, PushError> {
        let id = self.next_id;
        let mut length = Text::new(&mut []);
        payload.write(id, &mut length);
        let record =
            Record { len: u32::try_from(length.len()).unwrap_or(u32::MAX), id, part, policy, kept, sent: false };
        let at = self.make_room(&record)?;
        self.memory[at..at + HEADER].copy_from_slice(&record.encode());
        payload.write(id, &mut Text::new(&mut self.memory[at + HEADER..at + record.size()]));
        self.next_id = id.wrapping_add(1);
        if matches!(part, Part::Whole(_)) {
            self.counters.taken = self.counters.taken.wrapping_add(1);
        }
        Ok(id)
    }

    /// Counts a message that was not taken.
    pub(crate) fn refuse(&mut self) {
        self.counters.refused = self.counters.refused.wrapping_add(1);
    }

    /// What became of messages.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether nothing waits, neither to be sent nor to be acknowledged.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How long a fragment there is room for.
    pub(crate) fn room(&self) -> usize {
        (self.memory.len() - self.used()).saturating_sub(HEADER)
    }

    /// How long a fragment should be to be worth its header. There is room for that at some time, if it is reserved.
    pub(crate) fn worthwhile(&self) -> usize {
        (self.memory.len() / 4).saturating_sub(HEADER).max(1)
    }

    /// Keeps a quarter of the memory for fragments.
    pub(crate) fn reserve(&mut self, on: bool) {
        self.reserved = if on { self.memory.len() / 4 } else { 0 };
    }

    /// The message that is being sent, or the next one, which is from now on. It stays here until [`sent`](Self::sent).
    pub(crate) fn outgoing(&mut self) -> Option<Outgoing> {
        let at = self.sending.or_else(|| self.next())?;
        self.sending = Some(at);
        let Record { part, len, .. } = self.record(at);
        Some(Outgoing { part, len })
    }

    /// Whether something is to be sent.
    pub(crate) fn has_outgoing(&self) -> bool {
        self.sending.is_some() || self.next().is_some()
    }

    /// The payload of the message that is being sent.
    pub(crate) fn payload(&self) -> &[u8] {
        self.sending.map_or(&[], |at| &self.memory[at + HEADER..at + self.record(at).size()])
    }

    /// The transport has taken all of the message that is being sent.
    pub(crate) fn sent(&mut self) {
        let Some(at) = self.sending.take() else { return };
        let record = self.record(at);
        match record.part {
            Part::First(_) => self.fragments = true,
            Part::Last => self.fragments = false,
            _ => {}
        }
        if record.kept {
            self.mark(at, SENT, true);
            return;
        }
        self.remove(at);
        if matches!(record.part, Part::Whole(_)) {
            self.counters.sent = self.counters.sent.wrapping_add(1);
        }
    }

    /// The message with this number has arrived. Answers whether it was waited for.
    pub(crate) fn acknowledge(&mut self, id: u32) -> bool {
        let Some((at, _)) = self.find(|_, record| record.id == id && record.kept) else {
            return false;
        };
        if self.sending == Some(at) {
            // It is being sent again, and what is begun has to be finished. Then it leaves.
            self.mark(at, KEPT, false);
        } else {
            self.remove(at);
            self.counters.sent = self.counters.sent.wrapping_add(1);
        }
        true
    }

    /// The connection is over: what was not wholly handed to it, or not acknowledged, is to be sent again, and what is left of a
    /// message in fragments is worthless.
    pub fn disconnected(&mut self) {
        self.sending = None;
        self.fragments = false;
        self.drop_fragments();
        self.again();
    }

    /// What is not acknowledged is to be sent again.
    pub(crate) fn again(&mut self) {
        let mut at = self.start;
        while at < self.end {
            self.mark(at, SENT, false);
            at += self.record(at).size();
        }
    }

    /// Gives up a message in fragments. Answers whether its beginning has left, so that only the end of the connection ends it.
    pub(crate) fn abandon_fragments(&mut self) -> bool {
        self.drop_fragments();
        self.has_fragments()
    }

    /// Whether a message in fragments waits, or is being sent.
    pub(crate) fn has_fragments(&self) -> bool {
        self.fragments || self.find(|_, record| record.is_fragment()).is_some()
    }

    /// Drops the fragments that are not being sent.
    fn drop_fragments(&mut self) {
        while let Some((at, _)) = self.find(|at, record| record.is_fragment() && self.sending != Some(at)) {
            self.remove(at);
        }
    }

    /// The next message to send.
    fn next(&self) -> Option<usize> {
        let fits = |part: Part| matches!(part, Part::Next | Part::Last) == self.fragments;
        self.find(|_, record| !record.sent && fits(record.part)).map(|(at, _)| at)
    }
}

impl Counters {
    const ZERO: Self = Self { taken: 0, sent: 0, dropped: 0, replaced: 0, refused: 0 };
}

#[cfg(test)]
mod tests;
