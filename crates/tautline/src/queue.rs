//! What waits to be written.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use crate::pool;

/// A payload up to this size is copied behind its header; a larger one is shared and leaves in the same gathered
/// write.
pub(crate) const COPY_LIMIT: usize = 4 * 1024;

/// Small frames are gathered in buffers of this size. A control frame overtakes all but the buffer that is being
/// written.
const GATHER: usize = 16 * 1024;

/// How many buffers one write gathers at most.
const MAX_SLICES: usize = 32;

/// A list that has grown beyond this is not kept for the next connection.
const MAX_KEPT: usize = 64;

thread_local! {
    /// An empty list: most connections need one for a moment, and not two at a time.
    static SPARE: Cell<Option<Box<Frames>>> = const { Cell::new(None) };
}

/// Frames on their way to the transport, in order: a [`Frames`] that owns no memory while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Queue(Option<Box<Frames>>);

impl Deref for Queue {
    type Target = Frames;

    fn deref(&self) -> &Frames {
        static EMPTY: Frames = Frames { segments: VecDeque::new(), len: 0, written: 0, mid_frame: false, controls: 0 };
        self.0.as_deref().unwrap_or(&EMPTY)
    }
}

impl DerefMut for Queue {
    fn deref_mut(&mut self) -> &mut Frames {
        self.0.get_or_insert_with(|| SPARE.take().unwrap_or_default())
    }
}

impl Queue {
    /// Room for [`Frames::slices`].
    pub(crate) fn no_slices<'a>() -> [IoSlice<'a>; MAX_SLICES] {
        [IoSlice::new(&[]); MAX_SLICES]
    }

    /// The transport took `n` bytes.
    pub(crate) fn advance(&mut self, n: usize) {
        let Some(frames) = &mut self.0 else { return };
        frames.advance(n);
        if frames.segments.is_empty() {
            let kept = self.0.take().filter(|frames| frames.segments.capacity() <= MAX_KEPT);
            SPARE.set(kept);
        }
    }
}

/// See [`Queue`].
#[derive(Debug, Default)]
pub(crate) struct Frames {
    segments: VecDeque<Segment>,
    /// Bytes that wait, over all segments.
    len: usize,
    /// Bytes of the first segment that are written already.
    written: usize,
    /// Whether the segment written last ended in the middle of a frame.
    mid_frame: bool,
    /// How many of the first segments are control frames that overtook the others.
    controls: usize,
}

#[derive(Debug)]
struct Segment {
    data: Data,
    /// Whether a frame ends with this segment, so that another one may stand behind it.
    ends_frame: bool,
    /// Whether this is a published message, which the policy for slow receivers may drop.
    published: bool,
}

#[derive(Debug)]
enum Data {
    Gathered(Vec<u8>),
    Shared(Bytes),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Gathered(bytes) => bytes,
            Data::Shared(bytes) => bytes,
        }
    }
}

impl Frames {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the transport stands between two frames.
    pub(crate) fn at_boundary(&self) -> bool {
        self.written == 0 && !self.mid_frame
    }

    /// Whether control frames wait.
    pub(crate) fn has_controls(&self) -> bool {
        self.controls > 0
    }

    /// Queues a frame, copied.
    pub(crate) fn push(&mut self, head: &[u8], payload: &[u8]) {
        self.len += head.len() + payload.len();
        let segment = self.gathering(head.len() + payload.len());
        if let Data::Gathered(buffer) = &mut segment.data {
            buffer.extend_from_slice(head);
            buffer.extend_from_slice(payload);
        }
    }

    /// Queues a frame whose payload is shared.
    pub(crate) fn push_shared(&mut self, head: &[u8], payload: Bytes) {
        self.len += payload.len();
        // Not into the buffer that is being written: a control frame may still overtake this message.
        if self.segments.len() == 1 && !self.at_boundary() {
            self.start_segment();
        }
        self.push(head, &[]);
        if let Some(last) = self.segments.back_mut() {
            last.ends_frame = false;
        }
        self.segments.push_back(Segment { data: Data::Shared(payload), ends_frame: true, published: false });
    }

    /// Queues a whole frame that many connections share.
    pub(crate) fn push_published(&mut self, frame: Bytes) {
        self.len += frame.len();
        self.segments.push_back(Segment { data: Data::Shared(frame), ends_frame: true, published: true });
    }

    /// Queues what is left of a frame of which the transport took the beginning (`started`) or nothing.
    pub(crate) fn push_rest(&mut self, rest: &[u8], started: bool) {
        debug_assert!(self.is_empty());
        self.push(rest, &[]);
        self.mid_frame = started;
    }

    /// As [`push_rest`](Self::push_rest), with a shared payload.
    pub(crate) fn push_rest_shared(&mut self, head: &[u8], payload: Bytes, started: bool) {
        debug_assert!(self.is_empty());
        if head.is_empty() {
            self.len += payload.len();
            self.segments.push_back(Segment { data: Data::Shared(payload), ends_frame: true, published: false });
        } else {
            self.push_shared(head, payload);
        }
        self.mid_frame = started;
    }

