//! Where connections live.

use slab::Slab;
use tautline_proto::app::ConnectionId;

use super::connection::Connection;
use crate::peer::Peer;

/// How many connections a loop can have.
const MAX_CONNECTIONS: usize = 1 << SLOT_BITS;

/// An id is a number that grows with every admission, the loop, and the slot: 36, 8 and 20 bits.
const SLOT_BITS: u32 = 20;
const LOOP_BITS: u32 = 8;

pub(super) struct Slots<T> {
    slab: Slab<Slot<T>>,
    loop_index: u8,
    admitted: u64,
}

enum Slot<T> {
    /// Admitted, and its handshake is not answered yet.
    Admitted { id: ConnectionId, app: u8, peer: Peer },
    Open(Connection<T>),
}

impl<T> Slots<T> {
    pub(super) fn new(loop_index: u8) -> Self {
        Self { slab: Slab::new(), loop_index, admitted: 0 }
    }

    /// Admitted and open ones together.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Takes a slot for a client that asks to be admitted; `None` if all are taken.
    pub(super) fn admit(&mut self, app: u8, peer: Peer) -> Option<ConnectionId> {
        if self.slab.len() >= MAX_CONNECTIONS {
            return None;
        }
        self.admitted += 1;
        let entry = self.slab.vacant_entry();
        let place = u64::from(self.loop_index) << SLOT_BITS | entry.key() as u64;
        let id = ConnectionId(self.admitted << (SLOT_BITS + LOOP_BITS) | place);
        entry.insert(Slot::Admitted { id, app, peer });
        Some(id)
    }

    /// The app that has admitted a client whose connection is not open yet.
    pub(super) fn admitted(&self, id: ConnectionId) -> Option<(u8, Peer)> {
        match self.slab.get(slot_of(id))? {
            Slot::Admitted { id: this, app, peer } if *this == id => Some((*app, *peer)),
            _ => None,
        }
    }

    /// Puts an open connection where it was admitted.
    pub(super) fn open(&mut self, connection: Connection<T>) {
        let slot = slot_of(connection.id);
        if let Some(admitted) = self.slab.get_mut(slot) {
            *admitted = Slot::Open(connection);
        }
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.admitted(id).is_some() || self.get(id).is_some() {
            self.slab.remove(slot_of(id));
        }
    }

    #[inline]
    pub(super) fn at(&mut self, slot: usize) -> Option<&mut Connection<T>> {
        match self.slab.get_mut(slot)? {
            Slot::Open(connection) => Some(connection),
            Slot::Admitted { .. } => None,
        }
    }

    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection<T>> {
        self.at(slot_of(id)).filter(|connection| connection.id == id)
    }

    pub(super) fn peer(&self, id: ConnectionId) -> Peer {
        match self.slab.get(slot_of(id)) {
            Some(Slot::Admitted { id: this, peer, .. }) if *this == id => *peer,
            Some(Slot::Open(connection)) if connection.id == id => connection.peer,
            _ => Peer::UNKNOWN,
        }
    }

    /// The ids of all that are admitted, and of all that are open.
    pub(super) fn ids(&self) -> (Vec<ConnectionId>, Vec<ConnectionId>) {
        let (mut admitted, mut open) = (Vec::new(), Vec::new());
        for (_, slot) in &self.slab {
            match slot {
                Slot::Admitted { id, .. } => admitted.push(*id),
                Slot::Open(connection) => open.push(connection.id),
            }
        }
        (admitted, open)
    }
}

pub(crate) fn slot_of(id: ConnectionId) -> usize {
    (id.0 & ((1 << SLOT_BITS) - 1)) as usize
}
