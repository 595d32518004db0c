//! A simulated transport, and its other end in the hand of the test.
//!
//! Readiness is edge-triggered and told as rarely as a system may: bytes are announced only if the last read has found
//! all there was, room only if the last write has missed some, the end of the stream once. What is there when a loop
//! begins to watch is announced once, as a system does, unless it lies inside the transport, as with TLS.

use std::cell::{RefCell, RefMut};
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;

use tautline_proto::app::ConnectionId;
use tautline_proto::{CloseCode, OpCode};

use super::frames::{self, Frame};
use crate::event_loop::slot_of;
use crate::tap::Tap;
use crate::transport::Transport;

/// The loop's end.
pub(crate) struct Sim(Rc<RefCell<Wire>>, Option<Tap>);

/// The test's end.
#[derive(Clone)]
pub(crate) struct Peer {
    /// Known once the connection is admitted.
    pub(crate) id: ConnectionId,
    wire: Rc<RefCell<Wire>>,
}

#[derive(Default)]
pub(crate) struct Wire {
    /// What has arrived for the loop, and how much of it is read.
    input: Vec<u8>,
    read: usize,
    ended: bool,
    reset: bool,
    /// Everything that has left the transport.
    pub(crate) written: Vec<u8>,
    /// How many more bytes the socket takes.
    pub(crate) room: usize,
    /// What the transport holds itself, as TLS does, and how much of it.
    held: Vec<u8>,
    holds: usize,
    /// Odd sizes and "would block" at any time.
    pub(crate) moods: Option<fastrand::Rng>,
    /// What has come before the transport was watched lies inside of it.
    pub(crate) inside: bool,
    /// A short read does not mean that there is nothing more: as on Windows.
    pub(crate) says_nothing: bool,
    pub(crate) shut: bool,
    shutting: bool,
    pub(crate) dropped: bool,
    pub(crate) reads: usize,
    /// What each write took, and where what it was given lay.
    pub(crate) writes: Vec<usize>,
    pub(crate) slices: Vec<(usize, usize)>,
    // What the loop knows, and is to be told.
    knows_empty: bool,
    knows_full: bool,
    tell_readable: bool,
    tell_writable: bool,
    tell_end: bool,
}

/// What a loop is told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) to_end: bool,
}

/// A transport, and its other end.
pub(crate) fn wire() -> (Sim, Peer) {
    let wire = Rc::new(RefCell::new(Wire { room: usize::MAX, knows_empty: true, ..Wire::default() }));
    (Sim(wire.clone(), None), Peer { id: ConnectionId(0), wire })
}

impl Peer {
    pub(crate) fn slot(&self) -> usize {
        slot_of(self.id)
    }

    pub(crate) fn wire(&self) -> RefMut<'_, Wire> {
        self.wire.borrow_mut()
    }

    // ---- what the peer sends ----

    /// Has bytes arrive.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        let mut wire = self.wire();
        assert!(!wire.ended, "nothing follows the end");
        wire.input.extend_from_slice(bytes);
        wire.tell_readable |= std::mem::take(&mut wire.knows_empty);
    }

    pub(crate) fn send(&self, text: &str) {
        self.send_bytes(&frames::text(text));
    }

    pub(crate) fn ping(&self, payload: &[u8]) {
        self.send_bytes(&frames::masked(OpCode::Ping, true, payload));
    }

    pub(crate) fn pong(&self, payload: &[u8]) {
        self.send_bytes(&frames::masked(OpCode::Pong, true, payload));
    }

    pub(crate) fn close(&self, code: CloseCode) {
        self.send_bytes(&frames::masked(OpCode::Close, true, &code.as_u16().to_be_bytes()));
    }

    /// Ends the peer's sending direction.
    pub(crate) fn end(&self) {
        let mut wire = self.wire();
        (wire.ended, wire.tell_end) = (true, true);
    }

    /// Breaks the connection behind what has arrived.
    pub(crate) fn reset(&self) {
        let mut wire = self.wire();
        (wire.reset, wire.tell_end, wire.tell_writable) = (true, true, true);
    }

    /// How much has arrived and is not read.
    pub(crate) fn unread(&self) -> usize {
        let wire = self.wire();
        wire.input.len() - wire.read
    }

    // ---- what the peer takes ----

    /// The socket takes so many more bytes, then none.
    pub(crate) fn take_only(&self, bytes: usize) {
        self.wire().room = bytes;
    }

    /// So many bytes find room in addition.
    pub(crate) fn take(&self, bytes: usize) {
        let mut wire = self.wire();
        wire.room = wire.room.saturating_add(bytes);
        wire.tell_writable |= bytes > 0 && std::mem::take(&mut wire.knows_full);
    }

    pub(crate) fn take_all(&self) {
        self.take(usize::MAX);
    }

    /// The transport holds up to so many bytes itself.
    pub(crate) fn hold(&self, bytes: usize) {
        self.wire().holds = bytes;
    }

    // ---- what the peer gets ----

    /// The frames that have left the transport, all of them whole.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let wire = self.wire();
        let (frames, len) = frames::decode(&wire.written);
        assert_eq!(len, wire.written.len(), "a frame is cut off behind {} others", frames.len());
        frames
    }

    /// The whole frames among what has left the transport.
    pub(crate) fn whole_frames(&self) -> Vec<Frame> {
        frames::decode(&self.wire().written).0
    }

    /// The texts that have left the transport, whatever is between them.
    pub(crate) fn texts(&self) -> Vec<String> {
        let texts = self.frames().into_iter().filter(|frame| frame.opcode == OpCode::Text);
        texts.map(|frame| String::from_utf8(frame.payload).unwrap()).collect()
    }

    /// The code of the close frame, which is the last frame.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let frames = self.whole_frames();
        let last = frames.last().filter(|frame| frame.opcode == OpCode::Close)?;
        last.payload.first_chunk().map(|code| u16::from_be_bytes(*code))
    }

    /// Forgets what has been written.
    pub(crate) fn forget(&self) {
        let mut wire = self.wire();
        wire.written.clear();
        wire.writes.clear();
        wire.slices.clear();
    }

    pub(crate) fn writes(&self) -> usize {
        self.wire().writes.len()
    }

    pub(crate) fn dropped(&self) -> bool {
        self.wire().dropped
    }

    // ---- what the loop is told ----

    pub(super) fn watched(&self) {
        let mut wire = self.wire();
        wire.tell_end |= wire.ended || wire.reset;
        // Nobody tells of what is not in the socket.
        wire.tell_readable &= !wire.inside;
    }

    pub(super) fn is_telling(&self) -> bool {
        let wire = self.wire();
        !wire.dropped && (wire.tell_readable || wire.tell_writable || wire.tell_end)
    }

    pub(super) fn tell(&self) -> Told {
        let mut wire = self.wire();
        let end = std::mem::take(&mut wire.tell_end);
        Told {
            readable: std::mem::take(&mut wire.tell_readable) || end,
            writable: std::mem::take(&mut wire.tell_writable),
            // A system tells of the state and not of what is new in it.
            to_end: wire.ended || wire.reset,
        }
    }
}

