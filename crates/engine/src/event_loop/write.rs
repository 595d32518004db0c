//! Writing: to one connection, to all of a turn, to one that takes bytes again.

use std::io;

use bytes::Bytes;

use super::backlog::What;
use super::connection::{Connection, Flags};
use super::turn::{self, Turn};
use super::world::World;
use crate::batch::{Batch, Descriptor, Write};
use crate::transport::Transport;

/// How much a connection may get in a turn before it is written.
const CORK: usize = 64 * 1024;

/// From how many writes on doing them at once is worth it.
const BATCH: usize = 4;

/// For writing to many connections at once. Its memory is used again.
#[derive(Default)]
pub(super) struct Batching {
    batch: Batch,
    /// The connections with their sockets, and what became of the writes.
    writes: Vec<(u32, Descriptor)>,
    results: Vec<Option<io::Result<usize>>>,
}

impl<T: Transport> World<T> {
    /// Writes to many connections at once from now on. To be called by the thread of the loop.
    pub(super) fn start_batching(&mut self) {
        self.batching.batch = Batch::start();
    }

    /// Writes what a connection gets in this turn, as far as its transport takes it. The rest stays in the turn until
    /// that ends.
    pub(super) fn write(&mut self, slot: usize) {
        let Some(connection) = self.slots.at(slot) else { return };
        while !connection.is(Flags::BLOCKED) && self.turn.len(connection.entry) > 0 {
            let result = self.turn.gather(connection.entry, &[], |slices| connection.transport.write(slices));
            if let Some(n) = connection.wrote(result, &mut self.turn, &mut self.counters) {
                self.turn.advance(connection.entry, n);
            }
        }
        if !connection.is(Flags::BLOCKED) {
            self.turn.done(&mut connection.entry);
            connection.flush_transport(&mut self.turn);
        }
        if connection.is(Flags::FAILED) {
            self.list(slot);
        }
    }

    /// Writes what all connections get in this turn. What their transports do not take goes to their backlogs.
    pub(super) fn write_all(&mut self) {
        self.write_batch();
        let (mut index, mut to_share) = (0, 0);
        while let Some(slot) = self.turn.slot(index) {
            index += 1;
            if slot != turn::NONE {
                self.write(slot as usize);
                to_share += self.turn.worth_sharing(self.slots.at(slot as usize).map_or(turn::NONE, |c| c.entry));
            }
        }
        // If the parts add up to more than the whole, they are shared and not copied. A small part alone would hold on to
        // too much.
        let share = to_share > self.turn.total();
        self.each_waiting(index, |connection, turn| {
            if !share || turn.worth_sharing(connection.entry) == 0 {
                connection.spill(turn);
            }
        });
        if share {
            let all = Bytes::from(self.turn.take_bytes());
            self.each_waiting(index, |connection, turn| connection.spill_shared(turn, &all));
        }
        self.turn.forget_if_unused();
        self.published = false;
    }

    /// Does the first write to every connection that has one, all at once.
    fn write_batch(&mut self) {
        let mut index = 0;
        while self.batching.batch.is_there()
            && let Some(slot) = self.turn.slot(index)
        {
            index += 1;
            if slot != turn::NONE
                && let Some(connection) = self.slots.at(slot as usize)
                && !connection.is(Flags::BLOCKED)
                && let Some(descriptor) = connection.transport.descriptor()
                && self.turn.one_piece(connection.entry).is_some()
            {
                self.batching.writes.push((slot, descriptor));
            }
        }
        let Self { slots, turn, counters, listed, batching: Batching { batch, writes, results }, .. } = self;
        if writes.len() < BATCH {
            return writes.clear();
        }
        results.resize_with(writes.len(), || None);
        let bytes = |&(slot, socket): &(u32, Descriptor)| {
            let entry = slots.at(slot as usize).map_or(turn::NONE, |connection| connection.entry);
            Write { socket, bytes: turn.one_piece(entry).unwrap_or_default() }
        };
        batch.write(writes.iter().map(bytes), &mut |number, result| results[number] = Some(result));
        counters.batches += 1;
        for ((slot, _), result) in writes.drain(..).zip(results.drain(..)) {
            if let (Some(connection), Some(result)) = (slots.at(slot as usize), result) {
                counters.batched += 1;
                match connection.wrote(result, turn, counters) {
                    Some(n) => drop(turn.advance(connection.entry, n)),
                    None if connection.is(Flags::FAILED) && !connection.replace(Flags::LISTED, true) => {
                        listed.push(slot)
                    }
                    None => {}
                }
            }
        }
    }

