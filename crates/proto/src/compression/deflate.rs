//! Compressing what is sent.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

#[cfg(feature = "zlib-rs")]
use tautline_deflate::ZlibCompressor;
use tautline_deflate::{Compress, Compressor, Flush, History, Status};

use crate::connection::Role;
use crate::handshake::deflate::{Parameters, Sender, WindowBits};

/// A message below this many bytes is not worth the work, and would hardly be shorter.
const SHORTEST: usize = 16;

/// How many repetitions the compressor gathers before it writes a block: enough for text in the largest window.
const TOKENS: usize = 4096;

/// What compresses. The peer cannot tell, and it makes no difference to what a connection keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// `tautline-deflate`, which has no levels.
    #[default]
    Small,
    /// zlib-rs at its level 6 for messages of 4 KiB and more in windows of 9 bits and more; else as `Small`. Text gets some percent
    /// shorter, in the smallest windows a tenth. One compressor serves a thread, of up to 360 KiB: for each message it is told what
    /// the connection keeps anyway.
    #[cfg(feature = "zlib-rs")]
    ZlibRs,
}

/// What a connection needs to compress its messages.
#[derive(Debug)]
pub struct Deflater {
    own: Sender,
    backend: Backend,
    /// Kept between messages if we take our context over, else while one is sent in pieces.
    history: Option<History<Box<[u8]>>>,
}

/// What the deflaters of a thread share, one after the other.
#[derive(Debug, Default)]
pub struct DeflateSpace {
    tools: Tools,
    /// For a history of any size.
    memory: Box<[u8]>,
    output: Vec<u8>,
}

impl Deflater {
    /// For a connection of which this was agreed, and on which we have this role.
    pub fn new(role: Role, agreed: Parameters) -> Self {
        let own = match role {
            Role::Client => agreed.client,
            Role::Server => agreed.server,
        };
        Self { own, backend: Backend::Small, history: None }
    }

    /// Has this compress. Default: [`Backend::Small`].
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// How we compress.
    pub fn sender(&self) -> Sender {
        self.own
    }

    /// What compresses.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Compresses a message, which has to be sent before the next one, by [`Connection::send_compressed`]. `None`: it is not
    /// shorter that way, and is to be sent as it is.
    ///
    /// A message that need not be compressed is just not brought here (RFC 7692 §6): later ones do not refer to it.
    ///
    /// [`Connection::send_compressed`]: crate::Connection::send_compressed
    pub fn deflate<'a>(&mut self, space: &'a mut DeflateSpace, message: &[u8]) -> Option<&'a [u8]> {
        if !self.own.takeover {
            return space.deflate(self.own.window, self.backend, message);
        }
        if message.len() < SHORTEST {
            return None;
        }
        // Whatever it becomes: the peer has to know what later messages refer to.
        Some(self.run(space, message, Flush::Message))
    }

    /// Compresses a piece of a message that is sent in several frames, as the payload of the next one. The receiver can inflate
    /// each piece as it comes; for that it ends with a flush, of 5 bytes, unless it is empty or the `last` one
    /// (RFC 7692 §7.2.1, §7.2.3.3).
    ///
    /// All pieces of a message come here or none, and no other message in between.
    pub fn deflate_piece<'a>(&mut self, space: &'a mut DeflateSpace, piece: &[u8], last: bool) -> &'a [u8] {
        if last {
            let compressed = self.run(space, piece, Flush::Message);
            self.history = self.history.take().filter(|_| self.own.takeover);
            return compressed;
        }
        if piece.is_empty() {
            return &[];
        }
        self.run(space, piece, Flush::Sync)
    }

    fn run<'a>(&mut self, space: &'a mut DeflateSpace, bytes: &[u8], flush: Flush) -> &'a [u8] {
        let bits = self.own.window;
        let history = self.history.get_or_insert_with(|| history(bits, vec![0; bits.history_bytes()].into()));
        space.tools.run(self.backend, history, bytes, flush, &mut space.output);
        &space.output
    }
}

impl DeflateSpace {
    /// Compresses a message that refers to no other, for any number of receivers that agreed on this window, or a larger one.
    /// `None`: it is not shorter that way.
    pub fn deflate(&mut self, window: WindowBits, backend: Backend, message: &[u8]) -> Option<&[u8]> {
        if message.len() < SHORTEST {
            return None;
        }
        if self.memory.is_empty() {
            self.memory = vec![0; WindowBits::MAX.history_bytes()].into();
        }
        let mut history = history(window, core::mem::take(&mut self.memory));
        self.tools.run(backend, &mut history, message, Flush::Message, &mut self.output);
        self.memory = history.into_memory();
        (self.output.len() < message.len()).then_some(&self.output)
    }
}

/// What compresses, which remembers nothing from one call to the next.
#[derive(Debug, Default)]
struct Tools {
    small: Option<Box<Compressor<TOKENS>>>,
    /// For the window that was used last: one, since it is large, and most connections agree on the same.
    #[cfg(feature = "zlib-rs")]
    zlib: Option<Box<ZlibCompressor>>,
}

impl Tools {
    /// Compresses a message, or a piece of one, into `out`, in place of what was there.
    fn run(
        &mut self,
        backend: Backend,
        history: &mut History<Box<[u8]>>,
        bytes: &[u8],
        flush: Flush,
        out: &mut Vec<u8>,
    ) {
        match backend {
            #[cfg(feature = "zlib-rs")]
            Backend::ZlibRs if let Some(zlib) = self.zlib(history.bits(), bytes.len()) => {
                zlib.begin_after(history.recent());
                fill(zlib, bytes, flush, out);
                history.remember(bytes);
            }
            _ => fill(&mut self.small.get_or_insert_default().with(history), bytes, flush, out),
        }
    }

    /// What is worth its while for so many bytes.
    #[cfg(feature = "zlib-rs")]
    fn zlib(&mut self, bits: WindowBits, len: usize) -> Option<&mut ZlibCompressor> {
        /// Below this, making zlib ready costs more than it gains.
        const LARGE: usize = 4 * 1024;
        /// zlib's own default, where more takes much longer for little.
        const LEVEL: u8 = 6;
        if len < LARGE {
            return None;
        }
        if self.zlib.as_ref().is_none_or(|zlib| zlib.bits() != bits) {
            self.zlib = ZlibCompressor::new(bits, LEVEL).map(Box::new);
        }
        self.zlib.as_deref_mut()
    }
}

/// Compresses all of `bytes` into `out`, in place of what was there.
fn fill(compress: &mut impl Compress, bytes: &[u8], flush: Flush, out: &mut Vec<u8>) {
    /// What is not larger than this is kept for the next message.
    const KEPT: usize = 64 * 1024;
    out.clear();
    out.shrink_to(KEPT);
    let mut rest = bytes;
    loop {
        let len = out.len();
        out.resize(len + rest.len() / 2 + 64, 0);
        let done = compress.compress(rest, &mut out[len..], flush);
        rest = &rest[done.consumed..];
        out.truncate(len + done.produced);
        if done.status == Status::NeedsInput {
            return;
        }
    }
}

fn history(bits: WindowBits, memory: Box<[u8]>) -> History<Box<[u8]>> {
    History::new(bits, memory).unwrap_or_else(|_| unreachable!("the memory fits"))
}