impl Wire {
    /// How many bytes the transport has taken.
    pub(crate) fn taken(&self) -> usize {
        self.written.len() + self.held.len()
    }

    /// Whether the transport does not feel like it, though it could.
    fn hesitates(&mut self) -> bool {
        self.moods.as_mut().is_some_and(|moods| moods.u8(..5) == 0)
    }

    /// A size up to `most`, which is not 0.
    fn some_of(&mut self, most: usize) -> usize {
        match &mut self.moods {
            Some(moods) => match moods.u8(..4) {
                0 => 1,
                1 => moods.usize(1..=most.min(10)),
                2 => moods.usize(1..=most),
                _ => most,
            },
            None => most,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty(), "0 bytes would look like the end");
        self.reads += 1;
        let there = self.input.len() - self.read;
        if there == 0 && self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if there == 0 && self.ended {
            return Ok(0);
        }
        if there == 0 {
            self.knows_empty = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.hesitates() {
            self.tell_readable = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let n = self.some_of(there.min(buffer.len()));
        buffer[..n].copy_from_slice(&self.input[self.read..self.read + n]);
        self.read += n;
        if n < buffer.len() && !self.says_nothing {
            // What is still there came just now.
            self.knows_empty = n == there;
            self.tell_readable |= n < there;
        }
        if n == there {
            (self.input, self.read) = (Vec::new(), 0);
        }
        Ok(n)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(!self.shut && !self.shutting, "nothing follows the end");
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(offered > 0, "a write of nothing");
        if self.reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if self.holds > 0 {
            if !self.flush()? {
                return Err(ErrorKind::WouldBlock.into());
            }
            let n = self.some_of(offered.min(self.holds));
            self.note(slices, n);
            self.held.extend(slices.iter().flat_map(|slice| slice.iter()).take(n));
            self.flush()?;
            return Ok(n);
        }
        let n = self.room(offered).ok_or(ErrorKind::WouldBlock)?;
        self.note(slices, n);
        let mut left = n;
        for slice in slices {
            let len = left.min(slice.len());
            self.written.extend_from_slice(&slice[..len]);
            left -= len;
        }
        Ok(n)
    }

    fn note(&mut self, slices: &[IoSlice<'_>], n: usize) {
        self.writes.push(n);
        self.slices.extend(slices.iter().map(|slice| (slice.as_ptr() as usize, slice.len())));
    }

    /// How many of `offered` bytes leave now.
    fn room(&mut self, offered: usize) -> Option<usize> {
        if self.room == 0 {
            self.knows_full = true;
            return None;
        }
        if self.hesitates() {
            self.tell_writable = true;
            return None;
        }
        let n = self.some_of(offered.min(self.room));
        if self.room < usize::MAX {
            self.room -= n;
        }
        if n < offered {
            self.knows_full = self.room == 0;
            self.tell_writable |= self.room > 0;
        }
        Some(n)
    }

    fn flush(&mut self) -> io::Result<bool> {
        while !self.held.is_empty() {
            if self.reset {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let Some(n) = self.room(self.held.len()) else { return Ok(false) };
            self.written.extend(self.held.drain(..n));
        }
        self.shut |= std::mem::take(&mut self.shutting);
        Ok(true)
    }
}

impl Transport for Sim {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.borrow_mut().read(buffer)?;
        if let Some(tap) = &mut self.1 {
            tap.received(&buffer[..n]);
        }
        Ok(n)
    }

    fn holds_input(&self) -> bool {
        self.0.borrow().inside
    }

    fn short_read_is_all(&self) -> bool {
        !self.0.borrow().says_nothing
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = self.0.borrow_mut().write(slices)?;
        if let Some(tap) = &mut self.1 {
            tap.sent(slices, n);
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<bool> {
        self.0.borrow_mut().flush()
    }

    fn shutdown(&mut self) -> io::Result<()> {
        let mut wire = self.0.borrow_mut();
        wire.shutting = true;
        wire.flush().map(drop)
    }

    fn tap(&self) -> Option<&Tap> {
        self.1.as_ref()
    }

    fn set_tap(&mut self, tap: Option<Tap>) {
        self.1 = tap;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
    }
}
