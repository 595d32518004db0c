//! An open connection.

mod inflate;
mod receive;
mod send;
mod timers;

pub use send::Part;

use core::time::Duration;

use crate::close::CloseCode;
use crate::config::Context;
use crate::control::Control;
use crate::event::{Ended, Kind, Transport};
use crate::handshake::deflate::Parameters;
use crate::time::{Instant, Micros};
use crate::utf8::Utf8;
use crate::violation::Violation;

/// Which side of the connection we are (RFC 6455 §5.1: a client masks, a server does not).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We sent the opening handshake.
    Client,
    /// We answered it.
    Server,
}

/// An open WebSocket connection: everything of RFC 6455 after the opening handshake, for either role.
///
/// At most 112 bytes, without buffers. See the [crate documentation](crate) for how to drive it.
#[derive(Debug)]
pub struct Connection<C> {
    context: C,

    // Receiving: the data frame whose payload is coming in, and the message it is part of.
    frame_len: u64,
    /// Above 0 while a frame's payload is coming in.
    frame_left: u64,
    /// How much input the last call left: bytes that come again.
    unread: u32,
    message_len: u64,
    fragments: u32,
    mask: [u8; 4],
    utf8: Utf8,
    frame_fin: bool,
    message: Option<Incoming>,
    inflation: Inflation,

    // Sending: whether a fragmented message is unfinished.
    sending: bool,

    // Keep-alive.
    heard: Instant,
    /// While open: when the next ping is due. Afterwards: when the closing has to be complete.
    due: Instant,
    /// Since when a ping has been waiting to be transmitted, if one is; otherwise when the latest one was.
    ping_at: Instant,
    ping_owed: bool,
    ping_number: u32,
    /// When the oldest ping that is out and unanswered went out; `Instant::NEVER` if none is.
    unanswered: Instant,
    /// When [`probe`](Self::probe) asked; `Instant::NEVER` if it did not, or the answer has been told.
    probed: Instant,
    /// How long the peer has to answer that, in hundredths of a second.
    probe_hundredths: u16,
    stall_forgiven: bool,
    /// How long the last answered ping took, in tenths of a millisecond; [`UNKNOWN`] if none was answered.
    latency: u16,

    // Closing.
    role: Role,
    phase: Phase,
    transport_ended: bool,
    ended: Option<Ended>,
}

/// No latency is known.
const UNKNOWN: u16 = u16::MAX;

/// The message that is coming in: one byte, for the sake of connections that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incoming {
    Text,
    Binary,
    CompressedText,
    CompressedBinary,
}

impl Incoming {
    fn new(kind: Kind, compressed: bool) -> Self {
        match (kind, compressed) {
            (Kind::Text, false) => Self::Text,
            (Kind::Binary, false) => Self::Binary,
            (Kind::Text, true) => Self::CompressedText,
            (Kind::Binary, true) => Self::CompressedBinary,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Text | Self::CompressedText => Kind::Text,
            Self::Binary | Self::CompressedBinary => Kind::Binary,
        }
    }

    fn is_compressed(self) -> bool {
        matches!(self, Self::CompressedText | Self::CompressedBinary)
    }
}

/// How the peer compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inflation {
    /// Not at all: compression was not agreed on.
    None,
    /// Each message by itself.
    EachMessage,
    /// With reference to earlier messages (RFC 7692 §7.2.3.2).
    Takeover,
}

/// How far the closing of the connection has come. "Owed": the close frame waits in the caller's [`Control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// We began; our frame is owed.
    CloseOwed(CloseCode),
    /// We began; the peer's frame is outstanding.
    CloseSent(CloseCode),
    /// The peer began; our reply is owed.
    ReplyOwed,
    /// The peer broke a rule; our close frame is owed.
    FailureOwed,
    /// The peer broke a rule and knows; its input is discarded until its side ends.
    Failed,
    /// Both close frames are exchanged; the server is to end the transport (RFC 6455 §7.1.1).
    AwaitEnd,
    Done,
}

impl<C: Context> Connection<C> {
    /// A connection whose opening handshake has just succeeded.
    ///
    /// `jitter` is 32 random bits: the first ping comes after a half to the whole of the ping interval, so that a
    /// fleet that connected at one moment is not pinged at one moment for ever.
    pub fn new(context: C, role: Role, now: Instant, jitter: u32) -> Self {
        let due = match context.config().ping_interval {
            Some(interval) => now + Micros(interval.0 - Micros(interval.0 / 2).jittered(jitter).0),
            None => Instant::NEVER,
        };
        Self {
            context,
            frame_len: 0,
            frame_left: 0,
            unread: 0,
            message_len: 0,
            fragments: 0,
            mask: [0; 4],
            utf8: Utf8::default(),
            frame_fin: true,
            message: None,
            inflation: Inflation::None,
            sending: false,
            heard: now,
            due,
            ping_at: now,
            ping_owed: false,
            ping_number: 0,
            unanswered: Instant::NEVER,
            probed: Instant::NEVER,
            probe_hundredths: 0,
            stall_forgiven: false,
            latency: UNKNOWN,
            role,
            phase: Phase::Open,
            transport_ended: false,
            ended: None,
        }
    }

