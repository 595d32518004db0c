//! Compression on hosts: what a connection keeps between messages, and what the connections of a thread share.
//!
//! A side that takes its context over costs its own connection a [`History`](tautline_deflate::History), and the other one a
//! [`Window`], from the first compressed message on. A side that does not costs nothing between messages.

mod deflate;

pub use deflate::{Backend, DeflateSpace, Deflater};

use alloc::boxed::Box;
use alloc::vec;

use tautline_deflate::{Decompressor, Window};

use crate::config::Context;
use crate::connection::{Connection, Role};
use crate::control::Control;
use crate::event::{Compressed, Data};
use crate::handshake::deflate::{Parameters, Sender, WindowBits};
use crate::time::Instant;

/// How much is inflated at once.
const OUTPUT: usize = 64 * 1024;

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

fn window(bits: WindowBits) -> Window<Box<[u8]>> {
    Window::new(bits, vec![0; bits.window_bytes()].into()).unwrap_or_else(|_| unreachable!("the memory fits"))
}
