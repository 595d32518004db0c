//! permessage-deflate (RFC 7692) in memory of the caller's.

use tautline_proto::deflate::{Compressor, Decompressor, Flush, History, Status, Window, WindowBits};
use tautline_proto::handshake::client::{Extensions, Offered};
use tautline_proto::handshake::deflate::{Offer, Parameters, Sender};
use tautline_proto::{Compressed, Connection, Control, Data, Instant, MAX_HEADER, Part};

use crate::machine::Surroundings;
use crate::outbox::Outgoing;

/// Messages below this many bytes are sent as they are: they would hardly be shorter.
const SHORTEST: u32 = 16;

/// How many repetitions a block of the compressor can have: enough for what a device says.
const TOKENS: usize = 128;

/// The smallest buffer for what is inflated, in bytes.
const MIN_CHUNK: usize = 64;

/// What a client compresses with: memory that it uses again for each connection.
///
/// It takes 4 KB itself, and what [`memory`](Self::memory) says. The request becomes 90 bytes longer, so the transmit buffer has to be
/// larger than without.
#[derive(Debug)]
pub struct Deflate<'m> {
    offered: Offered<'static>,
    work: Work<'m>,
}

#[derive(Debug)]
struct Work<'m> {
    compressor: Compressor<TOKENS>,
    decompressor: Decompressor,
    /// What the messages of a connection refer to. Made anew for each, with the size that was agreed on.
    history: Option<History<&'m mut [u8]>>,
    window: Option<Window<&'m mut [u8]>>,
    /// What is inflated at once.
    chunk: &'m mut [u8],
    /// How we compress on this connection.
    own: Option<Sender>,
    sending: Option<Sending>,
}

/// The message that is being compressed.
#[derive(Clone, Copy, Debug)]
struct Sending {
    /// How much of it has been.
    consumed: usize,
    /// Whether its last frame has been given out.
    last: bool,
}

impl<'m> Deflate<'m> {
    /// Offers compression in which messages refer to as much of what came before as this window holds, both ways. Servers may ask for less.
    ///
    /// What of `memory` is not needed for windows is where messages are inflated, which arrive in pieces of that size.
    ///
    /// # Panics
    /// If the memory is smaller than [`memory`](Self::memory) says for 64 bytes.
    pub fn new(bits: WindowBits, memory: &'m mut [u8]) -> Self {
        assert!(memory.len() >= Self::memory(bits, MIN_CHUNK), "the memory is smaller than Deflate::memory");
        let (history, memory) = memory.split_at_mut(bits.history_bytes());
        let (window, chunk) = memory.split_at_mut(bits.window_bytes());
        let sender = Sender { window: bits, takeover: true };
        Self {
            offered: Offered { deflate: Some(Offer { server: sender, client: sender }), others: None },
            work: Work {
                compressor: Compressor::new(),
                decompressor: Decompressor::new(),
                history: History::new(bits, history).ok(),
                window: Window::new(bits, window).ok(),
                chunk,
                own: None,
                sending: None,
            },
        }
    }

    /// How many bytes [`new`](Self::new) takes for this window, with `chunk` bytes to inflate to. With 9 bits and 256 bytes that is 2.8 KB.
    pub const fn memory(bits: WindowBits, chunk: usize) -> usize {
        bits.history_bytes() + bits.window_bytes() + chunk
    }
}

/// What a client has of it, if anything.
#[derive(Debug)]
pub(crate) struct Codec<'a>(Option<(&'a Offered<'static>, &'a mut Work<'a>)>);

impl<'a> Codec<'a> {
    pub(crate) const NONE: Self = Self(None);
    /// Whether there can be compressed messages: elsewhere this is known to the compiler.
    pub(crate) const EXISTS: bool = true;

    pub(crate) fn new(deflate: &'a mut Deflate<'a>) -> Self {
        Self(Some((&deflate.offered, &mut deflate.work)))
    }

