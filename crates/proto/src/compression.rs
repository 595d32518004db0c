//! Compression on hosts: what a connection keeps between messages, and what the connections of a thread share.
//!
//! A side that takes its context over costs its own connection a [`History`], and the other one a [`Window`], from the first
//! compressed message on. A side that does not costs nothing between messages.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use tautline_deflate::{Compressor, Decompressor, Flush, History, Status, Window};

use crate::config::Context;
use crate::connection::{Connection, Role};
use crate::control::Control;
use crate::event::{Compressed, Data};
use crate::handshake::deflate::{Parameters, Sender, WindowBits};
use crate::time::Instant;

/// How much is inflated at once.
const OUTPUT: usize = 64 * 1024;

/// A message below this many bytes is not worth the work, and would hardly be shorter.
const SHORTEST: usize = 16;

/// How many repetitions the compressor gathers before it writes a block: enough for text in the largest window.
const TOKENS: usize = 4096;

/// What a connection needs to inflate its peer's messages.
#[derive(Debug)]
pub struct Inflater {
    peer: Sender,
    /// Kept between messages if the peer takes its context over, else while one is coming in.
    window: Option<Window<Box<[u8]>>>,
    /// Kept while a message is coming in.
    decompressor: Option<Box<Decompressor>>,
}

/// What the inflaters of a thread share, one after the other.
#[derive(Debug, Default)]
pub struct InflateSpace {
    decompressor: Option<Box<Decompressor>>,
    /// Of the largest size.
    window: Option<Window<Box<[u8]>>>,
    output: Box<[u8]>,
}

impl Inflater {
    /// For a connection of which this was agreed, and on which we have this role.
    pub fn new(role: Role, agreed: Parameters) -> Self {
        let peer = match role {
            Role::Client => agreed.server,
            Role::Server => agreed.client,
        };
        Self { peer, window: None, decompressor: None }
    }

    /// Begins to inflate a piece of a message.
    pub fn inflate<'a, 'b>(&'a mut self, space: &'a mut InflateSpace, piece: Compressed<'b>) -> Inflation<'a, 'b> {
        if space.output.is_empty() {
            space.output = vec![0; OUTPUT].into();
        }
        let decompressor = self.decompressor.take().or(space.decompressor.take()).unwrap_or_default();
        let window = self.window.take().unwrap_or_else(|| match self.peer.takeover {
            true => window(self.peer.window),
            false => space.window.take().unwrap_or_else(|| window(WindowBits::MAX)),
        });
        Inflation { inflater: self, space, piece, tools: Some(Tools { decompressor, window }) }
    }
}

/// A piece of a message that is being inflated.
#[derive(Debug)]
#[must_use = "`next` has to be called until it answers `None`"]
pub struct Inflation<'a, 'b> {
    inflater: &'a mut Inflater,
    space: &'a mut InflateSpace,
    piece: Compressed<'b>,
    /// Until everything is inflated.
    tools: Option<Tools>,
}

#[derive(Debug)]
struct Tools {
    decompressor: Box<Decompressor>,
    window: Window<Box<[u8]>>,
}

impl Inflation<'_, '_> {
    /// The next part of what the piece is inflated to, up to 64 KiB: see [`Connection::inflate`].
    pub fn next<C: Context>(
        &mut self,
        core: &mut Connection<C>,
        now: Instant,
        control: &mut Control,
    ) -> Option<Data<'_>> {
        let Tools { mut decompressor, mut window } = self.tools.take()?;
        let data = core.inflate(now, &mut self.piece, &mut decompressor, &mut window, &mut self.space.output, control);
        if data.is_some() {
            self.tools = Some(Tools { decompressor, window });
        } else if core.is_inflating() {
            (self.inflater.decompressor, self.inflater.window) = (Some(decompressor), Some(window));
        } else {
            self.space.decompressor = Some(decompressor);
            *if self.inflater.peer.takeover { &mut self.inflater.window } else { &mut self.space.window } =
                Some(window);
        }
        data
    }
}

/// What a connection needs to compress its messages.
#[derive(Debug)]
pub struct Deflater {
    own: Sender,
    /// If we take our context over.
    history: Option<History<Box<[u8]>>>,
}

/// What the deflaters of a thread share, one after the other.
#[derive(Debug, Default)]
pub struct DeflateSpace {
    compressor: Option<Box<Compressor<TOKENS>>>,
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
        Self { own, history: None }
    }

    /// How we compress.
    pub fn sender(&self) -> Sender {
        self.own
    }

    /// Compresses a message, which has to be sent before the next one, by [`Connection::send_compressed`]. `None`: it is not
    /// shorter that way, and is to be sent as it is.
    pub fn deflate<'a>(&mut self, space: &'a mut DeflateSpace, message: &[u8]) -> Option<&'a [u8]> {
        if !self.own.takeover {
            return space.deflate(self.own.window, message);
        }
        if message.len() < SHORTEST {
            return None;
        }
        let bits = self.own.window;
        let history = self.history.get_or_insert_with(|| history(bits, vec![0; bits.history_bytes()].into()));
        run(space.compressor.get_or_insert_default(), history, message, &mut space.output);
        // Whatever it has become: the peer has to know what later messages refer to.
        Some(&space.output)
    }
}

impl DeflateSpace {
    /// Compresses a message that refers to no other, for any number of receivers that agreed on this window, or a larger one.
    /// `None`: it is not shorter that way.
    pub fn deflate(&mut self, window: WindowBits, message: &[u8]) -> Option<&[u8]> {
        if message.len() < SHORTEST {
            return None;
        }
        if self.memory.is_empty() {
            self.memory = vec![0; WindowBits::MAX.history_bytes()].into();
        }
        let mut history = history(window, core::mem::take(&mut self.memory));
        run(self.compressor.get_or_insert_default(), &mut history, message, &mut self.output);
        self.memory = history.into_memory();
        (self.output.len() < message.len()).then_some(&self.output)
    }
}

/// Compresses a message into `out`, in place of what was there.
fn run(compressor: &mut Compressor<TOKENS>, history: &mut History<Box<[u8]>>, message: &[u8], out: &mut Vec<u8>) {
    /// What is not larger than this is kept for the next message.
    const KEPT: usize = 64 * 1024;
    out.clear();
    out.shrink_to(KEPT);
    let mut rest = message;
    loop {
        let len = out.len();
        out.resize(len + rest.len() / 2 + 64, 0);
        let done = compressor.compress(history, rest, &mut out[len..], Flush::Message);
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

fn window(bits: WindowBits) -> Window<Box<[u8]>> {
    Window::new(bits, vec![0; bits.window_bytes()].into()).unwrap_or_else(|_| unreachable!("the memory fits"))
}