    /// Puts a control frame in front of all messages, behind earlier control frames. Only
    /// [at a boundary](Self::at_boundary).
    pub(crate) fn insert_control(&mut self, frame: &[u8]) {
        debug_assert!(self.at_boundary());
        self.len += frame.len();
        if let Some(Segment { data: Data::Gathered(buffer), .. }) =
            self.controls.checked_sub(1).and_then(|last| self.segments.get_mut(last))
            && buffer.len() < GATHER
        {
            return buffer.extend_from_slice(frame);
        }
        let segment = Segment { data: Data::Gathered(frame.to_vec()), ends_frame: true, published: false };
        self.segments.insert(self.controls, segment);
        self.controls += 1;
    }

    /// The buffers to write next; if `to_boundary`, no further than the end of the current frame, where a control
    /// frame waits to get in.
    pub(crate) fn slices<'a>(&'a self, to_boundary: bool, out: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut n = 0;
        for segment in self.segments.iter().take(MAX_SLICES) {
            let skip = if n == 0 { self.written } else { 0 };
            out[n] = IoSlice::new(&segment.bytes()[skip..]);
            n += 1;
            if to_boundary && segment.ends_frame {
                break;
            }
        }
        n
    }

    /// All that waits, if it lies in one piece.
    pub(crate) fn only_slice(&self) -> Option<&[u8]> {
        let only = self.segments.front().filter(|_| self.segments.len() == 1)?;
        Some(&only.bytes()[self.written..])
    }

    fn advance(&mut self, n: usize) {
        self.len -= n;
        self.written += n;
        while let Some(first) = self.segments.front() {
            let len = first.bytes().len();
            if self.written < len {
                break;
            }
            self.written -= len;
            self.mid_frame = !first.ends_frame;
            self.controls = self.controls.saturating_sub(1);
            if let Some(Segment { data: Data::Gathered(buffer), .. }) = self.segments.pop_front() {
                pool::give_back(buffer);
            }
        }
    }

    /// Drops published messages that the transport has not begun with, the oldest first, until `room` bytes are
    /// freed. Answers how many messages and how many bytes were dropped.
    pub(crate) fn drop_published(&mut self, room: usize) -> (u64, usize) {
        let first = usize::from(!self.at_boundary());
        let (mut messages, mut bytes) = (0, 0);
        let mut index = 0;
        self.segments.retain(|segment| {
            let droppable = index >= first && segment.published && bytes < room;
            index += 1;
            if droppable {
                messages += 1;
                bytes += segment.bytes().len();
            }
            !droppable
        });
        self.len -= bytes;
        (messages, bytes)
    }

    /// A segment at the end to which `more` bytes may be added.
    fn gathering(&mut self, more: usize) -> &mut Segment {
        // Never behind the control frames: the next one is put where they end.
        let fits = self.segments.len() > self.controls
            && self.segments.back().is_some_and(|last| match &last.data {
                Data::Gathered(buffer) => last.ends_frame && buffer.len() + more <= GATHER,
                Data::Shared(_) => false,
            });
        if !fits {
            self.start_segment();
        }
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    fn start_segment(&mut self) {
        let buffer = pool::take();
        self.segments.push_back(Segment { data: Data::Gathered(buffer), ends_frame: true, published: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(queue: &mut Queue, to_boundary: bool, n: usize) -> Vec<u8> {
        let mut out = Queue::no_slices();
        let count = queue.slices(to_boundary, &mut out);
        let all: Vec<u8> = out[..count].iter().flat_map(|s| s.iter().copied()).collect();
        let n = n.min(all.len());
        queue.advance(n);
        all[..n].to_vec()
    }

    #[test]
    fn frames_leave_in_order_however_they_are_written() {
        for step in 1..40 {
            let mut queue = Queue::default();
            queue.push(b"h1", b"one");
            queue.push_shared(b"h2", Bytes::from_static(b"shared"));
            queue.push(b"h3", b"three");
            queue.push_published(Bytes::from_static(b"p4"));
            let mut all = Vec::new();
            while !queue.is_empty() {
                all.extend(written(&mut queue, false, step));
            }
            assert_eq!(all, b"h1oneh2sharedh3threep4");
            assert!(queue.at_boundary());
        }
    }

    #[test]
    fn a_control_frame_gets_in_at_the_end_of_the_current_frame() {
        let mut queue = Queue::default();
        queue.push_shared(b"h1", Bytes::from_static(b"payload"));
        queue.push(b"h2", b"two");
        assert_eq!(written(&mut queue, false, 2), b"h1");
        assert!(!queue.at_boundary(), "the header is out, its payload is not");
        assert_eq!(written(&mut queue, true, 99), b"payload");
        assert!(queue.at_boundary());
        queue.insert_control(b"C1");
        queue.insert_control(b"C2");
        assert_eq!(written(&mut queue, false, 99), b"C1C2h2two");
    }

    #[test]
    fn dropping_spares_what_is_not_published_and_what_has_begun() {
        let mut queue = Queue::default();
        queue.push_published(Bytes::from_static(b"aaaa"));
        queue.push(b"h", b"own");
        queue.push_published(Bytes::from_static(b"bbbb"));
        queue.push_published(Bytes::from_static(b"cccc"));
        assert_eq!(written(&mut queue, false, 1), b"a");
        assert_eq!(queue.drop_published(1), (1, 4));
        assert_eq!(written(&mut queue, false, 99), b"aaahowncccc");
    }

    #[test]
    fn an_empty_queue_owns_no_memory() {
        let mut queue = Queue::default();
        for _ in 0..100 {
            queue.push_published(Bytes::from_static(b"x"));
        }
        while !queue.is_empty() {
            written(&mut queue, false, 99);
        }
        assert!(queue.0.is_none());
    }
}