    /// What the request offers.
    pub(crate) fn extensions(&self) -> Option<&'a dyn Extensions> {
        let (offered, _) = self.0.as_ref()?;
        Some(*offered)
    }

    /// A connection begins, of which this was agreed.
    pub(crate) fn begin(&mut self, agreed: Option<Parameters>) -> Option<Parameters> {
        let (_, work) = self.0.as_mut()?;
        work.begin(agreed);
        agreed
    }

    /// The next part of what a piece of a message is inflated to.
    pub(crate) fn inflate(
        &mut self,
        now: Instant,
        connection: &mut Connection<Surroundings<'_>>,
        piece: &mut Compressed<'_>,
        control: &mut Control,
    ) -> Option<Data<'_>> {
        let (_, Work { decompressor, window, chunk, .. }) = self.0.as_mut()?;
        connection.inflate(now, piece, decompressor, window.as_mut()?, chunk, control)
    }

    /// Whether it sends this message.
    pub(crate) fn takes(&self, outgoing: Outgoing) -> bool {
        let Some((_, work)) = &self.0 else { return false };
        let worth = matches!(outgoing.part, Part::Whole(_)) && outgoing.len >= SHORTEST;
        work.own.is_some() && (worth || work.sending.is_some())
    }

    /// The next frame of this message, all of it; answers its length.
    pub(crate) fn give(
        &mut self,
        connection: &mut Connection<Surroundings<'_>>,
        outgoing: Outgoing,
        payload: &[u8],
        key: [u8; 4],
        out: &mut [u8],
    ) -> usize {
        let Some((_, work)) = &mut self.0 else { return 0 };
        let Some((head, body)) = out.split_first_chunk_mut::<MAX_HEADER>() else { return 0 };
        let Some((part, len)) = work.compress(outgoing.part, payload, body) else { return 0 };
        let Ok(head_len) = connection.send_compressed(part, &body[..len], key, head) else { return 0 };
        tautline_proto::mask::apply(key, 0, &mut body[..len]);
        // A shorter header than the longest leaves a gap.
        out.copy_within(MAX_HEADER..MAX_HEADER + len, head_len);
        head_len + len
    }

    /// Whether all of a message has been given out.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.as_ref().is_some_and(|(_, work)| work.sending.is_some_and(|sending| sending.last))
    }

    /// The transport has all of a message.
    pub(crate) fn sent(&mut self) {
        if let Some((_, work)) = &mut self.0 {
            work.sending = None;
        }
    }
}

impl Work<'_> {
    fn begin(&mut self, agreed: Option<Parameters>) {
        self.compressor.reset();
        self.decompressor.reset();
        self.own = agreed.map(|agreed| agreed.client);
        self.sending = None;
        if let Some(Parameters { server, client }) = agreed {
            // No window is larger than the one that was offered, which the memory is for.
            self.history = self.history.take().and_then(|old| History::new(client.window, old.into_memory()).ok());
            self.window = self.window.take().and_then(|old| Window::new(server.window, old.into_memory()).ok());
        }
    }

    /// Compresses the next part of a message, and answers how long it has become and which part it is.
    fn compress(&mut self, whole: Part, payload: &[u8], out: &mut [u8]) -> Option<(Part, usize)> {
        let (Part::Whole(kind), Some(history), Some(own)) = (whole, &mut self.history, self.own) else { return None };
        let begun = self.sending.is_some();
        let consumed = self.sending.map_or(0, |sending| sending.consumed);
        if !begun && !own.takeover {
            history.reset();
        }
        let done = self.compressor.compress(history, &payload[consumed..], out, Flush::Message);
        let last = done.status == Status::NeedsInput;
        self.sending = Some(Sending { consumed: consumed + done.consumed, last });
        let part = match (begun, last) {
            (false, true) => whole,
            (false, false) => Part::First(kind),
            (true, false) => Part::Next,
            (true, true) => Part::Last,
        };
        Some((part, done.produced))
    }
}
