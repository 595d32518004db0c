//! The input and the output of a call.

use crate::window::Window;

/// What a call was given, and how far it has come.
pub(super) struct Turn<'a, M> {
    pub(super) window: &'a mut Window<M>,
    pub(super) input: &'a [u8],
    pub(super) taken: usize,
    pub(super) output: &'a mut [u8],
    pub(super) written: usize,
}

impl<M> Turn<'_, M> {
    /// As many whole bytes as fit above the bits that there are.
    #[inline]
    pub(super) fn refill(&mut self, bits: &mut u64, count: &mut u32) {
        let rest = &self.input[self.taken..];
        if let Some(next) = rest.first_chunk() {
            let bytes = (63 - *count) / 8;
            *bits |= (u64::from_le_bytes(*next) & ((1 << (bytes * 8)) - 1)) << *count;
            self.taken += bytes as usize;
            *count += bytes * 8;
            return;
        }
        for &byte in rest {
            if *count > 55 {
                return;
            }
            *bits |= u64::from(byte) << *count;
            self.taken += 1;
            *count += 8;
        }
    }
}

impl<M: AsMut<[u8]>> Turn<'_, M> {
    /// Whether there is something so far back, and within the window.
    pub(super) fn reaches(&self, distance: usize) -> bool {
        distance <= self.window.bits().window_bytes() && distance <= self.written + self.window.filled()
    }

    /// Copies what was said `distance` bytes ago, until there is no room. Returns how much that was.
    pub(super) fn copy(&mut self, distance: usize, length: usize) -> usize {
        let mut at = self.written;
        let end = self.output.len().min(at + length);
        let len = end - at;
        // What this call has not written itself is in the window.
        while at < end && distance > at {
            let from_window = (end - at).min(distance - at);
            self.window.copy(distance - at, &mut self.output[at..at + from_window]);
            at += from_window;
        }
        // The rest may run into itself: each piece makes the next one possible, of twice its length.
        let from = at.saturating_sub(distance);
        while at < end {
            let piece = (at - from).min(end - at);
            self.output.copy_within(from..from + piece, at);
            at += piece;
        }
        self.written = end;
        len
    }
}
