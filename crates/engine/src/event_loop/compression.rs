//! Compressed messages.

use std::collections::HashMap;
use std::ops::Range;

use tautline_proto::compression::{DeflateSpace, Deflater, Inflater};
use tautline_proto::handshake::deflate::{Parameters, WindowBits};
use tautline_proto::{Header, MAX_HEADER, Role};

use super::turn::Turn;

/// What the connections need that agreed to compress, by their slots: the others pay nothing for it.
#[derive(Default)]
pub(super) struct Compression {
    connections: HashMap<usize, (Option<Inflater>, Deflater)>,
    space: DeflateSpace,
}

impl Compression {
    pub(super) fn agreed(&mut self, slot: usize, agreed: Parameters) {
        let both = (Some(Inflater::new(Role::Server, agreed)), Deflater::new(Role::Server, agreed));
        self.connections.insert(slot, both);
    }

    pub(super) fn forget(&mut self, slot: usize) {
        self.connections.remove(&slot);
    }

    /// Lends what it takes to inflate what a connection sends.
    pub(super) fn take_inflater(&mut self, slot: usize) -> Option<Inflater> {
        self.connections.get_mut(&slot)?.0.take()
    }

    /// Takes it back.
    pub(super) fn put_inflater(&mut self, slot: usize, inflater: Inflater) {
        if let Some(connection) = self.connections.get_mut(&slot) {
            connection.0 = Some(inflater);
        }
    }

    /// A message as this connection gets it, which has to be sent then. `None`: as it is.
    pub(super) fn deflate(&mut self, slot: usize, message: &[u8]) -> Option<&[u8]> {
        self.connections.get_mut(&slot)?.1.deflate(&mut self.space, message)
    }

    /// The window in which a connection gets messages that refer to no others; `None`: they do.
    fn shared_window(&self, slot: usize) -> Option<WindowBits> {
        let sender = self.connections.get(&slot)?.1.sender();
        (!sender.takeover).then_some(sender.window)
    }
}

