//! Compressed messages.

use std::collections::HashMap;
use std::ops::Range;

use tautline_proto::compression::{Backend, DeflateSpace, Deflater, Inflater};
use tautline_proto::handshake::deflate::{Parameters, WindowBits};
use tautline_proto::{Header, Kind, MAX_HEADER, Role};

use super::backlog::What;
use super::turn::Turn;

/// What the connections need that agreed to compress, by their slots: the others pay nothing for it.
#[derive(Default)]
pub(super) struct Compression {
    pub(super) backend: Backend,
    connections: HashMap<usize, (Option<Inflater>, Deflater)>,
    space: DeflateSpace,
}

impl Compression {
    pub(super) fn agreed(&mut self, slot: usize, agreed: Parameters) {
        let deflater = Deflater::new(Role::Server, agreed).with_backend(self.backend);
        self.connections.insert(slot, (Some(Inflater::new(Role::Server, agreed)), deflater));
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

    /// A published message as this connection gets it, among what the turn produces. `None`: as it is.
    ///
    /// `droppable`: it may be dropped again, and so must not be what later messages refer to.
    pub(super) fn publish(
        &mut self,
        slot: usize,
        kind: Kind,
        message: &[u8],
        droppable: bool,
        turn: &mut Turn,
        variants: &mut Variants,
    ) -> Option<(Header, Range<u32>, What)> {
        let Self { backend, connections, space } = self;
        let (_, deflater) = connections.get_mut(&slot)?;
        let sender = deflater.sender();
        if sender.takeover {
            let compressed = if droppable { None } else { deflater.deflate(space, message) };
            return compressed
                .map(|compressed| push(turn, kind, compressed))
                .map(|(header, frame)| (header, frame, What::Own));
        }
        let variant = &mut variants.0[usize::from(sender.window.value() - WindowBits::MIN.value())];
        let variant = variant.get_or_insert_with(|| {
            let compressed = space.deflate(sender.window, *backend, message);
            compressed.map(|compressed| push(turn, kind, compressed))
        });
        variant.clone().map(|(header, frame)| (header, frame, What::Published))
    }
}

/// A published message in the windows in which it was compressed so far, for everybody who agreed on the same one.
#[derive(Default)]
pub(super) struct Variants([Option<Variant>; 8]);

/// `None`: it is not shorter that way.
type Variant = Option<(Header, Range<u32>)>;

/// Adds a compressed message to what the turn produces.
fn push(turn: &mut Turn, kind: Kind, compressed: &[u8]) -> (Header, Range<u32>) {
    let header =
        Header { fin: true, opcode: kind.opcode(), compressed: true, mask: None, len: compressed.len() as u64 };
    let mut head = [0; MAX_HEADER];
    let head_len = header.encode(&mut head);
    (header, turn.push(&head[..head_len], compressed))
}
