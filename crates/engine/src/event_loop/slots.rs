//! Where connections live.

use std::collections::HashMap;

use slab::Slab;
use tautline_proto::app::ConnectionId;

use super::connection::Connection;
use crate::host::Attached;
use crate::peer::Peer;

/// How many connections a loop can have.
const MAX_CONNECTIONS: usize = 1 << SLOT_BITS;

/// An id is a number that grows with every admission, the loop, and the slot: 36, 8 and 20 bits.
const SLOT_BITS: u32 = 20;
const LOOP_BITS: u32 = 8;

pub(super) struct Slots<T> {
    slab: Slab<Connection<T>>,
    loop_index: u8,
    /// How many ids were given out.
    ids: u64,
    /// What is attached to connections. Apart from them, since most have nothing.
    attached: HashMap<ConnectionId, Attached>,
}

impl<T> Slots<T> {
    pub(super) fn new(loop_index: u8) -> Self {
        Self { slab: Slab::new(), loop_index, ids: 0, attached: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// The id of a connection that is [inserted](Self::insert) before any other; `None` if all slots are taken.
    pub(super) fn next_id(&mut self) -> Option<ConnectionId> {
        if self.slab.len() >= MAX_CONNECTIONS {
            return None;
        }
        self.ids += 1;
        let place = u64::from(self.loop_index) << SLOT_BITS | self.slab.vacant_key() as u64;
        Some(ConnectionId(self.ids << (SLOT_BITS + LOOP_BITS) | place))
    }

    pub(super) fn insert(&mut self, connection: Connection<T>) {
        let slot = slot_of(connection.id);
        let inserted = self.slab.insert(connection);
        debug_assert_eq!(inserted, slot);
    }

    pub(super) fn remove(&mut self, slot: usize) {
        let removed = self.slab.try_remove(slot);
        if let Some(connection) = removed.filter(|_| !self.attached.is_empty()) {
            self.attached.remove(&connection.id);
        }
    }

    /// Keeps something until the connection is removed.
    pub(super) fn attach(&mut self, id: ConnectionId, attached: Attached) {
        if self.look(id).is_some() {
            self.attached.insert(id, attached);
        }
    }

    /// The connections that have such a thing attached.
    pub(super) fn ids_attached(&self, mut which: impl FnMut(&Attached) -> bool) -> Vec<ConnectionId> {
        self.attached.iter().filter(|(_, attached)| which(attached)).map(|(id, _)| *id).collect()
    }

    #[inline]
    pub(super) fn at(&mut self, slot: usize) -> Option<&mut Connection<T>> {
        self.slab.get_mut(slot)
    }

    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection<T>> {
        self.at(slot_of(id)).filter(|connection| connection.id == id)
    }

    pub(super) fn look(&self, id: ConnectionId) -> Option<&Connection<T>> {
        self.slab.get(slot_of(id)).filter(|connection| connection.id == id)
    }

    pub(super) fn peer(&self, id: ConnectionId) -> Peer {
        self.look(id).map_or(Peer::UNKNOWN, |connection| connection.peer)
    }

    /// The connections whose transport is one of these.
    #[cfg(feature = "tls")]
    pub(super) fn ids_where(&self, mut which: impl FnMut(&T) -> bool) -> Vec<ConnectionId> {
        let those = self.slab.iter().filter(|(_, connection)| connection.transport.as_ref().is_some_and(&mut which));
        those.map(|(_, connection)| connection.id).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection<T>> {
        self.slab.iter().map(|(_, connection)| connection)
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.slab.iter().map(|(_, connection)| connection.id).collect()
    }
}

/// The loop of a connection.
pub(crate) fn loop_of(id: ConnectionId) -> usize {
    (id.0 >> SLOT_BITS & ((1 << LOOP_BITS) - 1)) as usize
}

pub(crate) fn slot_of(id: ConnectionId) -> usize {
    (id.0 & ((1 << SLOT_BITS) - 1)) as usize
}
