//! Reading, and handing messages to the apps.

use std::io;

use bytes::Bytes;
use tautline_proto::app::Message;
use tautline_proto::{Compressed, Data, Event, Kind};

use super::Loop;
use super::connection::{Assembly, Flags};
use crate::transport::Transport;

/// How much is read at once.
pub(super) const BUFFER: usize = 128 * 1024;

/// How much of one connection's input a turn takes, so that the others have theirs.
const TURN: usize = 1024 * 1024;

/// From how many outstanding bytes on a payload is read straight to its place.
const DIRECT: u64 = 16 * 1024;

/// Up to which size the buffer of a message is kept for the next one.
const SPARE: usize = 4 * 1024 * 1024;

/// What a read has found.
enum Read {
    /// There may be more.
    Some(usize),
    /// There is no more now, or nobody is to read it.
    Done,
}

impl<T: Transport> Loop<T> {
    /// The transport in `slot` has input. `to_end`: its end is among it.
    pub(crate) fn readable(&mut self, slot: usize, to_end: bool) {
        let mut left = TURN;
        // Taken out, so that a message can lie in it while its app is called.
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Read::Some(n) = self.read(slot, &mut buffer, to_end) {
            left = left.saturating_sub(n);
            if left == 0 {
                self.again.extend(self.world.slots.at(slot).map(|connection| (connection.id, to_end)));
                break;
            }
        }
        self.buffer = buffer;
        if let Some(connection) = self.world.slots.at(slot).filter(|connection| connection.is(Flags::PAUSED)) {
            connection.more().to_end |= to_end;
        }
        self.world.list(slot);
    }

    /// Goes on with what was read and not consumed. Answers whether the end is among what was not read.
    pub(super) fn resume(&mut self, slot: usize) -> bool {
        let Some(connection) = self.world.slots.at(slot) else { return false };
        connection.set(Flags::PAUSED, false);
        let Some(more) = connection.more.as_mut() else { return false };
        let to_end = std::mem::take(&mut more.to_end);
        let mut unread = std::mem::take(&mut more.unread);
        self.receive(slot, &mut unread);
        to_end
    }

    fn read(&mut self, slot: usize, buffer: &mut [u8], to_end: bool) -> Read {
        let Some(connection) = self.world.slots.at(slot).filter(|connection| !connection.is(Flags::PAUSED)) else {
            return Read::Done;
        };
        if connection.is_to_pause(&self.world.turn) {
            connection.set(Flags::PAUSED, true);
            return Read::Done;
        }
        let outstanding = connection.core.payload_outstanding();
        // What comes after the end is only to be discarded.
        if outstanding >= DIRECT && !connection.is(Flags::CLOSING) && connection.core.ended().is_none() {
            return self.read_payload(slot, outstanding, to_end);
        }
        // An incomplete header comes in front of what follows it.
        let kept = connection.more.as_ref().map_or(0, |more| {
            buffer[..more.unread.len()].copy_from_slice(&more.unread);
            more.unread.len()
        });
        let room = buffer.len() - kept;
        let result = connection.transport.read(&mut buffer[kept..]);
        let short = connection.transport.short_read_is_all();
        let Some(n) = self.took(slot, result) else { return Read::Done };
        if let Some(more) = self.world.slots.at(slot).and_then(|connection| connection.more.as_mut()) {
            more.unread.clear();
        }
        self.receive(slot, &mut buffer[..kept + n]);
        if n < room && short && !to_end { Read::Done } else { Read::Some(n) }
    }

    /// Reads payload to where its message is put together.
    fn read_payload(&mut self, slot: usize, outstanding: u64, to_end: bool) -> Read {
        let Some(connection) = self.world.slots.at(slot) else { return Read::Done };
        let more = connection.more.get_or_insert_default();
        let room = more.message.room(outstanding, &mut self.spare);
        let len = room.len();
        let result = connection.transport.read(room);
        let short = connection.transport.short_read_is_all();
        let Some(n) = self.took(slot, result) else { return Read::Done };
        let now = self.world.now;
        let Some(connection) = self.world.slots.at(slot) else { return Read::Done };
        let blocked = connection.is(Flags::BLOCKED);
        let (core, more) = (&mut connection.core, connection.more.get_or_insert_default());
        let at = more.message.len;
        let mut input = &mut more.message.bytes[at..at + n];
        let control = if blocked { &mut more.control } else { &mut self.world.control };
        match core.receive(now, &mut input, control) {
            Some(Event::Data(data)) => {
                let kind = data.is_last().then_some(data.kind());
                more.message.len += n;
                if let Some(kind) = kind {
                    self.deliver_assembled(slot, kind);
                }
            }
            // It broke a rule.
            _ => {
                more.message = Assembly::default();
                self.world.transmit_owed(slot);
            }
        }
        if n < len && short && !to_end { Read::Done } else { Read::Some(n) }
    }