    fn each_waiting(&mut self, entries: usize, mut f: impl FnMut(&mut Connection<T>, &mut Turn)) {
        for index in 0..entries {
            let slot = self.turn.slot(index).filter(|slot| *slot != turn::NONE);
            if let Some(connection) = slot.and_then(|slot| self.slots.at(slot as usize)) {
                f(connection, &mut self.turn);
            }
        }
    }

    /// The transport of a connection takes bytes again.
    pub(super) fn writable(&mut self, slot: usize) {
        let now = self.now;
        let Some(connection) = self.slots.at(slot).filter(|connection| connection.is(Flags::BLOCKED)) else { return };
        connection.spill(&mut self.turn);
        self.turn.forget_if_unused();
        connection.set(Flags::BLOCKED, false);
        while !connection.is(Flags::BLOCKED) {
            let to_boundary = connection.backlog_owed(now);
            let Some(more) = connection.more.as_mut().filter(|more| !more.backlog.is_empty()) else { break };
            let result = more.backlog.gather(to_boundary, |slices| connection.transport.write(slices));
            let Some(n) = connection.wrote(result, &mut self.turn, &mut self.counters) else { continue };
            connection.more().backlog.advance(n);
            connection.core.transport_took_bytes(now);
        }
        if !connection.is(Flags::BLOCKED) {
            connection.flush_transport(&mut self.turn);
        }
        self.list(slot);
    }

    pub(super) fn write_if_much(&mut self, slot: usize) {
        let Some(connection) = self.slots.at(slot) else { return };
        if !connection.is(Flags::BLOCKED) && self.turn.len(connection.entry) >= CORK {
            self.write(slot);
        }
    }

    /// Writes a large frame, after what waits. What the transport does not take is queued, shared if it can be.
    pub(super) fn send_large(&mut self, slot: usize, head: &[u8], payload: &[u8], shared: Option<Bytes>, what: What) {
        let Some(connection) = self.slots.at(slot) else { return };
        let (mut written, total) = (0, head.len() + payload.len());
        while !connection.is(Flags::BLOCKED) && written < total {
            let rest = [&head[written.min(head.len())..], &payload[written.saturating_sub(head.len())..]];
            let result = self.turn.gather(connection.entry, &rest, |slices| connection.transport.write(slices));
            if let Some(n) = connection.wrote(result, &mut self.turn, &mut self.counters) {
                written += self.turn.advance(connection.entry, n);
            }
        }
        if connection.is(Flags::BLOCKED) {
            connection.spill(&mut self.turn);
            self.turn.forget_if_unused();
            let backlog = &mut connection.more().backlog;
            // Behind a beginning that is written, everything continues the frame.
            let mut begun = written > 0;
            if let Some(rest) = head.get(written..).filter(|rest| !rest.is_empty()) {
                backlog.copy(rest, if begun { rest.len() } else { 0 }, what);
                begun = true;
            }
            let rest = written.saturating_sub(head.len())..payload.len();
            let begun = if begun { rest.len() } else { 0 };
            match shared {
                Some(shared) => backlog.share(shared.slice(rest), begun, what),
                None => backlog.copy(&payload[rest], begun, what),
            }
        } else {
            self.turn.done(&mut connection.entry);
            connection.flush_transport(&mut self.turn);
        }
        self.list(slot);
    }
}
