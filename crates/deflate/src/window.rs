//! What was decompressed last.

use crate::{error::TooSmall, window_bits::WindowBits};

/// The last bytes that were decompressed, for the stream to refer to: a ring of exactly the window's size, in memory of
/// the caller's (`[u8; N]`, `Box<[u8]>`, `&mut [u8]`).
///
/// It is all that a connection has to keep between messages, and nothing where each message stands for itself: then a
/// window can be lent to any connection, and is cleared in no time.
#[derive(Debug)]
pub struct Window<M> {
    memory: M,
    bits: WindowBits,
    /// Where the next byte goes.
    next: u16,
    /// How many bytes can be referred to.
    filled: u16,
}

impl<M: AsMut<[u8]>> Window<M> {
    /// An empty window. Memory needs at least [`WindowBits::window_bytes`]; what there is above that is not used, and
    /// what is in it does not matter.
    ///
    /// # Errors
    ///
    /// The memory is too small.
    pub fn new(bits: WindowBits, mut memory: M) -> Result<Self, TooSmall> {
        let needed = bits.window_bytes();
        if memory.as_mut().len() < needed {
            return Err(TooSmall { needed });
        }
        Ok(Self { memory, bits, next: 0, filled: 0 })
    }

    /// Its size.
    pub fn bits(&self) -> WindowBits {
        self.bits
    }

    /// Forgets everything, at no cost: for a context that is not taken over.
    pub fn reset(&mut self) {
        (self.next, self.filled) = (0, 0);
    }

    /// Gives the memory back.
    pub fn into_memory(self) -> M {
        self.memory
    }

    pub(crate) fn filled(&self) -> usize {
        self.filled.into()
    }

    /// Copies what was said `distance` bytes ago to `output`: as much as there is room for, up to now. `distance` is at
    /// most [`Window::filled`].
    pub(crate) fn copy(&mut self, distance: usize, output: &mut [u8]) {
        let size = self.bits.window_bytes();
        let ring = &self.memory.as_mut()[..size];
        let from = (usize::from(self.next) + size - distance) & (size - 1);
        let len = output.len().min(distance);
        let first = len.min(size - from);
        output[..first].copy_from_slice(&ring[from..from + first]);
        output[first..len].copy_from_slice(&ring[..len - first]);
    }

    /// Remembers what was written.
    pub(crate) fn remember(&mut self, output: &[u8]) {
        let size = self.bits.window_bytes();
        let ring = &mut self.memory.as_mut()[..size];
        let last = &output[output.len().saturating_sub(size)..];
        let next = usize::from(self.next);
        let (first, second) = last.split_at(last.len().min(size - next));
        ring[next..next + first.len()].copy_from_slice(first);
        ring[..second.len()].copy_from_slice(second);
        self.next = ((next + last.len()) & (size - 1)) as u16;
        self.filled = (self.filled() + last.len()).min(size) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window<[u8; 256]> {
        Window::new(WindowBits::MIN, [0; 256]).unwrap()
    }

    fn last(window: &mut Window<[u8; 256]>, distance: usize) -> std::vec::Vec<u8> {
        let mut output = std::vec![0; distance];
        window.copy(distance, &mut output);
        output
    }

    #[test]
    fn memory_below_the_window_is_refused_with_what_it_takes() {
        let mut memory = [0; 300];
        assert!(Window::new(WindowBits::MIN, &mut memory[..]).is_ok());
        assert_eq!(Window::new(WindowBits::MIN, &mut memory[..255]).unwrap_err(), TooSmall { needed: 256 });
    }

    #[test]
    fn a_ring_remembers_across_its_seam_and_no_more_than_its_size() {
        let all: std::vec::Vec<u8> = (0..=255).cycle().take(1000).collect();
        for step in [1, 7, 255, 256, 257, 600] {
            let mut window = window();
            for (index, piece) in all.chunks(step).enumerate() {
                window.remember(piece);
                let so_far = &all[..(index * step + piece.len())];
                assert_eq!(window.filled(), so_far.len().min(256));
                for distance in [1, 2, 100, 256] {
                    if distance <= window.filled() {
                        assert_eq!(last(&mut window, distance), so_far[so_far.len() - distance..]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_copy_of_what_is_not_there_yet_stops_at_now() {
        let mut window = window();
        window.remember(b"abc");
        let mut output = *b"......";
        window.copy(2, &mut output);
        assert_eq!(&output, b"bc....");
    }

    #[test]
    fn a_cleared_window_is_empty() {
        let mut window = window();
        window.remember(b"abc");
        window.reset();
        assert_eq!(window.filled(), 0);
        assert_eq!(window.bits(), WindowBits::MIN);
        assert_eq!(window.into_memory()[..3], *b"abc");
    }
}
