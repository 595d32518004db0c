//! How a message lies in the outbox's memory: a header, and the payload behind it.

use tautline_proto::{Kind, Part};

use super::Policy;

/// Bytes of a record's header.
pub(super) const HEADER: usize = 12;

/// Where its flags are, and those of them that change while it waits.
pub(super) const FLAGS: usize = 10;
pub(super) const KEPT: u8 = 1 << 5;
pub(super) const SENT: u8 = 1 << 6;

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) len: u32,
    pub(super) id: u32,
    pub(super) part: Part,
    pub(super) policy: Policy,
    /// Whether it stays here until it is acknowledged.
    pub(super) kept: bool,
    /// Whether it was sent over this connection, and waits for that.
    pub(super) sent: bool,
}

impl Record {
    /// Bytes that it takes with its payload.
    pub(super) fn size(&self) -> usize {
        HEADER + self.len as usize
    }

    /// Whether it is a part of a message in fragments.
    pub(super) fn is_fragment(&self) -> bool {
        !matches!(self.part, Part::Whole(_))
    }

    /// Whether it may be dropped for others.
    pub(super) fn is_expendable(&self) -> bool {
        !matches!(self.policy, Policy::DropNewest)
    }

    pub(super) fn encode(&self) -> [u8; HEADER] {
        let (part, kind) = match self.part {
            Part::Whole(kind) => (0, kind),
            Part::First(kind) => (1, kind),
            Part::Next => (2, Kind::Binary),
            Part::Last => (3, Kind::Binary),
        };
        let (policy, key) = match self.policy {
            Policy::DropNewest => (0, 0),
            Policy::DropOldest => (1, 0),
            Policy::KeepLatest(key) => (2, key),
        };
        let flags = part
            | u8::from(kind == Kind::Text) << 2
            | policy << 3
            | if self.kept { KEPT } else { 0 }
            | if self.sent { SENT } else { 0 };
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..10].copy_from_slice(&key.to_le_bytes());
        bytes[FLAGS] = flags;
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER]) -> Self {
        let [l0, l1, l2, l3, i0, i1, i2, i3, k0, k1, flags, _] = *bytes;
        let kind = if flags & 4 != 0 { Kind::Text } else { Kind::Binary };
        Self {
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            id: u32::from_le_bytes([i0, i1, i2, i3]),
            part: match flags & 3 {
                0 => Part::Whole(kind),
                1 => Part::First(kind),
                2 => Part::Next,
                _ => Part::Last,
            },
            policy: match flags >> 3 & 3 {
                0 => Policy::DropNewest,
                1 => Policy::DropOldest,
                _ => Policy::KeepLatest(u16::from_le_bytes([k0, k1])),
            },
            kept: flags & KEPT != 0,
            sent: flags & SENT != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for part in
            [Part::Whole(Kind::Text), Part::First(Kind::Binary), Part::First(Kind::Text), Part::Next, Part::Last]
        {
            for policy in [Policy::DropNewest, Policy::DropOldest, Policy::KeepLatest(0), Policy::KeepLatest(0xbeef)] {
                for (kept, sent) in [(false, false), (true, false), (true, true)] {
                    let record = Record { len: 70_000, id: 0xdead_beef, part, policy, kept, sent };
                    assert_eq!(Record::decode(&record.encode()), record);
                }
            }
        }
    }
}
