//! Messages that are encoded once.

use bytes::Bytes;
use tautline_proto::app::Message;
use tautline_proto::{Header, Kind, MAX_HEADER};

/// A message as a server sends it, encoded once and shared by reference: by any number of receivers, on any number of
/// loops.
#[derive(Clone, Debug)]
pub struct Encoded {
    header: Header,
    kind: Kind,
    /// Header and payload.
    frame: Bytes,
    head_len: usize,
    compress: bool,
}

impl Encoded {
    /// Encodes a message.
    pub fn new(message: Message<'_>) -> Self {
        let (kind, payload) = (message.kind(), message.as_bytes());
        let header =
            Header { fin: true, opcode: kind.opcode(), compressed: false, mask: None, len: payload.len() as u64 };
        let mut head = [0; MAX_HEADER];
        let head_len = header.encode(&mut head);
        let mut frame = Vec::with_capacity(head_len + payload.len());
        frame.extend_from_slice(&head[..head_len]);
        frame.extend_from_slice(payload);
        Self { header, kind, frame: frame.into(), head_len, compress: true }
    }

    /// Whether it is compressed for those who have agreed on that. Default: yes. What will not get shorter, such as pictures, is
    /// cheaper as it is (RFC 7692 §6: the choice is each message's).
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.frame[self.head_len..]
    }

    /// Whether it is to be compressed.
    pub(crate) fn may_compress(&self) -> bool {
        self.compress
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn frame(&self) -> &Bytes {
        &self.frame
    }
}

impl From<Message<'_>> for Encoded {
    fn from(message: Message<'_>) -> Self {
        Self::new(message)
    }
}
