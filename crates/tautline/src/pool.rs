//! Buffers that a thread lends to whichever of its connections has something to keep for a moment.

use std::cell::RefCell;

/// How many empty buffers a thread keeps.
const BUFFERS: usize = 8;

/// A buffer that has grown beyond this is not kept.
pub(crate) const LARGEST: usize = 32 * 1024;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, which need not be given back.
pub(crate) fn take() -> Vec<u8> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps a buffer for the next one who needs it.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= LARGEST {
        buffer.clear();
        POOL.with_borrow_mut(|pool| {
            if pool.len() < BUFFERS {
                pool.push(buffer);
            }
        });
    }
}