    /// Takes note of a read. Answers how many bytes there are, if there are any.
    fn took(&mut self, slot: usize, result: io::Result<usize>) -> Option<usize> {
        let connection = self.world.slots.at(slot)?;
        self.world.counters.reads += 1;
        match result {
            Ok(0) => connection.core.receive_end(),
            Ok(n) => {
                self.world.counters.bytes_in += n as u64;
                return Some(n);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => connection.fail(&mut self.world.turn),
        }
        None
    }

    /// Consumes input, calling the app for every message. What is not consumed is kept.
    fn receive(&mut self, slot: usize, mut input: &mut [u8]) {
        let now = self.world.now;
        loop {
            let Some(connection) = self.world.slots.at(slot) else { return };
            let closing = connection.is(Flags::CLOSING);
            // Not read faster than the answers are taken.
            if connection.is_to_pause(&self.world.turn) {
                connection.set(Flags::PAUSED, true);
                connection.more().unread = input.to_vec();
                return;
            }
            let (core, control) = connection.core_and_control(&mut self.world.control);
            let Some(event) = core.receive(now, &mut input, control) else {
                self.world.transmit_owed(slot);
                let Some(connection) = self.world.slots.at(slot) else { return };
                if !input.is_empty() {
                    connection.more().unread = input.to_vec();
                }
                if let Some(more) = connection.more.as_mut().filter(|_| connection.core.ended().is_some()) {
                    more.message = Assembly::default();
                }
                return;
            };
            match event {
                Event::Data(_) if closing => {}
                Event::Data(data) => self.data(slot, &data),
                Event::Compressed(_) if closing => {}
                Event::Compressed(piece) => self.inflate(slot, piece),
                _ => self.world.transmit_owed(slot),
            }
        }
    }

    /// Calls the app if a message ends with what this piece is inflated to.
    fn inflate(&mut self, slot: usize, piece: Compressed<'_>) {
        let Some(mut inflater) = self.world.compression.take_inflater(slot) else { return };
        // Taken out, so that a message can lie in it while its app is called.
        let mut space = std::mem::take(&mut self.inflating);
        let mut inflation = inflater.inflate(&mut space, piece);
        while let Some(connection) = self.world.slots.at(slot) {
            let (core, control) = connection.core_and_control(&mut self.world.control);
            let Some(data) = inflation.next(core, self.world.now, control) else { break };
            self.data(slot, &data);
        }
        self.inflating = space;
        self.world.compression.put_inflater(slot, inflater);
    }

    /// Calls the app if a message ends with this data.
    fn data(&mut self, slot: usize, data: &Data<'_>) {
        let Some(connection) = self.world.slots.at(slot) else { return };
        let id = connection.id;
        if !data.is_whole() {
            connection.more().message.push(data.bytes(), &mut self.spare);
            if data.is_last() {
                self.deliver_assembled(slot, data.kind());
            }
            return;
        }
        self.world.counters.messages_in += 1;
        let message = match (data.kind(), data.text()) {
            (Kind::Text, Some(text)) => Message::Text(text),
            _ => Message::Binary(data.bytes()),
        };
        self.call_for(id, None, |app, io| app.message(io, id, message));
    }

    /// Hands a message to the app that came in pieces.
    fn deliver_assembled(&mut self, slot: usize, kind: Kind) {
        let Some(connection) = self.world.slots.at(slot) else { return };
        let id = connection.id;
        let message = std::mem::take(&mut connection.more().message);
        let shared = Bytes::from(message.bytes);
        let payload = &shared[..message.len];
        self.world.counters.messages_in += 1;
        let message = match kind {
            // The core has found it valid piece by piece; to look again at all of it is faster than to copy it.
            Kind::Text => simdutf8::basic::from_utf8(payload).map_or(Message::Binary(payload), Message::Text),
            Kind::Binary => Message::Binary(payload),
        };
        self.call_for(id, Some(&shared), |app, io| app.message(io, id, message));
        // What nobody holds on to serves the next one.
        if let Ok(bytes) = shared.try_into_mut()
            && bytes.len() <= SPARE
            && bytes.len() > self.spare.len()
        {
            self.spare = bytes.into();
        }
    }
}
