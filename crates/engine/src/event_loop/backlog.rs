//! What a connection's socket did not take.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use super::frame_len;

/// How many segments leave in one gathered write at most.
const GATHER: usize = 64;

/// Up to which size copies are put together in one segment.
const MERGE: usize = 16 * 1024;

/// Frames that wait for a slow connection, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    segments: VecDeque<Segment>,
    bytes: usize,
}

/// Frames, or a part of one.
#[derive(Debug)]
struct Segment {
    data: Data,
    /// How much of `data` is written.
    written: usize,
    /// How many of the bytes that are not written, counted from the front, belong to a frame that has begun before.
    begun: usize,
    what: What,
}

/// What frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Sent to this connection alone.
    Own,
    /// Published, which may be dropped. Each is whole but for what has begun.
    Published,
    /// A ping, pong or close frame.
    Control,
}

#[derive(Debug)]
enum Data {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Own(data) => &data[self.written..],
            Data::Shared(data) => &data[self.written..],
        }
    }

    fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Notes that `n` bytes have been written.
    fn advance(&mut self, n: usize) {
        let mut frames = self.begun;
        while frames < n {
            frames += frame_len(&self.bytes()[frames..]);
        }
        self.begun = (frames - n).min(self.len() - n);
        self.written += n;
    }
}

impl Backlog {
    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Adds a copy of `bytes`, the first `begun` of which continue a frame that has begun.
    pub(super) fn copy(&mut self, bytes: &[u8], begun: usize, what: What) {
        self.bytes += bytes.len();
        if let Some(Segment { data: Data::Own(data), what: w, .. }) = self.segments.back_mut()
            && *w == what
            && begun == 0
            && data.len() + bytes.len() <= MERGE
        {
            return data.extend_from_slice(bytes);
        }
        if !bytes.is_empty() {
            self.segments.push_back(Segment { data: Data::Own(bytes.to_vec()), written: 0, begun, what });
        }
    }

    /// As [`copy`](Self::copy), without one.
    pub(super) fn share(&mut self, bytes: Bytes, begun: usize, what: What) {
        self.bytes += bytes.len();
        if !bytes.is_empty() {
            self.segments.push_back(Segment { data: Data::Shared(bytes), written: 0, begun, what });
        }
    }

    /// Whether a frame has begun that is not written to its end.
    pub(super) fn has_begun(&self) -> bool {
        self.segments.front().is_some_and(|front| front.begun > 0)
    }

    /// How many bytes belong to the frame that has begun.
    pub(super) fn begun(&self) -> usize {
        let mut begun = 0;
        for segment in &self.segments {
            begun += segment.begun;
            if segment.begun < segment.len() {
                break;
            }
        }
        begun
    }

    /// Whether a control frame is next.
    pub(super) fn is_control_next(&self) -> bool {
        self.segments.front().is_some_and(|front| front.what == What::Control)
    }