    /// Both sides may compress their messages, as the opening handshake has agreed (RFC 7692); `None`: they may not.
    #[must_use]
    pub fn with_deflate(mut self, agreed: Option<Parameters>) -> Self {
        let peer = agreed.map(|agreed| match self.role {
            Role::Client => agreed.server,
            Role::Server => agreed.client,
        });
        self.inflation = match peer {
            None => Inflation::None,
            Some(peer) if peer.takeover => Inflation::Takeover,
            Some(_) => Inflation::EachMessage,
        };
        self
    }

    /// What the connection knows of its surroundings.
    pub fn context(&self) -> &C {
        &self.context
    }

    /// Which side we are.
    pub fn role(&self) -> Role {
        self.role
    }

    /// When something last arrived from the peer.
    pub fn last_heard(&self) -> Instant {
        self.heard
    }

    /// How long the way to the peer and back took, the last time that it answered one of our pings; `None` if it never did.
    /// It includes what waited before the ping in the transport, and how long the peer took. Good to tenths of a
    /// millisecond; more than 6.5 s are told as 6.5 s.
    pub fn latency(&self) -> Option<Duration> {
        (self.latency != UNKNOWN).then(|| Micros(100 * u64::from(self.latency)).duration())
    }

    /// Whether messages can be sent: no close frame has been queued, sent or received.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Why the connection ended, as soon as no more messages will come. The transport may have to be kept a little
    /// longer: see [`transport`](Self::transport).
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// What to do with the transport once everything to transmit has been written to it.
    pub fn transport(&self) -> Transport {
        match self.phase {
            Phase::Done => Transport::Close,
            Phase::Failed => Transport::HalfClose,
            _ => Transport::Keep,
        }
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2). Does nothing if it has begun.
    ///
    /// The frame waits in `control` for [`poll_transmit`](Self::poll_transmit). `reason` is cut to 123 bytes at a
    /// character boundary. Messages that the peer sent before its reply still arrive.
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str, control: &mut Control) {
        if self.phase != Phase::Open {
            return;
        }
        // 1005 and 1006 never stand in a frame (§7.4.1): a caller that passes one on closes without a code.
        let sendable = CloseCode::new(code.as_u16()).map(CloseCode::as_u16);
        let reason = if sendable.is_some() { cut(reason) } else { "" };
        control.owe_close(sendable, reason);
        self.phase = Phase::CloseOwed(code);
        self.due = now + self.context.config().close_timeout;
    }

    /// The transport's receiving side ended: no more bytes will come.
    pub fn receive_end(&mut self) {
        self.transport_ended = true;
        self.ended.get_or_insert(match self.phase {
            Phase::CloseOwed(code) | Phase::CloseSent(code) => Ended::ClosedByUs { code, clean: false },
            _ => Ended::TransportClosed,
        });
        // A peer that ends its side right after its close frame may still read our reply.
        if !matches!(self.phase, Phase::ReplyOwed | Phase::FailureOwed) {
            self.phase = Phase::Done;
        }
    }

    /// The transport failed: nothing can be read or written any more.
    pub fn transport_failed(&mut self) {
        self.ended.get_or_insert(match self.phase {
            Phase::CloseOwed(code) | Phase::CloseSent(code) => Ended::ClosedByUs { code, clean: false },
            _ => Ended::TransportFailed,
        });
        self.phase = Phase::Done;
    }

    /// Fails the connection (RFC 6455 §7.1.7).
    fn fail(&mut self, now: Instant, violation: Violation, control: &mut Control) {
        self.ended = Some(Ended::Violation(violation));
        self.phase = match self.phase {
            // Our close frame is out already, and nothing may follow it.
            Phase::CloseSent(_) => Phase::Failed,
            _ => {
                let reason = cut(self.context.reason(violation));
                control.owe_close(Some(violation.close_code().as_u16()), reason);
                Phase::FailureOwed
            }
        };
        self.due = now + self.context.config().close_timeout;
    }

    /// Both close frames are exchanged (RFC 6455 §7.1.1: the server ends the transport first).
    fn closed(&mut self) {
        self.phase = match self.role {
            Role::Client if !self.transport_ended => Phase::AwaitEnd,
            _ => Phase::Done,
        };
    }
}

/// As much of a reason as fits into a close frame behind its code (RFC 6455 §5.5.1).
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(123)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn an_open_connection_is_at_most_112_bytes() {
        assert!(size_of::<Connection<&'static Config>>() <= 112, "{}", size_of::<Connection<&'static Config>>());
    }
}
