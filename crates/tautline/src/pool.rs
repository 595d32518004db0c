//! What a thread lends to whichever of its connections needs it for a moment.

use std::cell::RefCell;

use tautline_proto::compression::{DeflateSpace, InflateSpace};

/// How many empty buffers a thread keeps.
const BUFFERS: usize = 8;

/// A buffer that has grown beyond this is not kept.
pub(crate) const LARGEST: usize = 32 * 1024;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static INFLATE: RefCell<InflateSpace> = RefCell::default();
    static DEFLATE: RefCell<DeflateSpace> = RefCell::default();
}

/// What it takes to inflate. Not to be called within `call`.
pub(crate) fn with_inflate_space<R>(call: impl FnOnce(&mut InflateSpace) -> R) -> R {
    INFLATE.with_borrow_mut(call)
}

/// What it takes to compress. Not to be called within `call`.
pub(crate) fn with_deflate_space<R>(call: impl FnOnce(&mut DeflateSpace) -> R) -> R {
    DEFLATE.with_borrow_mut(call)
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
