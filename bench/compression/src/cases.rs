//! The ways to compress that are measured.

use tautline_proto::compression::Backend;
use tautline_proto::handshake::deflate::{Parameters, Sender, WindowBits};

use crate::messages::Kind;

/// One way.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) backend: Backend,
    /// `None`: nothing is compressed. Both sides compress in the same way.
    sender: Option<Sender>,
}

impl Case {
    const fn new(kind: Kind, name: &'static str, backend: Backend, way: Option<(u8, bool)>) -> Self {
        let sender = match way {
            Some((bits, takeover)) => {
                Some(Sender { window: WindowBits::new(bits).expect("a window of 8 to 15 bits"), takeover })
            }
            None => None,
        };
        Self { name, kind, backend, sender }
    }

    /// What is agreed on.
    pub(crate) fn deflate(&self) -> Option<Parameters> {
        self.sender.map(|sender| Parameters { server: sender, client: sender })
    }
}

/// All of them; those of a kind stand together, and the first of them is what the others are compared with.
pub(crate) const CASES: [Case; 12] = [
    Case::new(Kind::Reading, "off", Backend::Small, None),
    Case::new(Kind::Reading, "no-context-takeover, 12 bits", Backend::Small, Some((12, false))),
    Case::new(Kind::Reading, "context-takeover, 9 bits", Backend::Small, Some((9, true))),
    Case::new(Kind::Reading, "context-takeover, 12 bits", Backend::Small, Some((12, true))),
    Case::new(Kind::Reading, "context-takeover, 15 bits", Backend::Small, Some((15, true))),
    Case::new(Kind::Text, "off", Backend::Small, None),
    Case::new(Kind::Text, "no-context-takeover, 12 bits", Backend::Small, Some((12, false))),
    Case::new(Kind::Text, "no-context-takeover, 12 bits, zlib-rs", Backend::ZlibRs, Some((12, false))),
    Case::new(Kind::Text, "context-takeover, 12 bits", Backend::Small, Some((12, true))),
    Case::new(Kind::Text, "context-takeover, 12 bits, zlib-rs", Backend::ZlibRs, Some((12, true))),
    Case::new(Kind::Text, "context-takeover, 15 bits", Backend::Small, Some((15, true))),
    Case::new(Kind::Text, "context-takeover, 15 bits, zlib-rs", Backend::ZlibRs, Some((15, true))),
];
