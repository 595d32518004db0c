//! One place: what the server knows of a client while it has one.

use core::fmt::{self, Write};
use core::mem;
use core::net::SocketAddr;

use tautline_proto::handshake::server::{Handshake, Refusal, Rejection};
use tautline_proto::{Config, Connection, Control, Instant};

use crate::body::Body;
use crate::handler::ClientId;
use crate::queue::Queue;
use crate::respond::Responded;

/// What is known of a connection before its first byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer {
    /// The client's address, IPv4 or IPv6; `None` if the transport has none.
    pub address: Option<SocketAddr>,
    /// Whether the transport is encrypted.
    pub secure: bool,
}

/// What to do with a client's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Keep it.
    Keep,
    /// End our side, and read and discard until the peer ends its own or [`Settings::linger`](crate::Settings::linger) is
    /// over: closing with unread input would reset the connection, and the reset can overtake what we said last.
    Linger,
    /// End our side and close it.
    Close,
    /// Drop it: nobody is there any more, or the time is over.
    Drop,
}

/// A place for one client.
#[derive(Debug)]
pub(crate) struct Client<const OUT: usize> {
    pub(crate) id: ClientId,
    pub(crate) peer: Peer,
    pub(crate) phase: Phase,
    pub(crate) control: Control,
    pub(crate) queue: Queue<OUT>,
    /// What follows the queue, from where it lies.
    pub(crate) asset: &'static [u8],
    /// Since when something has been waiting for the transport, which has taken nothing.
    pub(crate) waiting: Option<Instant>,
    /// Whether the transport is taking what it was given last.
    pub(crate) writing: bool,
    /// Whether input waits until something has been sent.
    pub(crate) blocked: bool,
    /// Whether the handler found the queue full.
    pub(crate) found_full: bool,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Free,
    /// Waits for the first byte of a request; `served`: not the first one.
    Idle {
        until: Instant,
        served: bool,
    },
    Head(Handshake),
    Body {
        body: Body,
        until: Instant,
        head_only: bool,
        keep_alive: bool,
    },
    /// An answer is being sent.
    Answer {
        until: Instant,
        keep_alive: bool,
    },
    Open {
        ws: Connection<&'static Config>,
        told: bool,
    },
    /// The last bytes are with the transport.
    Leaving {
        until: Instant,
        ending: Ending,
    },
    Over(Ending),
}

impl<const OUT: usize> Client<OUT> {
    pub(crate) const fn new() -> Self {
        Self {
            id: ClientId { slot: 0, serial: 0 },
            peer: Peer { address: None, secure: false },
            phase: Phase::Free,
            control: Control::new(),
            queue: Queue::new(),
            asset: &[],
            waiting: None,
            writing: false,
            blocked: false,
            found_full: false,
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Free)
    }

    /// Makes the place ready for the next client.
    pub(crate) fn free(&mut self) {
        self.phase = Phase::Free;
        self.control = Control::new();
        self.queue.reset();
        self.asset = &[];
        (self.waiting, self.writing, self.blocked, self.found_full) = (None, false, false, false);
    }

    pub(crate) fn answer(&mut self, until: Instant, responded: Responded) {
        self.queue.commit(responded.len, false);
        self.asset = responded.asset;
        self.phase = Phase::Answer { until, keep_alive: responded.keep_alive };
    }

    /// Sends a refusal, after which the connection ends.
    pub(crate) fn refuse(&mut self, until: Instant, refusal: Refusal) {
        let len = write_refusal(refusal, self.queue.room());
        self.answer(until, Responded { len, asset: &[], keep_alive: false });
    }

    pub(crate) fn refuse_with(&mut self, until: Instant, status: u16) {
        self.refuse(until, Rejection::new(status).into());
    }

    /// Notes since when something has been waiting to be sent, if something is.
    pub(crate) fn watch(&mut self, now: Instant) {
        let waits = !self.queue.is_empty() || !self.control.is_empty();
        self.waiting = if waits { self.waiting.or(Some(now)) } else { None };
    }

    /// Takes what of a page is to be sent from where it lies.
    pub(crate) fn take_asset(&mut self) -> &'static [u8] {
        mem::take(&mut self.asset)
    }
}

/// Writes a refusal with a short text and answers its length; 0 if there is no room.
pub(crate) fn write_refusal(refusal: Refusal, room: &mut [u8]) -> usize {
    let mut text = Text { bytes: [0; 96], len: 0 };
    // A longer text is cut.
    let _ = write!(text, "{refusal}");
    let text = core::str::from_utf8(&text.bytes[..text.len]).unwrap_or_default();
    refusal.write_response(text, &[], room).unwrap_or(0)
}

/// A short text.
struct Text {
    bytes: [u8; 96],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let text = &text[..text.floor_char_boundary(self.bytes.len() - self.len)];
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

// What the documentation promises of a chip; the compiler checks it there.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Client<1024>>() <= 1024 + 336);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_takes_at_most_440_bytes_besides_its_queue() {
        // On a host; on a chip, whose pointers are half as long, 336.
        let size = size_of::<Client<1024>>() - 1024;
        assert!(size <= 440, "{size}");
    }
}
