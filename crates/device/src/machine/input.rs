//! What was received and is not taken yet.

use tautline_proto::Compressed;

use crate::compression::Codec;

/// Bytes that were received, for [`Machine::receive`](super::Machine::receive) to take.
#[derive(Debug)]
pub struct Input<'b> {
    pub(super) bytes: &'b mut [u8],
    /// A piece of a compressed message from before them, which is not inflated yet.
    pub(super) piece: Option<Compressed<'b>>,
}

impl<'b> Input<'b> {
    /// These bytes. What an earlier input left has to stand in front.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, piece: None }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Whether something of it is to be [inflated](super::Machine::inflate) next.
    pub fn is_compressed(&self) -> bool {
        Codec::EXISTS && self.piece.is_some()
    }
}