    /// Calls `write` with what is to be written next; `to_boundary`: only to the end of the frame that has begun.
    pub(super) fn gather<R>(&self, to_boundary: bool, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut slices = [IoSlice::new(&[]); GATHER];
        let mut len = 0;
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            let bytes = if to_boundary { &segment.bytes()[..segment.begun] } else { segment.bytes() };
            if bytes.is_empty() {
                break;
            }
            *slice = IoSlice::new(bytes);
            len += 1;
            if bytes.len() < segment.len() {
                break;
            }
        }
        write(&slices[..len])
    }

    /// Takes off what has been written.
    pub(super) fn advance(&mut self, mut n: usize) {
        self.bytes -= n;
        while let Some(front) = self.segments.front_mut() {
            let taken = n.min(front.len());
            n -= taken;
            if taken < front.len() {
                return front.advance(taken);
            }
            self.segments.pop_front();
        }
    }

    /// Puts control frames in front of everything. No frame may have begun.
    pub(super) fn overtake(&mut self, frames: &[u8]) {
        debug_assert!(!self.has_begun());
        self.bytes += frames.len();
        let data = Data::Own(frames.to_vec());
        self.segments.push_front(Segment { data, written: 0, begun: 0, what: What::Control });
    }

    /// Drops published messages that have not begun, the oldest first, until `room` bytes have gone. Answers how many
    /// messages went.
    pub(super) fn drop_published(&mut self, room: usize) -> u64 {
        let (mut messages, mut gone, mut at) = (0, 0, 0);
        while gone < room
            && let Some(segment) = self.segments.get_mut(at)
        {
            if segment.what != What::Published {
                at += 1;
                continue;
            }
            let bytes = segment.bytes();
            let mut end = segment.begun;
            while gone < room && end < bytes.len() {
                let len = frame_len(&bytes[end..]);
                end += len;
                gone += len;
                messages += 1;
            }
            let begun = bytes[..segment.begun].to_vec();
            self.bytes -= end - begun.len();
            segment.written += end;
            segment.begun = 0;
            if segment.len() == 0 {
                self.segments.remove(at);
            }
            if !begun.is_empty() {
                let begun = Segment { begun: begun.len(), data: Data::Own(begun), written: 0, what: What::Published };
                self.segments.insert(at, begun);
                at += 1;
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text frame.
    fn frame(text: &str) -> Vec<u8> {
        [&[0x81, text.len() as u8], text.as_bytes()].concat()
    }

    fn gathered(backlog: &Backlog, to_boundary: bool) -> Vec<u8> {
        backlog.gather(to_boundary, |slices| slices.iter().flat_map(|slice| slice.to_vec()).collect())
    }

    fn contents(backlog: &Backlog) -> Vec<u8> {
        let all = gathered(backlog, false);
        assert_eq!(all.len(), backlog.len());
        all
    }

    /// Lets a pong overtake as early as it may. Answers what goes before it.
    fn overtake(backlog: &mut Backlog) -> Vec<u8> {
        let before = if backlog.has_begun() { gathered(backlog, true) } else { Vec::new() };
        backlog.advance(before.len());
        backlog.overtake(&PONG);
        assert!(backlog.is_control_next());
        before
    }

    const PONG: [u8; 2] = [0x8a, 0];

    #[test]
    fn a_control_frame_waits_for_the_end_of_the_frame_that_has_begun_and_no_longer() {
        let frames = [frame("one"), frame("two")].concat();
        for written in 0..frames.len() {
            for shared in [false, true] {
                let mut backlog = Backlog::default();
                match shared {
                    true => backlog.share(frames.clone().into(), 0, What::Own),
                    false => backlog.copy(&frames, 0, What::Own),
                }
                backlog.advance(written);
                // 0, 5 or 10: each frame is 5 bytes long.
                let boundary = written.div_ceil(5) * 5;
                assert_eq!(overtake(&mut backlog), frames[written..boundary], "after {written}");
                assert_eq!(contents(&backlog), [&PONG, &frames[boundary..]].concat(), "after {written}");
            }
        }
    }

    #[test]
    fn a_frame_in_two_segments_is_not_torn() {
        let payload = vec![b'x'; 300];
        let head = [0x81, 126, 1, 44];
        for written in 0..304 {
            let mut backlog = Backlog::default();
            backlog.copy(&head, 0, What::Own);
            backlog.share(payload.clone().into(), payload.len(), What::Own);
            backlog.copy(&frame("next"), 0, What::Own);
            backlog.advance(written);
            let all = [&head[..], &payload, &frame("next")].concat();
            let boundary = if written == 0 { 0 } else { 304 };
            assert_eq!(backlog.begun(), if written == 0 { 0 } else { 304 - written });
            assert_eq!(overtake(&mut backlog), all[written..boundary], "after {written}");
            assert_eq!(contents(&backlog), [&PONG, &all[boundary..]].concat(), "after {written}");
        }
    }

    #[test]
    fn a_tail_that_begins_inside_a_frame_knows_where_the_next_one_begins() {
        let mut backlog = Backlog::default();
        backlog.copy(b"ne\x81\x01x", 2, What::Published);
        assert_eq!(gathered(&backlog, true), b"ne");
        assert_eq!(backlog.drop_published(usize::MAX), 1);
        assert_eq!(contents(&backlog), b"ne");
    }

    #[test]
    fn the_oldest_published_messages_make_room_and_nothing_else_goes() {
        for shared in [false, true] {
            let mut backlog = Backlog::default();
            let published = [frame("1"), frame("2"), frame("3")].concat();
            backlog.copy(&frame("own"), 0, What::Own);
            match shared {
                true => backlog.share(published.into(), 0, What::Published),
                false => backlog.copy(&published, 0, What::Published),
            }
            backlog.copy(&frame("own too"), 0, What::Own);
            assert_eq!(backlog.drop_published(4), 2, "6 bytes of 2 messages are the least that make 4 bytes of room");
            assert_eq!(contents(&backlog), [frame("own"), frame("3"), frame("own too")].concat());
            assert_eq!(backlog.drop_published(usize::MAX), 1);
            assert_eq!(backlog.drop_published(usize::MAX), 0);
            assert_eq!(contents(&backlog), [frame("own"), frame("own too")].concat());
        }
    }

    #[test]
    fn a_published_message_that_has_begun_is_finished() {
        let mut backlog = Backlog::default();
        backlog.share([frame("one"), frame("two")].concat().into(), 0, What::Published);
        backlog.advance(3);
        assert_eq!(backlog.drop_published(1), 1);
        assert_eq!(contents(&backlog), b"ne");
        backlog.copy(&frame("new"), 0, What::Published);
        assert_eq!(contents(&backlog), b"ne\x81\x03new");
        backlog.advance(7);
        assert!(backlog.is_empty());
    }

    #[test]
    fn small_copies_share_a_segment() {
        let mut backlog = Backlog::default();
        for _ in 0..100 {
            backlog.copy(&frame("x"), 0, What::Own);
        }
        assert_eq!(backlog.segments.len(), 1);
        assert_eq!(backlog.len(), 300);
    }
}
