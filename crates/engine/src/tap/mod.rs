//! Looking at a connection's frames as they are on the wire.
//!
//! A tap is given a copy of every byte that passes, both ways, and takes it apart again: so what is shown is what was sent,
//! and neither the protocol core nor a connection that nobody looks at has anything to do with it.

mod frames;

use std::fmt;
use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tautline_proto::app::ConnectionId;
use tautline_proto::{Direction, Violation};

use crate::inbox::{Inbox, Post};
use frames::Frames;

/// How many bytes of a payload a [`Frame`] has at most.
pub(crate) const SHOWN: usize = 256;

/// What somebody is shown of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The connection is there. What begins from now on is shown.
    Begun,
    /// A frame.
    Frame(Frame),
}

/// A frame as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which way it went.
    pub direction: Direction,
    /// The header's bytes, 2 to 14 of them.
    pub head: Vec<u8>,
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3, which extensions may use.
    pub reserved: [bool; 3],
    /// What it is, 0 to 15: also the numbers that mean nothing.
    pub opcode: u8,
    /// The masking key, if it is masked.
    pub mask: Option<[u8; 4]>,
    /// How many bytes its payload has.
    pub len: u64,
    /// The beginning of the payload, unmasked: at most 256 bytes, and fewer only if the connection has ended within them.
    pub payload: Vec<u8>,
    /// Why its header ends the connection. What follows it means nothing, and is not shown.
    pub violation: Option<Violation>,
}

/// Somebody looks at a connection, until this is dropped or the connection is gone.
#[must_use = "dropping it ends it"]
pub struct Inspection {
    inbox: Arc<Inbox>,
    id: ConnectionId,
    over: Arc<AtomicBool>,
}

impl Inspection {
    pub(crate) fn begin(inbox: Arc<Inbox>, id: ConnectionId, seen: impl FnMut(Shown) + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let watcher = Watcher { seen: Box::new(seen), over: over.clone() };
        // A loop that has ended drops the watcher, which says what there is to say.
        let _ = inbox.push(Post::Inspect(id, watcher));
        Self { inbox, id, over }
    }
}

impl fmt::Debug for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspection").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Inspection {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.inbox.push(Post::EndInspection(self.id));
    }
}

/// Who is shown the frames.
pub(crate) struct Watcher {
    pub(crate) seen: Box<dyn FnMut(Shown) + Send>,
    /// Nobody looks any more.
    pub(crate) over: Arc<AtomicBool>,
}

/// What stands beside a connection while somebody looks at it.
pub(crate) struct Tap {
    watcher: Watcher,
    received: Frames,
    sent: Frames,
}

impl Tap {
    /// Begins in the middle: `skip` bytes to come, received and sent, belong to frames that have begun before. `compressed`:
    /// messages may be.
    pub(crate) fn new(mut watcher: Watcher, skip: (u64, u64), compressed: bool) -> Self {
        watcher.show(|seen| seen(Shown::Begun));
        let received = Frames::new(Direction::Received, skip.0, compressed);
        Self { watcher, received, sent: Frames::new(Direction::Sent, skip.1, compressed) }
    }

    /// Whether nobody looks any more.
    pub(crate) fn is_over(&self) -> bool {
        self.watcher.over.load(Ordering::Relaxed)
    }

    /// Bytes have come.
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        let Self { watcher, received, .. } = self;
        watcher.show(|seen| received.take(bytes, seen));
    }

    /// The first `n` bytes of `slices` have gone.
    pub(crate) fn sent(&mut self, slices: &[IoSlice<'_>], mut n: usize) {
        let Self { watcher, sent, .. } = self;
        watcher.show(|seen| {
            for slice in slices {
                let gone = n.min(slice.len());
                sent.take(&slice[..gone], seen);
                n -= gone;
            }
        });
    }
}

impl Drop for Tap {
    /// Shows what has not come to its end.
    fn drop(&mut self) {
        let Self { watcher, received, sent } = self;
        watcher.show(|seen| {
            received.end(seen);
            sent.end(seen);
        });
    }
}

impl Watcher {
    /// It is other people's code, and the loop has many other connections.
    fn show(&mut self, show: impl FnOnce(&mut dyn FnMut(Shown))) {
        if self.over.load(Ordering::Relaxed) {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| show(&mut *self.seen))).is_err() {
            self.over.store(true, Ordering::Relaxed);
            tracing::error!("who looks at a connection panicked");
        }
    }
}
